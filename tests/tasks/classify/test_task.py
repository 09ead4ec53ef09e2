"""Classification as a task: settings, scores, answers, calibration, and what a model refuses."""

import numpy as np
import pytest
import torch
from classify_support import LABELS, TOKENIZER, example, network_of, task
from hypothesis import given
from hypothesis import strategies as st

from nlpkit.core.model.calibration import Calibration
from nlpkit.core.text.document import Document
from nlpkit.core.text.windows import Window
from nlpkit.errors import DataError, UsageError
from nlpkit.nn.network import TorchRunner
from nlpkit.tasks.classify.data import Answer
from nlpkit.tasks.classify.settings import ClassifySettings
from nlpkit.tasks.classify.task import ClassifyPredictor, ClassifyTask, WholeTextPredictor

ABC = ("a", "b", "c")


def answer(*scores, truncated=False):
    return Answer(np.array(scores), truncated=truncated)


def decided(made, *scores, truncated=False):
    """The answer with the labels of a task."""
    return made.answer(np.array(scores, dtype=np.float64), truncated)


def fields_of(made, text, *scores, truncated=False):
    return made.to_fields(text, decided(made, *scores, truncated=truncated))


def test_the_settings_of_a_task_are_those_of_its_training_set():
    single = [example("甲", "b"), example("乙", "a"), example("丙", "a")]
    assert ClassifyTask.from_examples(single, ["x"], r_drop=4.0).settings == ClassifySettings(
        ("a", "b"), (2, 1), r_drop=4.0
    )
    several = [example("甲", "b"), example("乙", "a", "b", multiple=True)]
    found = ClassifyTask.from_examples(several, ["x"]).settings
    assert (found.multiple, found.may_be_empty, found.threshold, found.counts) == (True, False, 0.5, (1, 2))
    empty = ClassifyTask.from_examples([*several, example("丙", multiple=True)], ["x"]).settings
    assert empty.may_be_empty
    pairs = ClassifyTask.from_examples([example("甲", "a", second="乙"), example("甲", "b", second="丙")], [])
    assert (pairs.settings.pairs, pairs.metric) == (True, "accuracy")
    assert ClassifyTask.from_examples(several, ["x"]).metric == "f1"
    with pytest.raises(DataError, match=r"^x: all examples have the label 'a'"):
        ClassifyTask.from_examples(single[1:], ["x"])


def test_changed_settings_keep_the_options():
    made = task(ABC, top=2, unlabelled=("甲",)).changed(threshold=0.75)
    assert (made.settings.threshold, made.top, made.unlabelled) == (0.75, 2, ("甲",))


@pytest.mark.parametrize("top", [4, 100])
def test_more_labels_than_there_are_cannot_be_listed(top):
    message = f"^--top {top}: the model has 3 labels; pass a number up to 3$"
    with pytest.raises(UsageError, match=message):
        task(ABC, top=top)
    assert task(ABC, top=3).top == 3


logits = st.lists(st.floats(-80, 80), min_size=3, max_size=3)


@given(logits, st.floats(0.05, 20), st.floats(-3, 3))
def test_scores_are_those_of_torch(values, temperature, shift):
    calibration = Calibration(temperature, shift)
    scaled = torch.tensor(values, dtype=torch.float64) / temperature
    single = task(ABC, calibration=calibration).scores_of(np.array(values))
    np.testing.assert_allclose(single, scaled.softmax(-1).numpy(), atol=1e-12)
    several = task(ABC, multiple=True, calibration=calibration).scores_of(np.array([values]))
    np.testing.assert_allclose(several, torch.sigmoid(scaled + shift).numpy()[None], atol=1e-12)


@pytest.mark.parametrize(
    ("settings", "scores", "expected"),
    [
        ({}, (0.2, 0.5, 0.3), [1]),
        ({"threshold": 0.5}, (0.2, 0.5, 0.3), [1]),
        ({"threshold": 0.51}, (0.2, 0.5, 0.3), []),
        ({}, (0.4, 0.4, 0.2), [0]),
        ({"multiple": True, "threshold": 0.5}, (0.5, 0.2, 0.9), [0, 2]),
        ({"multiple": True, "threshold": 0.5}, (0.1, 0.2, 0.1), [1]),
        ({"multiple": True, "threshold": 0.5, "may_be_empty": True}, (0.1, 0.2, 0.1), []),
    ],
)
def test_what_the_answer_is(settings, scores, expected):
    assert task(ABC, **settings).decide(np.array(scores)) == expected


