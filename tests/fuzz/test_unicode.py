"""Every prediction command over arbitrary Unicode.

One line in, one line out; all other fields unchanged; offsets slice back; and an answer depends on its text alone: not
on the other lines, their order, or the batch.
"""

import json
import string

import pytest
from classify_support import save_encoder, save_ngram, task
from embed_support import save_embedder
from fuzz.folders import make_event, make_relation
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from kgqa_support import make_graph
from kgqa_support import save_model as save_kgqa
from static_support import save_static, sentences
from support import NASTY, SENTENCE, invoke, records

CLOSE = 1e-4  # of scores, which are in four digits
COMMANDS = {
    "ner": "ner -m {ner}",
    "ner nested": "ner -m {ner} --nested",
    "relation": "relation -m {relation} --threshold 0.3",
    "event": "event -m {event}",
    "classify": "classify -m {classify}",
    "classify ngram": "classify -m {ngram}",
    "classify pairs": "classify -m {pairs} --pair second",
    "classify labels": "classify -m {static} --labels 天气,银行",
    "summarize": "summarize --length 12",
    "embed": "embed -m {embed}",
    "embed static": "embed -m {static}",
    "kgqa": "kgqa -m {kgqa} --graph {graph} --field text",
    "search": "search query {index} -k 5",
    "search bm25": "search query {index} -k 5 --method bm25",
}
LINES = [name for name in COMMANDS if name not in ("classify pairs", "kgqa")]  # that read plain text as it is

# Characters that change what is around them, that look like nothing, and that some program takes for an end.
SPECIAL = (
    "\0\t\r\x0b\x0c\x1b\x1c\x1d\x1e\x1f\x7f\x80\x85\x9b\xa0\xad\u0300\u0301\u0338\u034f\u061c\u0e31\u1160\u115f\u17b4"
    "\u180e\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202e\u2060\u2066\u206f\u20e3\u3000\u302a\u3099\u3164\ufe0e\ufe0f"
    "\ufeff\uffa0\ufff9\ufffb\ufffc\ufffd\ufffe\uffff\ue000\U0001f1e8\U0001f1f3\U0001f3fd\U000e0001\U000e0067\U000e007f"
    "\U0001d173\U00020bb7\U0003134a\U000f0000\U0010ffff\ud55c\u1112\u1161\u11ab\u2ff0\ua9c0\u0915\u094d\u0937\u05d0\u0639"
)
CLUSTERS = (
    "👨‍👩‍👧",
    "🏴\U000e0067\U000e0062\U000e007f",
    "🇨🇳",
    "1️⃣",
    "e\u0301\u0302",
    "한",
    "क्ष",
    "שָׁ",
    "‮叶老桂‬",
    "ｱﾞ",
    "㎏",
    "ﬁ",
    "İ",
    "ß",
)
WORDS = (
    SENTENCE,
    "叶老桂",
    "浙商银行",
    "红楼梦",
    "作者是谁？",
    "今天天气不错。",
    "花呗怎么还款",
    "iPhone",
    "collect",
    "收购了",
)
characters = st.one_of(
    st.characters(exclude_categories=["Cs"], exclude_characters="\n"), st.sampled_from(SPECIAL),
    st.sampled_from("叶老桂在浙商银行工作，。！？的" + string.ascii_letters + string.digits + " \"'\\{}[],|<>&"),
)  # fmt: skip
pieces = st.one_of(st.text(characters, max_size=12), st.sampled_from(CLUSTERS), st.sampled_from(WORDS))
runs = st.builds(lambda piece, times: piece * times, st.one_of(characters, pieces), st.integers(20, 120))
texts = st.one_of(
    st.lists(pieces, max_size=8).map("".join),
    st.text(characters, max_size=30),
    runs,
    st.sampled_from(NASTY),
    st.just(""),
)
values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(characters, max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(characters, max_size=3), inner, max_size=3),
    max_leaves=6,
)  # fmt: skip
items = st.builds(
    lambda text, second, extra: {"text": text, "second": second, "附加": extra}, texts, texts, values
)  # fmt: skip
LONG = ("a" * 700, "中" * 500, "\u0301" * 400, "👨‍👩‍👧" * 60, "。" * 400, "\u200d" * 400, SENTENCE * 60, " " * 400)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A tiny model of each command, by name, with a folder for files."""
    folder = tmp_path_factory.mktemp("unicode")
    makers = {
        "relation": make_relation, "event": make_event, "classify": lambda f: save_encoder(f, task()),
        "ngram": lambda f: save_ngram(f, task()), "pairs": lambda f: save_encoder(f, task(pairs=True)),
        "embed": save_embedder, "static": save_static, "kgqa": save_kgqa, "graph": make_graph,
    }  # fmt: skip
    for name, make in makers.items():
        make(folder / name)
    (folder / "c.txt").write_text("\n".join(sentences(12)), encoding="utf-8")
    result = invoke("search", "build", folder / "c.txt", "-m", folder / "static", "-o", folder / "index", "-q")
    assert result.exit_code == 0, result.output
    return {"folder": folder, **{name: folder / name for name in (*makers, "index")}}


@pytest.fixture(scope="module")
def run(made, tiny):
    """Runs a command over the content of a file; gives its result."""

    def run(name, file, content, *more):
        path = made["folder"] / file
        path.write_bytes(content)
        arguments = COMMANDS[name].format(**{**made, "ner": tiny}).split(" ")
        return invoke(*arguments, path, "-q", *more)

    return run


def answers(run, name, given):
    """The records that a command gives for records, each checked on its own."""
    content = "".join(json.dumps(item) + "\n" for item in given)
    result = run(name, "in.jsonl", content.encode())
    assert result.exit_code == 0, result.output
    found = records(result)
    assert len(found) == len(given)
    for item, record in zip(given, found, strict=True):
        text = record.pop("query") if name.startswith("search") else record.pop("text")
        assert text == item["text"]
        assert {key: record.pop(key) for key in ("second", "附加")} == {key: item[key] for key in ("second", "附加")}
        check_spans(record, text, name)
    return found


def check_spans(value, text, name):
    """Every span slices back to what is said of it."""
    if isinstance(value, list):
        for item in value:
            check_spans(item, text, name)
    elif isinstance(value, dict):
        if "start" in value:
            start, end = value["start"], value["end"]
            assert 0 <= start < end <= len(text)
            assert value.get("text", text[start:end]) == text[start:end]
        for item in value.values():
            check_spans(item, text, name)
        if "summary" in value:
            assert value["summary"] in text or all(
                text[s["start"] : s["end"]] in value["summary"] for s in value["sentences"]
            )


def same(one, other):
    """Whether two answers are equal, but for the last digits of scores."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, float):
        return abs(one - other) <= CLOSE * 1.01
    return one == other


