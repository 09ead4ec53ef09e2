"""Texts window by window: batches within a budget, the same answers in any company, and the best threshold."""

from typing import ClassVar

import pytest
import torch
from support import SENTENCE, toy_records, vocabulary
from toy_task import Example, LabelSettings, LabelTask

from nlpkit.core.io.records import Line
from nlpkit.core.model.dataset import WindowDataset
from nlpkit.core.model.text_task import LOGITS_PER_TOKEN, THRESHOLDS, TextPredictor
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.errors import UsageError
from nlpkit.nn.backbones import build
from nlpkit.nn.network import TorchRunner

TOKENIZER = CharTokenizer(vocabulary(SENTENCE))
SIZES = {"vocab_size": TOKENIZER.vocab_size, "hidden_size": 16, "num_layers": 1, "num_heads": 2}
TEXTS = ["", *(record["text"] for record in toy_records(40)), SENTENCE * 9]
GOLD = [Example(text, "bad" if number % 3 else "good", Line("", "", number)) for number, text in enumerate(TEXTS)]


class Recorded(LabelTask):
    """A task that keeps the shape of each batch."""

    shapes: ClassVar[list] = []

    def decode(self, outputs, attention_mask, min_score):
        self.shapes.append(attention_mask.shape)
        return super().decode(outputs, attention_mask, min_score)


@pytest.fixture(scope="module")
def predictor():
    torch.manual_seed(0)
    task = Recorded(LabelSettings(("good", "bad"), threshold=0.5))
    network = task.network(build({"type": "roformer_v2", **SIZES, "intermediate_size": 32}))
    with torch.no_grad():
        network.head.weight.mul_(5)
    return TextPredictor(task, TorchRunner(network, torch.device("cpu"), torch.float32), TOKENIZER, 32)


def test_batches_are_within_the_budget_and_answers_those_of_single_texts(predictor):
    Recorded.shapes.clear()
    together = predictor.predictions(TEXTS * 3)
    shapes = list(Recorded.shapes)
    assert 1 < len(shapes) < 12
    assert all(rows * size <= predictor.budget.cpu and size <= 32 for rows, size in shapes)
    assert sum(rows for rows, _ in shapes) == sum(prediction.windows for prediction in together)
    assert together[len(TEXTS) - 1].windows > 5
    for text, found in zip(TEXTS * 3, together, strict=True):
        (alone,) = predictor.predictions([text])
        assert (found.windows, found.answer[0]) == (alone.windows, alone.answer[0])
        assert found.answer[1] == pytest.approx(alone.answer[1], abs=1e-5)


def test_the_best_threshold_is_that_of_a_search_by_predictions(predictor):
    accuracy = {}
    for threshold in THRESHOLDS:
        pairs = zip(GOLD, predictor.changed(threshold=threshold).predict(TEXTS), strict=True)
        accuracy[threshold] = sum(gold.label == label for gold, (label, _) in pairs) / len(GOLD)
    best = max(accuracy.values())
    assert min(accuracy.values()) < best
    expected = min((t for t in THRESHOLDS if accuracy[t] == best), key=lambda t: abs(t - 0.5))
    assert predictor.calibrate(GOLD) == {"threshold": expected}


def test_matrices_of_many_labels_cost_more_than_tokens():
    task = LabelTask(LabelSettings(("a",)))
    assert [task.cost(size) for size in (2, 512)] == [2, 512]
    task.matrices_per_sequence = 217
    assert [task.cost(size) for size in (2, 16, 512)] == [2, 16, 512 * 512 * 217 // LOGITS_PER_TOKEN]


def test_the_training_set_has_windows_and_the_labels_of_their_texts():
    task = LabelTask(LabelSettings(("good", "bad")))
    dataset = task.dataset(GOLD, TOKENIZER, max_length=32, batch_size=4, seed=1)
    assert isinstance(dataset, WindowDataset)
    assert len(dataset.windows) > len(GOLD)
    inputs, targets = dataset(0)
    assert (inputs.input_ids.shape[0], targets["labels"].shape) == (4, (4,))
    assert dataset.diagnostics["misaligned"] == 0


def test_texts_are_not_joined_unless_the_task_can():
    task = LabelTask(LabelSettings(("good", "bad")))
    with pytest.raises(UsageError, match="--join: examples of `nlpkit label` cannot be joined; leave it out"):
        task.dataset(GOLD, TOKENIZER, max_length=32, batch_size=4, seed=1, join=2)


def test_an_evaluation_counts_gold_that_cannot_be_found(predictor):
    assert predictor.diagnostics(GOLD) == {"misaligned": 0}
    predictor.task.misaligned = lambda example, document: document.text.count("，")
    assert predictor.diagnostics(GOLD) == {"misaligned": sum(text.count("，") for text in TEXTS)}
    del predictor.task.misaligned


class Reversed(LabelTask):
    """A task that reads pairs, as one text from the end."""

    def document(self, text, tokenizer, max_length):
        return super().document("".join(text)[::-1], tokenizer, max_length)


def test_a_task_may_make_documents_of_other_inputs(predictor):
    made = TextPredictor(Reversed(predictor.settings), predictor.runner, TOKENIZER, 32)
    pairs = [("叶老桂", "在浙商银行"), (SENTENCE * 3, "")]
    found = made.predictions(pairs)
    assert [prediction.windows > 1 for prediction in found] == [False, True]
    expected = predictor.predictions(["".join(pair)[::-1] for pair in pairs])
    assert [p.answer for p in found] == [(label, pytest.approx(score)) for label, score in (p.answer for p in expected)]