def listed(*pairs):
    return [{"label": label, "score": score} for label, score in pairs]


def test_the_fields_of_one_label():
    fields = fields_of(task(ABC), "甲", 0.2, 0.50001, 0.3)
    assert list(fields) == ["label", "score", "labels"]
    assert fields == {"label": "b", "score": 0.5, "labels": listed(("b", 0.5), ("c", 0.3), ("a", 0.2))}
    assert fields_of(task(ABC, top=1), "甲", 0.2, 0.5, 0.3)["labels"] == listed(("b", 0.5))
    below = fields_of(task(ABC, threshold=0.6), "甲", 0.2, 0.5, 0.3)
    assert (below["label"], below["score"], len(below["labels"])) == (None, 0.5, 3)
    seven = fields_of(task("abcdefg"), "甲", *np.arange(7) / 21)
    assert [item["label"] for item in seven["labels"]] == list("gfedc")  # five unless the user names a number
    assert len(fields_of(task("abcdefg", top=7), "甲", *np.arange(7) / 21)["labels"]) == 7
    tied = fields_of(task(ABC), "甲", 0.25, 0.5, 0.25)
    assert [item["label"] for item in tied["labels"]] == ["b", "a", "c"]


def test_the_fields_of_several_labels():
    made = task(ABC, multiple=True, threshold=0.5)
    assert fields_of(made, "甲", 0.5, 0.2, 0.9) == {"labels": listed(("c", 0.9), ("a", 0.5))}
    assert fields_of(task(ABC, multiple=True, threshold=0.5, top=1), "甲", 0.5, 0.2, 0.9) == {
        "labels": listed(("c", 0.9))
    }
    assert fields_of(made, "甲", 0.1, 0.2, 0.1) == {"labels": listed(("b", 0.2))}


@pytest.mark.parametrize("text", ["", " ", "\t\u3000", "\u200b", "\ufeff"])
def test_a_blank_text_has_no_label(text):
    assert fields_of(task(ABC), text, 0.2, 0.5, 0.3) == {"label": None, "score": None, "labels": []}
    assert fields_of(task(ABC, multiple=True), text, 0.2, 0.5, 0.9) == {"labels": []}


def test_a_cut_pair_says_so():
    made = task(ABC, pairs=True)
    assert fields_of(made, "甲", 0.2, 0.5, 0.3, truncated=True)["truncated"] is True
    assert "truncated" not in fields_of(made, "", 0.2, 0.5, 0.3)
    assert fields_of(made, "", 0.2, 0.5, 0.3)["label"] == "b"  # the second text may have words
    assert set(made.output_fields) == {"label", "score", "labels", "truncated"}


def test_targets_are_label_indices():
    made, document = task(ABC, multiple=True), Document.of("甲", TOKENIZER, 8)
    examples = [example("甲", "c", "a"), example("乙"), example("丙", "b")]
    targets = [made.target(one, document, document.windows[0]) for one in examples]
    assert targets == [(2, 0), (), (1,)]
    assert made.collate(targets, 9)["labels"].tolist() == [[2, 0], [-1, -1], [1, -1]]
    assert made.label_indices(examples).tolist() == [[2, 0], [-1, -1], [1, -1]]
    assert made.collate([()], 9)["labels"].tolist() == [[-1]]


def test_windows_are_averaged_by_their_tokens():
    document = Document("甲" * 9, TOKENIZER.encode("甲" * 9), [Window(0, 6), Window(6, 9)])
    found = task().assemble(document, [np.array([3.0, 0.0]), np.array([0.0, 6.0])], 0.0)
    assert found.scores.tolist() == [2.0, 2.0]
    assert not found.truncated
    empty = task().assemble(Document.of("", TOKENIZER, 9), [np.array([1.0, 2.0])], 0.0)
    assert empty.scores.tolist() == [1.0, 2.0]