def check_independence(run, name, given):
    """The answers are those of the reversed lines, of the lines twice, and of each line alone."""
    found = answers(run, name, given)
    others = {
        "reversed": answers(run, name, given[::-1])[::-1],
        "twice": answers(run, name, [*given, *given])[len(given) :],
        "alone": [answers(run, name, [item])[0] for item in given[:3]],
    }
    for way, again in others.items():
        differing = [
            index for index, (one, other) in enumerate(zip(found, again, strict=False)) if not same(one, other)
        ]
        assert not differing, f"{name}: the answers to {differing} are others if the lines come {way}"


def prepared(count):
    return settings(max_examples=count, suppress_health_check=list(HealthCheck))


@pytest.mark.parametrize("name", COMMANDS)
@prepared(8)
@given(given=st.lists(items, min_size=1, max_size=8))
@example(given=[{"text": text, "second": text[::-1], "附加": 1} for text in (*NASTY, *CLUSTERS)])
def test_records(run, name, given):
    check_independence(run, name, given)


@pytest.mark.parametrize("name", COMMANDS)
def test_long_runs(run, name):
    """Of characters that are tokens, of those that are none, and of whole sentences, all longer than a window."""
    check_independence(run, name, [{"text": text, "second": text[:5], "附加": len(text)} for text in LONG])


@pytest.mark.nightly
@pytest.mark.parametrize("name", COMMANDS)
@prepared(2000)
@given(given=st.lists(items, min_size=1, max_size=8))
def test_many_records(run, name, given):
    check_independence(run, name, given)


@pytest.mark.parametrize("name", LINES)
@prepared(8)
@given(lines=st.lists(texts, min_size=1, max_size=12), end=st.sampled_from(["\n", "\r\n"]))
def test_lines_of_plain_text(run, name, lines, end):
    content = "".join(f"{line}{end}" for line in ("首", *lines))  # the first line decides whether it is text
    result = run(name, "in.txt", content.encode())
    assert result.exit_code == 0, result.output
    expected = [
        line.lstrip("\ufeff")
        for line in ("首", *(line if end == "\r\n" else line.removesuffix("\r") for line in lines))
    ]
    assert [record.get("text", record.get("query")) for record in records(result)] == expected


@pytest.mark.parametrize("name", LINES)
@prepared(25)
@given(content=st.lists(st.one_of(st.binary(max_size=12), st.sampled_from(["好".encode(), b"x"])), max_size=9))
def test_lines_of_any_bytes(run, name, content):
    """What cannot be read is counted and left out; what is no text is refused; the rest is as without it."""
    result = run(name, "in.txt", b"\n".join(content), "--on-error", "skip")
    assert result.exit_code in (0, 1, 3)
    assert "Traceback" not in result.stderr
    if result.exit_code == 1:
        (line,) = result.stderr.splitlines()
        assert line.startswith("nlpkit: error: ")
    else:
        skipped = len(result.stderr.splitlines()) - (result.exit_code == 3)
        joined = b"\n".join(content)
        lines = joined.count(b"\n") + bool(joined and not joined.endswith(b"\n"))
        assert len(records(result)) + skipped == lines


@pytest.mark.parametrize("name", COMMANDS)
def test_lone_surrogates_are_bad_records_beside_good_ones(run, name):
    good = [{"text": SENTENCE, "second": "x", "附加": None}, {"text": "👨‍👩‍👧", "second": "", "附加": [1]}]
    expected = answers(run, name, good)
    bad = ['{"text": "\\ud800"}', '{"text": "\\udc00\\ud800x"}', '{"text": "x", "\\ud83d": 1}', '{"text": "\\uZZZZ"}']
    content = "\n".join([bad[0], json.dumps(good[0]), *bad[1:3], json.dumps(good[1]), bad[3]])
    result = run(name, "in.jsonl", content.encode(), "--on-error", "skip")
    assert result.exit_code == 3, result.output
    assert sum(":1: " in line or "in.jsonl:" in line for line in result.stderr.splitlines()) == 4
    assert len(records(result)) == len(expected) == 2
