"""Thresholds, and that they hold for graphs of any size."""

import pytest
from kgqa_support import TOKENIZER, TRIPLES, make_graph, save_model

from nlpkit.tasks.kgqa.codec import Question
from nlpkit.tasks.kgqa.data import Example
from nlpkit.tasks.kgqa.retrieval.candidates import CandidateFinder
from nlpkit.tasks.kgqa.task import load
from nlpkit.tasks.kgqa.training.calibrate import (
    MAX_OK_ABSENT,
    MAX_OK_NEGATIVE,
    MIN_OK_PRECISION,
    OK_THRESHOLDS,
    Outcome,
    best_threshold,
    ok_thresholds,
)


def outcomes(*values, mention=1.0, eligible=True):
    return [Outcome(probability, mention, eligible, right) for probability, right in values]


def test_the_least_thresholds_that_are_strict_enough():
    present = outcomes(*[(0.9, True)] * 90, *[(0.7, False)] * 20, *[(0.6, True)] * 10)
    assert ok_thresholds(present, [], []) == (0.71, 0.0)  # above the wrong ones
    few_wrong = outcomes(*[(0.9, True)] * 90, *[(0.7, False)] * 5)
    assert ok_thresholds(few_wrong, [], []) == (OK_THRESHOLDS[0], 0.0)


def test_answers_to_questions_without_one_raise_the_thresholds():
    present = outcomes(*[(0.9, True)] * 50, *[(0.6, True)] * 50)
    gone = outcomes(*[(0.8, False)] * 2, *[(0.1, False)] * 98)
    assert MAX_OK_ABSENT < 2 / 100
    assert ok_thresholds(present, gone, [])[0] == 0.81
    near = outcomes(*[(0.95, False)] * 10, *[(0.1, False)] * 90, mention=0.15)
    assert MAX_OK_NEGATIVE < 10 / 100
    assert ok_thresholds(present, [], near) == (OK_THRESHOLDS[0], 0.2)  # they are told by where their names end
    assert ok_thresholds(present, outcomes((0.9, False), eligible=False), []) == (OK_THRESHOLDS[0], 0.0)


def test_where_no_thresholds_are_strict_enough_they_are_the_best():
    present = outcomes((0.9, True), (0.95, False), (0.2, False))
    threshold, mention = ok_thresholds(present, [], [])
    assert 0.2 < threshold <= 0.9
    assert mention == 0.5
    assert MIN_OK_PRECISION > 0.5


def test_a_score_does_not_depend_on_the_size_of_the_graph(tmp_path):
    """The logit against "none of them" is the same where the graph has no other names."""
    model = save_model(tmp_path / "model")
    question = Question.encode("红楼梦的作者和长江的长度是多少？", TOKENIZER, 64)
    logits = []
    for number, triples in enumerate((TRIPLES, [triple for triple in TRIPLES if triple[0] == "长江"])):
        make_graph(tmp_path / f"{number}.kg", triples)
        loaded = load(model, "cpu", "fp32", graph=str(tmp_path / f"{number}.kg"))
        finder = CandidateFinder(loaded.graph)
        (result,) = loaded.ranker.rank([question], [finder.candidates(question, finder.mentions(question))])
        scored = zip(result.candidates, result.logits, result.borders, strict=True)
        logits.append({
            loaded.graph.triple(candidate.key): (logit, border) for candidate, logit, border in scored
        })  # fmt: skip
    large, small = logits
    assert set(small) < set(large)
    for key, values in small.items():
        assert values == pytest.approx(large[key], abs=1e-5)


def test_calibration_on_dev(model):
    line = None
    examples = [
        Example("长江的长度是多少？", "长江", "", "长度", "6300公里", line),
        Example("长江有多么长？", "长江", "", "发源地", "唐古拉山", line),  # will be answered wrongly
        Example("南京的面积", "南京", "", "面积", "6587平方千米", line),
    ]
    calibrated = model.changed(**model.calibrate(examples))
    questions = [model.question(example.text) for example in examples]
    rankings = model.rank(questions, [model.finder.mentions(question) for question in questions])
    best = [ranking.probabilities(calibrated.settings.temperature)[0].max() for ranking in rankings]
    # The first has the probability of a hard negative, so one of the two thresholds has to refuse both.
    assert best[1] < calibrated.settings.threshold <= best[2]
    statuses = [prediction.answer.status for prediction in calibrated.predictions([e.text for e in examples])]
    assert statuses == ["unsure", "unsure", "ok"]
    assert calibrated.graph is model.graph
    assert best_threshold([0.9, 0.8], [0.1, 0.3]) > 0.3
    assert best_threshold([], [0.1]) == 0.5