def test_a_text_is_a_document_with_windows_and_a_pair_has_one():
    single, pair = (
        task().document("好" * 30, TOKENIZER, 16),
        task(pairs=True).document(("好" * 30, "坏"), TOKENIZER, 16),
    )
    assert len(single.windows) > 1
    assert (len(pair.windows), pair.truncated) == (1, True)
    assert task(pairs=True).assemble(pair, [np.zeros(2)], 0.0).truncated


def test_answers_are_calibrated():
    made = task(calibration=Calibration(2.0))
    found = made.calibrated(answer(0.0, 2.0, truncated=True))
    assert found.scores.tolist() == pytest.approx([1 / (1 + np.e), np.e / (1 + np.e)])
    assert found.truncated
    assert found.labels == ("positive",)


@pytest.mark.parametrize(
    ("settings", "scores", "labels"),
    [
        ({}, (0.2, 0.5, 0.3), ("b",)),
        ({"threshold": 0.6}, (0.2, 0.5, 0.3), ()),
        ({"multiple": True, "threshold": 0.5}, (0.6, 0.2, 0.9), ("c", "a")),
        ({"multiple": True, "threshold": 0.5, "may_be_empty": True}, (0.1, 0.2, 0.3), ()),
    ],
)
def test_the_labels_of_an_answer(settings, scores, labels):
    found = task(ABC, **settings).answer(np.array(scores), truncated=True)
    assert (found.labels, found.scores.tolist(), found.truncated) == (labels, list(scores), True)


def test_the_temperature_fits_one_label():
    chance = np.random.default_rng(0)
    sharp = chance.normal(size=(4000, 3)) * 2
    probabilities = np.exp(sharp) / np.exp(sharp).sum(1, keepdims=True)
    gold = [example("甲", ABC[chance.choice(3, p=row)]) for row in probabilities]
    changes = task(ABC).calibration_for(sharp * 2.5, gold, keep=False)
    assert list(changes) == ["calibration"]
    assert changes["calibration"].temperature == pytest.approx(2.5, abs=0.2)
    assert changes["calibration"].shift == 0
    assert task(ABC).calibration_for(sharp * 2.5, gold, keep=True) == changes


SEVERAL = np.array([[2.0, -3.0], [1.2, 3.0], [-2.0, 0.8], [-1.0, -0.6], [0.9, -2.0]] * 6)
GOLD = [("a",), ("a", "b"), ("b",), (), ("a",)] * 6
INDICES = [["ab".index(label) for label in labels] for labels in GOLD]


def test_the_threshold_of_several_labels_is_the_best_one():
    made, gold = task("ab", multiple=True, may_be_empty=True, threshold=0.5), [example("甲", *each) for each in GOLD]
    fitted = made.changed(**made.calibration_for(SEVERAL - 1.5, gold, keep=False))
    assert [fitted.decide(row) for row in fitted.scores_of(SEVERAL - 1.5)] == INDICES
    assert [made.decide(row) for row in made.scores_of(SEVERAL - 1.5)] != INDICES


@pytest.mark.parametrize("shift", [-1.5, 0.0, 1.0])
def test_a_kept_threshold_keeps_the_answers(shift):
    made, gold = task("ab", multiple=True, may_be_empty=True, threshold=0.4), [example("甲", *each) for each in GOLD]
    fitted = made.changed(**made.calibration_for(SEVERAL + shift, gold, keep=True))
    assert fitted.settings.calibration != made.settings.calibration
    before, after = ([one.decide(row) for row in one.scores_of(SEVERAL + shift)] for one in (made, fitted))
    assert before == after
    again = fitted.changed(**fitted.calibration_for(SEVERAL + shift, gold, keep=True))
    assert [again.decide(row) for row in again.scores_of(SEVERAL + shift)] == before


