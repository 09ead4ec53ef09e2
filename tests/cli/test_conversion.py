"""`nlpkit convert` there and back: what a format can hold comes back as it was, all else is refused or counted."""

import json
import os
import re
import shutil

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support import texts

from nlpkit.cli.conversion import read, render, without_unsupported
from nlpkit.core.formats.annotation import Sink, Source, Tally
from nlpkit.core.formats.tools import TOOLS
from nlpkit.core.io.folders import new_folder
from nlpkit.core.io.records import ErrorPolicy

few = settings(  # each example writes and reads files
    max_examples=int(os.environ.get("CONVERSION_EXAMPLES", "25")), suppress_health_check=[HealthCheck.too_slow]
)

LABELS = st.one_of(
    st.sampled_from(
        ["PER", "人名", "PER.NAM", "a-b", "x_y", " a", "产品 名", 'say "hi"', "it's", "a\\n", "行\n列", "O", "B-O"]
    ),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=6),
)
CHARACTERS = "王芳在腾讯 上海𠮷😀👨‍👩‍👧e\u0301ab1|#,，\r\n\t\x00\x1c\x85\u2028\u3000\ufeff\u200b"
NASTY_TEXTS = st.one_of(texts, st.text(st.sampled_from(CHARACTERS), max_size=30))


def spans_of(text):
    ends = st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))
    return ends.map(sorted).filter(lambda span: span[0] < span[1])


def mark(text, span):
    return {"start": span[0], "end": span[1], "text": text[span[0] : span[1]]}


def entity(text, span, label):
    return {"start": span[0], "end": span[1], "label": label, "text": text[span[0] : span[1]]}


@st.composite
def entity_records(draw, text=NASTY_TEXTS, labels=LABELS):
    found = draw(text)
    pairs = draw(st.sets(st.tuples(spans_of(found).map(tuple), labels), max_size=6)) if found else set()
    return {"text": found, "entities": [entity(found, *pair) for pair in sorted(pairs)]}


@st.composite
def relation_records(draw, text=NASTY_TEXTS, labels=LABELS, at_least=0):
    found = draw(text.filter(len))
    span = spans_of(found).map(tuple)
    triples = draw(st.sets(st.tuples(span, labels, span), min_size=at_least, max_size=4))
    relations = [
        {"subject": mark(found, one), "predicate": label, "object": mark(found, other)}
        for one, label, other in sorted(triples)
    ]
    return {"text": found, "relations": relations}


@st.composite
def event_records(draw, text=NASTY_TEXTS, labels=LABELS):
    found = draw(text.filter(len))
    span = spans_of(found).map(tuple)
    events = []
    for _ in range(draw(st.integers(0, 3))):
        trigger = draw(st.one_of(st.none(), span))
        plain = draw(st.sets(st.tuples(span, labels.filter(lambda role: role != "trigger")), max_size=4))
        arguments = [{"role": role, **mark(found, place)} for place, role in plain]
        if trigger:
            listed = draw(st.dictionaries(labels.filter(lambda role: role != "trigger"), labels, max_size=2))
            arguments += [{"role": role, **mark(found, trigger), "value": value} for role, value in listed.items()]
        if trigger or arguments:
            place = mark(found, trigger) if trigger else None
            events.append({"type": draw(labels), "trigger": place, "arguments": arguments})
    return {"text": found, "events": events}


def convert(given, source, target, *, path=None, task=None, offsets=None):
    """Convert as the command does, without its parser; bytes or a path, and what would be on stderr."""
    skipped = []
    errors, tally = ErrorPolicy("skip", lambda error: skipped.append(f"skipped: {error}")), Tally()
    reading = Source([str(given)], on_error=errors, tally=tally, offsets=offsets if source == "doccano" else None)
    sink = Sink(errors, tally, offsets if target == "doccano" else None)
    found = without_unsupported(target, read(source, reading, task), sink)
    if target == "brat":
        shutil.rmtree(path, ignore_errors=True)
        with new_folder(path) as folder:
            TOOLS["brat"].write_folder(found, sink, folder)
    else:
        path.write_bytes(b"".join(render(target, found, sink)))
    return path, [*skipped, *tally.messages()]


