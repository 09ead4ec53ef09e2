"""`nlpkit ner --dict`, `evaluate ner --dict` and `nlpkit dict build`."""

import json

import pytest
from support import SENTENCE, records, write_jsonl

PRESENT = "names.tsv: 2 of 3 names are in the texts"


@pytest.fixture
def names(tmp_path):
    """Writes names.tsv."""

    def write(*lines):
        (tmp_path / "names.tsv").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
        return "names.tsv"

    return write


@pytest.fixture
def ner(nlpkit, tiny):
    """Runs `nlpkit ner` with the tiny model; gives the entities of each text."""

    def run(*args, text=SENTENCE, code=0):
        result = nlpkit("ner", "--model", tiny, "--threshold", 0.9, *args, text=text)
        assert result.exit_code == code, result.stderr
        return [record["entities"] for record in records(result)], result.stderr.splitlines()

    return run


def given(found, source="dict"):
    return [(e["text"], e["label"]) for e in found if e.get("source") == source]


def test_names_are_entities_beside_those_of_the_model(ner, names):
    ((plain,), _) = ner()
    text = SENTENCE.replace("北京大学", "ＯＰＰＯ")
    ((found,), lines) = ner(
        "--dict", names("oppo\tbrand", "王小明去\tname", "无\tx"), "--dict-mode", "override", text=text
    )
    assert given(found) == [("王小明去", "name"), ("ＯＰＰＯ", "brand")]
    start = text.index("ＯＰＰＯ")
    span = {"start": start, "end": start + 4, "label": "brand", "text": "ＯＰＰＯ"}
    assert found[-1] == {**span, "score": 1.0, "source": "dict"}
    assert lines == [f"nlpkit: {PRESENT}"]
    assert not any("source" in entity for entity in plain)
    assert ner("--dict", "names.tsv", "--quiet", text=text)[1] == []


def test_the_mode_says_which_of_two_that_overlap_stays(ner, names):
    ((plain,), _) = ner()
    first = plain[0]
    name = SENTENCE[first["start"] : first["end"]]
    names(f"{name}\tbrand")
    for options in ((), ("--dict-mode", "join")):
        assert ner("--dict", "names.tsv", *options)[0] == [plain]
    ((overridden,), _) = ner("--dict", "names.tsv", "--dict-mode", "override")
    assert given(overridden) == [(name, "brand")]
    assert first not in overridden
    ((nested,), _) = ner("--dict", "names.tsv", "--nested")
    assert first in nested
    assert given(nested) == [(name, "brand")]
    longer = SENTENCE[max(0, first["start"] - 1) : first["end"] + 1]
    ((joined,), _) = ner("--dict", names(f"{longer}\tbrand"))
    assert given(joined) == [(longer, "brand")]
    assert first not in joined


def test_labels_of_the_dictionary_may_be_asked_for_and_filtered(ner, names, nlpkit, tiny):
    names("王小明\tbrand", "北京大学\tschool")
    ((found,), lines) = ner("--dict", "names.tsv", "--labels", "brand", "--dict-mode", "override")
    assert [(e["text"], e["label"]) for e in found] == [("王小明", "brand")]
    assert lines == ["nlpkit: names.tsv: 2 of 2 names are in the texts"]
    result = nlpkit("ner", "--model", tiny, "--dict", "names.tsv", "--labels", "brand,colour", text=SENTENCE)
    assert (result.exit_code, result.stderr) == (
        2,
        "nlpkit: error: the model and the dictionary have no label colour; they have: company, name, brand, school\n",
    )


def test_a_name_that_no_window_holds_whole_is_found_in_a_long_text(ner, names, tmp_path):
    name = "一二三四五六七八九十" * 9
    text = SENTENCE * 3 + name + SENTENCE * 3
    ((found,), _) = ner("--dict", names(f"{name}\tlong"), "--dict-mode", "override", "--html", "page.html", text=text)
    assert given(found) == [(name, "long")]
    assert 'title="long 1.000"' in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_bad_entries_are_reported_by_line_and_others_used(ner, names, fails, tiny):
    names("王小明 brand", "北京大学\tschool", "北京大學\tschool", "北京大學\tplace", "\tx")
    line = fails(1, "ner", "--model", tiny, "--dict", "names.tsv", text=SENTENCE)
    assert line == "names.tsv:1: name<TAB>label is expected, this line has 1 column(s)"
    ((found,), lines) = ner("--dict", "names.tsv", "--dict-mode", "override", "--on-error", "skip", code=3)
    assert given(found) == [("北京大学", "school")]
    assert lines[0].startswith("nlpkit: skipped: names.tsv:1: ")
    assert lines[1].startswith("nlpkit: skipped: names.tsv:5: the name is empty")
    shadowed = "entries shadowed by an earlier one with another label: 1; the first is names.tsv:4: 北京大學"
    assert lines[2:] == [
        "nlpkit: names.tsv: entries that repeat an earlier one: 1",
        f"nlpkit: names.tsv: {shadowed}",
        "nlpkit: names.tsv: 1 of 1 names are in the texts",
        "nlpkit: 2 bad record(s) skipped",
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["--dict", "none.tsv"], 1, "none.tsv: no such file"),
        (["--dict", "."], 1, ".: is a directory"),
        (["--dict", "-"], 2, "--dict -: stdin has the texts"),
        (["--dict", "empty.tsv"], 1, "empty.tsv: has no entry"),
        (["--dict", "gbk.tsv"], 1, "gbk.tsv:1: not valid utf-8"),
    ],
)
def test_dictionaries_that_cannot_be_read(fails, tiny, tmp_path, arguments, code, words):
    (tmp_path / "empty.tsv").write_text("\n\n")
    (tmp_path / "gbk.tsv").write_bytes("北京\tplace\n".encode("gbk"))
    assert fails(code, "ner", "--model", tiny, *arguments, text=SENTENCE).startswith(words)


def test_a_dictionary_is_built_once_and_mapped(ner, names, nlpkit, tmp_path):
    names("王小明\tname", "北京大學\tschool", "北京大学\tplace")
    result = nlpkit("dict", "build", "names.tsv", "-o", "names.dict")
    (summary,) = records(result)
    assert summary == {"names": 2, "repeated": 0, "shadowed": 1, "labels": ["name", "school", "place"]}
    assert "entries shadowed by an earlier one with another label: 1;" in result.stderr
    (lines, built) = (ner("--dict", path, "--dict-mode", "override") for path in ("names.tsv", "names.dict"))
    assert lines[0] == built[0]
    assert built[1] == ["nlpkit: names.dict: 2 of 2 names are in the texts"]
    again = nlpkit("dict", "build", "-o", "names.dict", "--on-error", "skip", text="a\n甲\tx\n")
    assert (again.exit_code, records(again)[0]["names"]) == (3, 1)
    assert nlpkit("dict", "build", "names.tsv", "-o", str(tmp_path)).exit_code == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["names.dict", "names.tsv"]


def test_names_count_in_an_evaluation(nlpkit, tiny, names, tmp_path):
    gold = [{"text": SENTENCE, "entities": [{"start": 4, "end": 8, "label": "bank"}]}]
    path = write_jsonl(tmp_path / "gold.jsonl", gold)
    assert nlpkit("evaluate", "ner", path, "--model", tiny).exit_code == 1
    names("浙商银行\tbank")
    result = nlpkit("evaluate", "ner", path, "--model", tiny, "--dict", "names.tsv", "--dict-mode", "override")
    assert json.loads(result.stdout)["labels"]["bank"]["recall"] == 1.0
