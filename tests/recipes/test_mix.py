"""The training set of the embedded NER model: labels of other sets, and which silver texts have all labels."""

import importlib
from pathlib import Path

import pytest

from nlpkit.core.io.records import Line
from nlpkit.tasks.ner.data import Entity, Example

TEXT = "任正非在深圳创办了华为"
NAME, PLACE, COMPANY = Entity(0, 3, "PER"), Entity(4, 6, "LOC"), Entity(9, 11, "ORG")


@pytest.fixture
def mix(monkeypatch):
    """The recipe's module."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "recipes" / "ner-cluener"))
    return importlib.import_module("mix")


def example(*entities):
    return Example(TEXT, entities, Line("", "silver", 1))


def answers(*scores):
    spans = ((0, 3, "name"), (4, 6, "address"), (9, 11, "company"))
    return example(*(Entity(*span, score) for span, score in zip(spans, scores, strict=False)))


def test_sentences_of_boson(mix, tmp_path):
    path = tmp_path / "boson.txt"
    path.write_text("{{person_name:任正非}}在{{location:深圳}}创办了{{company_name:华为}}。短句。\\n那是{{time:1987年}}的事情了\n",
                    encoding="utf-8")  # fmt: skip
    first, second = mix.relabelled(mix.boson(path), mix.BOSON)
    assert first["text"] == TEXT + "。"
    assert [(e["text"], e["label"]) for e in first["entities"]] == [
        ("任正非", "PER"),
        ("深圳", "LOC"),
        ("华为", "company"),
    ]
    assert first["labels"] == second["labels"] == ["LOC", "ORGX", "PER", "company"]
    assert (second["text"], second["entities"]) == ("那是1987年的事情了", [])


def test_an_entity_beyond_the_longest_text_is_left_out(mix, monkeypatch):
    monkeypatch.setattr(mix, "LONGEST", 10)
    (record,) = mix.relabelled([example(NAME, COMPANY)], mix.COARSE)
    assert (record["text"], [e["label"] for e in record["entities"]]) == (TEXT[:10], ["PER"])


@pytest.mark.parametrize(
    ("scores", "sure"), [((0.9, 0.99, 0.86), True), ((0.9, 0.99, 0.84), False), ((0.9, 0.9), False), ((), False)]
)
def test_an_answer_is_sure_if_all_of_it_is_and_no_name_is_missing(mix, scores, sure):
    assert mix.is_sure(answers(*scores), [NAME, PLACE, COMPANY]) is sure


def test_a_sure_answer_has_all_labels_and_another_one_those_of_lac(mix):
    gazetteers = {"ORG": ("company", {"华为"}), "LOC": ("address", {"北京"})}
    silver = [example(NAME, PLACE, COMPANY)] * 2
    sure, coarse = mix.silver_records(silver, [answers(0.9, 0.9, 0.9), answers(0.9, 0.5, 0.9)], gazetteers)
    assert "labels" not in sure
    assert [e["label"] for e in sure["entities"]] == ["name", "address", "company"]
    assert [e["label"] for e in coarse["entities"]] == ["PER", "LOC", "company"]
    assert coarse["labels"] == ["LOC", "PER", "company"]
    with pytest.raises(ValueError, match="the answers are not those of the silver texts"):
        list(mix.silver_records(silver[:1], [Example("别的", (), Line("", "answers", 1))], gazetteers))
