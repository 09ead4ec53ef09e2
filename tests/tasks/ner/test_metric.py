"""Strict span F1, by hand and against seqeval."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpkit.core.training.metric import prf
from nlpkit.tasks.ner.data import Entity
from nlpkit.tasks.ner.metric import outcomes, span_scores

NAME, COMPANY = Entity(0, 3, "name"), Entity(4, 8, "company")


def test_a_case_by_hand():
    pairs = [
        ([NAME, COMPANY], [NAME, Entity(4, 8, "name")]),
        ([NAME], []),
        ([], [COMPANY]),
        ([], []),
    ]
    scores = span_scores(pairs)
    assert {key: scores[key] for key in ("precision", "recall", "f1", "support")} == {
        "precision": 1 / 3,
        "recall": 1 / 3,
        "f1": 1 / 3,
        "support": 3,
    }
    assert scores["labels"]["name"] == {"precision": 1 / 2, "recall": 1 / 2, "f1": 1 / 2, "support": 2}
    assert scores["labels"]["company"] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "support": 1}


@pytest.mark.parametrize(
    ("counts", "f1"), [((0, 0, 0), 0), ((0, 3, 0), 0), ((0, 0, 3), 0), ((2, 2, 2), 1), ((1, 1, 3), 0.5)]
)
def test_f1(counts, f1):
    assert prf(*counts)["f1"] == f1


@pytest.mark.parametrize("found", [Entity(0, 2, "name"), Entity(1, 3, "name"), Entity(0, 3, "company")])
def test_nearly_right_is_wrong(found):
    assert span_scores([([NAME], [found])])["f1"] == 0


def test_scores_and_repeats_do_not_count():
    assert span_scores([([NAME, NAME], [Entity(0, 3, "name", 0.2)])])["f1"] == 1


tags = st.lists(st.tuples(st.sampled_from([None, "name", "company"]), st.integers(1, 3)), max_size=6)


def entities_of(runs, size):
    """Runs of (label, length) as entities inside `size` characters, and as BIO tags."""
    entities, bio = [], []
    for label, length in runs:
        if label and len(bio) + length <= size:
            entities.append(Entity(len(bio), len(bio) + length, label))
        bio += [f"B-{label}", *[f"I-{label}"] * (length - 1)] if label else ["O"] * length
        if len(bio) > size:
            bio = bio[: entities[-1].end if entities else 0]
    return entities, (bio + ["O"] * size)[:size]


@given(st.lists(st.tuples(tags, tags), min_size=1, max_size=4))
def test_as_seqeval_counts(rows):
    seqeval = pytest.importorskip("seqeval.metrics")
    gold, found = [[entities_of(row[side], 18) for row in rows] for side in (0, 1)]
    if not any(entities for entities, _ in gold) or not any(entities for entities, _ in found):
        return
    scores = span_scores([(a, b) for (a, _), (b, _) in zip(gold, found, strict=True)])
    bio = [bio for _, bio in gold], [bio for _, bio in found]
    assert scores["precision"] == pytest.approx(seqeval.precision_score(*bio, zero_division=0))
    assert scores["recall"] == pytest.approx(seqeval.recall_score(*bio, zero_division=0))
    assert scores["f1"] == pytest.approx(seqeval.f1_score(*bio, zero_division=0))


def test_outcomes_are_the_scores_of_the_models_entities():
    answer = [Entity(0, 3, "name", 0.9), Entity(4, 8, "name", 0.7), Entity(0, 3, "brand", 1.0, "dict")]
    assert outcomes([([NAME, COMPANY], answer), ([COMPANY], [])]) == [(0.9, True), (0.7, False)]