def test_scores_of_gold_texts():
    made = task()
    pairs = [
        (example("甲", "negative"), decided(made, 0.9, 0.1)),
        (example("乙", "positive"), decided(made, 0.3, 0.7)),
        (example("丙", "positive"), decided(made, 0.6, 0.4)),
        (example("丁", "negative"), decided(made, 0.8, 0.2)),
    ]
    found = made.score(pairs)
    assert (found["accuracy"], found["f1"], found["auc"]) == (0.75, 0.75, 1.0)
    assert found["interval"]["low"] < 0.75 < found["interval"]["high"]
    assert made.outcomes(pairs) == {"ece": [(0.9, True), (0.7, True), (0.6, False), (0.8, True)]}
    assert made.changed(threshold=0.65).outcomes(pairs) == {"ece": [(0.9, True), (0.7, True), (0.8, True)]}
    assert made.score(pairs[:1])["auc"] is None
    assert "auc" not in task(ABC).score([(example("甲", "a"), answer(0.5, 0.3, 0.2))])
    several = task("ab", multiple=True, threshold=0.5)
    assert "auc" not in several.score([(example("甲", "a", multiple=True), answer(0.9, 0.8))])
    assert several.outcomes([(example("甲", "a", multiple=True), decided(several, 0.9, 0.8))]) == {
        "ece": [(0.9, True), (0.8, False)]
    }
    assert "interval" not in made.score([])


@pytest.mark.parametrize(
    ("settings", "gold", "message"),
    [
        ({}, example("甲", "neutral"), "^gold:7: the model has no label neutral; it has: negative, positive$"),
        (
            {"multiple": True},
            example("甲", "x", "positive", "y", multiple=True),
            "the model has no label x, y; it has:",
        ),
        ({}, example("甲", *LABELS, multiple=True), "^gold:7: a list of labels, but the model gives one; pass records"),
        ({}, example("甲", multiple=True), "^gold:7: a list of labels, but the model gives one"),
    ],
)
def test_examples_that_do_not_fit(settings, gold, message):
    with pytest.raises(DataError, match=message):
        task(**settings).validate(gold)


def test_examples_that_fit():
    for settings, gold in (
        ({}, example("甲", "positive")),
        ({}, example("甲", "positive", multiple=True)),
        ({"multiple": True}, example("甲", "positive")),
        ({"multiple": True}, example("甲", multiple=True)),
        ({"pairs": True}, example("甲", "positive", second="乙")),
    ):
        assert task(**settings).validate(gold) is None


@pytest.mark.parametrize("pairs", [False, True])
def test_pairs_and_single_texts_are_kept_apart(pairs):
    made = task(pairs=pairs)
    message = "reads pairs of texts; name the field of the second one with --pair" if pairs else "leave out --pair"
    made.check_kind(pairs)
    with pytest.raises(UsageError, match=message):
        made.check_kind(not pairs)
    wrong = example("甲", "strange", second=None if pairs else "乙")
    with pytest.raises(UsageError, match=message):
        made.validate(wrong)
    texts = ["甲" if pairs else ("甲", "乙")]
    runner = TorchRunner(network_of(made), torch.device("cpu"), torch.float32)
    with pytest.raises(UsageError, match=message):
        ClassifyPredictor(made, runner, TOKENIZER, 32).predictions(texts)
    with pytest.raises(UsageError, match=message):
        WholeTextPredictor(made, None).predictions(texts)


def test_a_predictor_of_whole_texts_is_calibrated():
    values = {"甲": [1.0, 0.0], "乙": [0.0, 3.0], "丙": [2.0, 0.0], "丁": [0.0, 1.0]}
    predictor = WholeTextPredictor(task(), lambda texts: np.array([values[text] for text in texts]))
    gold = [example("甲", "negative"), example("乙", "positive"), example("丙", "negative"), example("丁", "positive")]
    fitted = predictor.changed(**predictor.calibrate(gold))
    assert fitted.settings.calibration.temperature < 1  # it is always right
    assert type(fitted) is WholeTextPredictor
    found, before = (p.evaluate(gold, lambda pairs: {"pairs": len(pairs)}) for p in (fitted, predictor))
    assert (found["accuracy"], found["pairs"], found["ece"] < before["ece"]) == (1.0, 4, True)