def as_records(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n")[:-1]]


def there_and_back(found, format, folder, task=None, offsets=None):
    """The records written and read again, and the messages of the writing."""
    path = folder / f"out.{format}"
    (folder / "in").write_bytes(b"".join(orjson.dumps(record) + b"\n" for record in found))
    _, said = convert(folder / "in", "nlpkit", format, path=path, offsets=offsets)
    back, _ = convert(path, format, "nlpkit", path=folder / "back", task=task, offsets=offsets)
    return as_records(back), said


def skips(said):
    return sum(line.startswith("skipped: ") for line in said)


def canonical(found, folder):
    """As nlpkit itself writes the records: sorted, without duplicates."""
    return there_and_back(found, "nlpkit", folder)[0]


# --- what a format cannot hold, said independently of it --------------------------------------------------------------


def misread_by_doccano(record):
    """An entity at a line break beside \\r\\n."""
    return "\r\n" in record["text"] and any(e["text"].strip("\r\n") != e["text"] for e in record.get("entities", []))


def blank(label):
    return re.search(r"\s", label) is not None


REFUSED = {
    "nlpkit": lambda r: False,
    "labelstudio": lambda r: False,
    "conll": lambda r: not r["text"] or bool(set(r["text"]) & set("\r\n\t\ufeff")) or any(map(bad_tag, labels_of(r))),
    "cmeee": lambda r: (
        "|||" in r["text"]
        or r["text"].endswith("|")
        or r["text"].startswith("\ufeff")
        or bool(set(r["text"]) & set("\r\n"))
        or any(blank(label) or "|" in label for label in labels_of(r))
    ),
    "brat": lambda r: any(blank(label) for label in labels_of(r)) or any(edged(e["text"]) for e in r["entities"]),
}
REFUSED["bioes"] = REFUSED["conll"]


def labels_of(record):
    return [e["label"] for e in record["entities"]]


def bad_tag(label):
    """White space that a column cannot hold, or a tag that looks like several."""
    pieces = f"B-{label}".split("\x02" if "\x02" in label else " ")
    several = len(pieces) > 1 and all(re.fullmatch(r"(?s)O|[BIMESUL][-_].+", piece) for piece in pieces)
    several = several or re.search(r"[\s,;|]+(O$|[BIMESUL]-)", label) is not None
    return bool(set(label) & set("\t\n\r\ufeff")) or label != label.rstrip(" ") or several


def edged(text):
    breaks = "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"
    return text[0] in breaks or text[-1] in breaks


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("conversion")


@pytest.mark.parametrize("format", ["nlpkit", "labelstudio", "cmeee", "brat"])
@few
@given(found=st.lists(entity_records(), max_size=3))
def test_entities_come_back_as_they_were(folder, format, found):
    refused = [record for record in found if REFUSED[format](record)]
    back, said = there_and_back(found, format, folder)
    assert back == canonical([record for record in found if record not in refused], folder)
    assert skips(said) == len(refused)


@few
@given(found=st.lists(entity_records(), max_size=3))
def test_entities_come_back_from_doccano(folder, found):
    """Except where its page could have meant other offsets, which is refused."""
    back, said = there_and_back(found, "doccano", folder)
    assert all(record in canonical(found, folder) for record in back)
    assert skips(said) == len(found) - len(back)
    assert [record for record in canonical(found, folder) if not misread_by_doccano(record)] == [
        record for record in back if not misread_by_doccano(record)
    ]


@pytest.mark.parametrize("unit", ["codepoint", "utf16", "grapheme"])
@few
@given(found=st.lists(entity_records(), max_size=3))
def test_entities_come_back_from_doccano_in_every_unit(folder, unit, found):
    """Spans that cut a grapheme cluster cannot be counted in them."""
    back, said = there_and_back(found, "doccano", folder, offsets=unit)
    assert all(record in canonical(found, folder) for record in back)
    assert skips(said) == len(found) - len(back)
    if unit != "grapheme":
        assert back == canonical(found, folder)


@pytest.mark.parametrize("format", ["conll", "bioes"])
@few
@given(found=st.lists(entity_records(), max_size=3))
def test_tags_hold_the_longest_of_entities_that_overlap(folder, format, found):
    kept = canonical([record for record in found if not REFUSED[format](record)], folder)
    back, said = there_and_back(found, format, folder)
    assert [record["text"] for record in back] == [record["text"] for record in kept]
    lost = 0
    for record, before in zip(back, kept, strict=True):
        covered = set()
        for e in record["entities"]:
            assert e in before["entities"]
            assert not covered & set(range(e["start"], e["end"]))
            covered |= set(range(e["start"], e["end"]))
        missing = [e for e in before["entities"] if e not in record["entities"]]
        lost += len(missing)
        for e in missing:  # only for one that is at least as long
            rivals = [o for o in record["entities"] if o["start"] < e["end"] and e["start"] < o["end"]]
            assert max(o["end"] - o["start"] for o in rivals) >= e["end"] - e["start"]
    counted = re.search(r"dropped: (\d+) entit", " ".join(said))
    assert (int(counted[1]) if counted else 0) == lost


@pytest.mark.parametrize("format", ["nlpkit", "labelstudio", "doccano", "brat"])
@few
@given(found=st.lists(relation_records(), max_size=3))
def test_relations_come_back_as_they_were(folder, format, found):
    back, said = there_and_back(found, format, folder, task="relation")
    assert all(record in canonical(found, folder) for record in back)
    assert skips(said) == len(found) - len(back)
    if format in ("nlpkit", "labelstudio"):
        assert len(back) == len(found)
    for record in found:
        ends = [end["text"] for r in record["relations"] for end in (r["subject"], r["object"])]
        if (
            format == "brat"
            and not any(map(edged, ends))
            and not any(blank(r["predicate"]) for r in record["relations"])
        ):
            assert canonical([record], folder)[0] in back


@pytest.mark.parametrize("format", ["nlpkit", "labelstudio", "doccano", "brat"])
@few
@given(data=st.data())
def test_records_with_entities_and_relations_come_back_whole(folder, format, data):
    plain = st.text(st.sampled_from("王芳在腾讯 上海𠮷😀ab1|#,，"), min_size=1, max_size=20)
    labels = st.sampled_from(["PER", "人名", "a-b", "it's", "T1", "E2"])
    record = data.draw(relation_records(plain, labels, at_least=1))
    record |= {
        "entities": data.draw(entity_records(st.just(record["text"]), labels).filter(lambda r: r["entities"]))[
            "entities"
        ]
    }
    back, said = there_and_back([record], format, folder)
    assert back == canonical([record], folder)
    assert said == []


@pytest.mark.parametrize("format", ["nlpkit", "brat"])
@few
@given(found=st.lists(event_records(), max_size=3))
def test_events_come_back_as_they_were(folder, format, found):
    back, said = there_and_back(found, format, folder, task="event")
    before = canonical(found, folder)
    skipped = skips(said)
    assert len(back) == len(found) - skipped
    if format == "nlpkit":
        assert back == before
        return
    triggered = [{**record, "events": [e for e in record["events"] if e["trigger"]]} for record in before]
    assert all(record in triggered for record in back)
    for record in triggered:
        names = [
            n
            for e in record["events"]
            for n in (e["type"], *(x for a in e["arguments"] for x in (a["role"], a.get("value", ""))))
        ]
        spans = [s["text"] for e in record["events"] for s in (e["trigger"], *e["arguments"])]
        plain = not any(blank(n) or ":" in n or n[-1:].isdigit() for n in names) and not any(map(edged, spans))
        if plain:
            assert record in back


@few
@given(found=st.lists(entity_records(labels=st.sampled_from(["PER", "公司"])), min_size=1, max_size=3))
def test_scores_come_back_from_label_studio(folder, found):
    for record in found:
        for number, e in enumerate(record["entities"]):
            e["score"] = round(0.5 + number / 100, 4)
    back, said = there_and_back(found, "labelstudio", folder)
    assert (back, said) == (found, [])
    tasks = json.loads((folder / "out.labelstudio").read_text(encoding="utf-8"))
    predicted = any(record["entities"] for record in found)  # so are texts in which nothing was found
    assert all(("predictions" in task) == predicted == ("annotations" not in task) for task in tasks)
