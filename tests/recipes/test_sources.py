"""The training set of ner-general: where the conventions of its sources differ, and what is held out."""

import importlib
import random
import sys
from pathlib import Path

import pytest

from nlpkit.core.io.records import Line
from nlpkit.tasks.ner.data import Entity, Example


@pytest.fixture
def sources(monkeypatch):
    """The recipe's module."""
    monkeypatch.setattr(sys, "path", [str(Path(__file__).parents[2] / "recipes" / "ner-general"), *sys.path])
    return importlib.import_module("sources")


def example(text, *entities):
    return Example(text, tuple(Entity(*entity) for entity in entities), Line("", "text", 1))


def test_what_is_held_out_of_msra_is_new_to_the_encoder(sources):
    train, dev = sources.split_msra(list(range(100)), of_encoder=60, count=30)
    of_encoder = random.Random(3).sample(list(range(100)), 60)  # as in `mix.main`
    assert len(dev) == 30
    assert not set(dev) & set(of_encoder)
    assert sorted([*train, *dev]) == list(range(100))


def test_the_last_documents_of_boson_are_held_out(sources, tmp_path):
    path = tmp_path / "boson.txt"
    path.write_text(
        "{{person_name:任正非}}创办了{{company_name:华为}}。\n那是{{time:1987年}}的事情了。\n", encoding="utf-8"
    )
    train, dev = sources.split_boson(path, count=1)
    assert [found.text for found in (*train, *dev)] == ["任正非创办了华为。", "那是1987年的事情了。"]


def test_a_place_as_an_organization_leaves_out_both_labels(sources):
    places = sources.mostly_places(
        [example("中国队在中国", (0, 3, "ORG"), (4, 6, "LOC")), example("国会", (0, 2, "ORG"))]
    )
    assert places == {"中国"}
    actor = example("中国宣布，昨天李明说", (0, 2, "org_name"), (5, 7, "time"), (7, 9, "person_name"))
    company = example("华为在中国", (0, 2, "company_name"), (3, 5, "location"))
    first, second = sources.boson_records([actor, company], places)
    assert first["labels"] == ["PER", "TIME"]
    assert [entity["label"] for entity in first["entities"]] == ["TIME", "PER"]
    assert second["labels"] == ["LOC", "ORG", "PER", "TIME"]
    assert [entity["label"] for entity in second["entities"]] == ["ORG", "LOC"]


def test_a_word_that_boson_does_not_mark_is_no_silver_time(sources):
    boson = [example("目前今天", (2, 4, "time"))] * 5
    silver = [example("目前是今天", (0, 2, "TIME"), (3, 5, "TIME")), example("大业二年", (0, 4, "TIME"))]
    found = list(sources.silver_times(silver, boson))
    assert [[entity["text"] for entity in record["entities"]] for record in found] == [["今天"], ["大业二年"]]
    assert [record["labels"] for record in found] == [["TIME"]] * 2
