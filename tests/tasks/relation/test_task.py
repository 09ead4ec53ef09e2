"""Relations as a task: predicates, what a schema leaves out, and what a model refuses."""

import pytest
from linker_support import save_linker

from nlpkit.core.io.records import Line
from nlpkit.core.model.calibration import Calibration
from nlpkit.core.text.document import Document
from nlpkit.core.text.tokenizer import SPECIALS, CharTokenizer
from nlpkit.errors import DataError, ModelError
from nlpkit.tasks.relation.codec import Pair
from nlpkit.tasks.relation.data import Example, Relation, Span
from nlpkit.tasks.relation.task import RelationSettings, RelationTask, load

TOKENIZER = CharTokenizer(SPECIALS)
TEXT = "《三体》的作者是刘慈欣"
AUTHOR = Relation(Span(1, 3), "作者", Span(8, 11))
WORK = Relation(Span(8, 11), "作品", Span(1, 3))
LINE = Line("", "gold", 7)
GOLD = Example(TEXT, (AUTHOR, WORK), LINE)
PREDICATES = ("作品", "作者")


def test_the_predicates_of_a_task_are_those_of_its_training_set():
    shares = dict.fromkeys(("作者", "作品"), (2 / 3,) * 4)
    expected = RelationSettings(PREDICATES, 16, shares=shares)
    assert RelationTask.from_examples([GOLD], ["a"], head_size=16).settings == expected
    with pytest.raises(DataError, match="a: no text has a relation"):
        RelationTask.from_examples([Example(TEXT, (), LINE)], ["a"])


def test_relations_that_exclude_each_other_are_not_both_returned():
    pairs = [[Pair(0, (2, 3), (9, 11), 0.9), Pair(0, (2, 3), (9, 10), 0.8)]]
    document = Document.of(TEXT, TOKENIZER, 64)
    both, one = (
        RelationTask(RelationSettings(("作者",), shares=shares)).assemble(document, pairs, 0.5)
        for shares in ({}, {"作者": (0.99, 0.5, 0.5, 0.5)})
    )
    assert (len(both), one) == (2, [AUTHOR])


def test_changed_settings_keep_the_predicates_to_return():
    task = RelationTask(RelationSettings(PREDICATES), include=("作者",)).changed(threshold=0.25)
    assert (task.settings.threshold, task.include) == (0.25, ("作者",))
    pairs = [[Pair(0, (9, 11), (2, 3), 0.9), Pair(1, (2, 3), (9, 11), 0.3)]]
    assert task.assemble(Document.of(TEXT, TOKENIZER, 64), pairs, 0.25) == [AUTHOR]


def test_targets_have_two_labels_and_links_of_each_predicate():
    task, document = RelationTask(RelationSettings(PREDICATES)), Document.of(TEXT, TOKENIZER, 64)
    targets = task.collate([task.target(Example(TEXT, (AUTHOR,), LINE), document, document.windows[0])], 13)
    assert targets["spans"].tolist() == [[[[2 * 13 + 3]], [[9 * 13 + 11]]]]
    assert targets["heads"].tolist() == [[[[-1]], [[2 * 13 + 9]]]]
    assert targets["tails"].tolist() == [[[[-1]], [[3 * 13 + 11]]]]


def test_gold_that_cuts_a_token_is_counted_and_unknown_predicates_are_errors():
    task = RelationTask(RelationSettings(PREDICATES[1:]))
    text = "e\u0301x"
    cut = Example(text, (Relation(Span(0, 1), "作者", Span(2, 3)), Relation(Span(2, 3), "作者", Span(0, 2))), LINE)
    assert task.misaligned(cut, Document.of(text, TOKENIZER, 64)) == 1
    with pytest.raises(DataError, match="gold:7: the model has no predicate 作品; it has: 作者"):
        task.validate(GOLD)
    task.validate(Example(TEXT, (AUTHOR,), LINE))


def test_examples_are_joined_and_scored():
    task = RelationTask(RelationSettings(PREDICATES))
    joined = task.join([GOLD, GOLD])
    assert [relation.subject.start for relation in joined.relations] == [1, 8, 12, 19]
    scores = task.score([(GOLD, [AUTHOR]), (GOLD, [AUTHOR, Relation(Span(1, 3), "作品", Span(8, 11))])])
    assert (scores["triple"]["precision"], scores["triple"]["recall"]) == (2 / 3, 0.5)
    assert list(task.to_fields(TEXT, [AUTHOR])) == ["relations"]


def test_options_of_loading(tmp_path):
    folder = save_linker(tmp_path / "m", RelationTask(RelationSettings(PREDICATES)))
    (tmp_path / "schema.json").write_text('{"predicate": "作者"}', encoding="utf-8")
    predictor = load(folder, "cpu", "fp32", threshold=0.7, schema=str(tmp_path / "schema.json"))
    assert (predictor.settings.threshold, predictor.task.include) == (0.7, ("作者",))
    own = load(folder, "cpu", "fp32")
    assert (own.settings.threshold, own.task.include) == (0.5, None)
    (tmp_path / "schema.json").write_text('{"predicate": "首都"}', encoding="utf-8")
    with pytest.raises(DataError, match=r"schema\.json:1: .*首都"):
        load(folder, "cpu", "fp32", schema=str(tmp_path / "schema.json"))
    with pytest.raises(ModelError, match="no such model"):
        load("none", "cpu", "fp32")


def test_scores_are_calibrated():
    calibration = Calibration(2.0, -0.5)
    task = RelationTask(RelationSettings(PREDICATES, calibration=calibration))
    relations = [Relation(Span(1, 3), "作者", Span(8, 11), 0.9)]
    assert [relation.score for relation in task.calibrated(relations)] == [calibration.score(0.9)]
    assert task.outcomes([(GOLD, relations)]) == {"ece": [(0.9, True)]}
