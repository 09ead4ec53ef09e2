"""Classification as the core sees it."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from nlpkit.core.model import calibration
from nlpkit.core.model.calibration import Outcome
from nlpkit.core.model.predictor import Prediction, Predictor
from nlpkit.core.model.text_task import THRESHOLDS, TextPredictor, TextTask
from nlpkit.core.onnx.weights import StoredWeights
from nlpkit.core.text.document import Document
from nlpkit.core.text.normalization import clean_name
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.core.text.windows import Window
from nlpkit.errors import UsageError
from nlpkit.tasks.classify.data import Answer, Example, Input, labels_of
from nlpkit.tasks.classify.metric import area_under_curve, interval, label_scores
from nlpkit.tasks.classify.network.codec import PairDocument
from nlpkit.tasks.classify.network.head import linear_head
from nlpkit.tasks.classify.settings import ClassifySettings

if TYPE_CHECKING:  # they import torch
    from nlpkit.nn.backbones import Backbone
    from nlpkit.tasks.classify.network.dataset import ClassifyDataset
    from nlpkit.tasks.classify.network.model import LabelNetwork

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

TOP = 5  # labels in an answer with one label, where the user names no number
_MIN_OUTCOME = 0.05  # probability of the labels to which the scores of several labels are calibrated


class ClassifyTask(TextTask[ClassifySettings, Example, tuple[int, ...], Floats, Answer]):
    """Gives a text, or a pair of texts, one label or several.

    The score of a label is its probability: softmax(logits / temperature) of one label per text, or
    sigmoid(logit / temperature + shift) of several.

    Args:
        settings: of the model.
        top: number of labels to list (default: 5 of one label; all above the threshold of several).
        unlabelled: texts without labels, for R-Drop and masked tokens in training.

    Raises:
        UsageError: `top` is more than the number of labels.
    """

    name: ClassVar[str] = "classify"
    settings_type: ClassVar[type] = ClassifySettings
    predictor_type: ClassVar[type]  # below
    calibrated_fields: ClassVar[tuple[str, ...]] = ("threshold", "calibration")
    output_fields: ClassVar[tuple[str, ...]] = ("label", "score", "labels", "truncated")

    def __init__(self, settings: ClassifySettings, *, top: int | None = None, unlabelled: Sequence[Input] = ()):
        super().__init__(settings)
        count = len(settings.labels)
        if top is not None and top > count:
            raise UsageError(f"--top {top}: the model has {count} labels; pass a number up to {count}")
        self.top, self.unlabelled = top, unlabelled
        self.label_ids = {label: index for index, label in enumerate(settings.labels)}
        self.metric = "f1" if settings.multiple else "accuracy"

    @override
    def with_settings(self, settings: ClassifySettings) -> Self:
        return type(self)(settings, top=self.top, unlabelled=self.unlabelled)

    @override
    @classmethod
    def from_examples(cls, examples: Sequence[Example], sources: Sequence[str], **settings: Any) -> Self:
        counts = labels_of(examples, sources)
        unlabelled = settings.pop("unlabelled", ())
        multiple = any(example.multiple for example in examples)
        made = ClassifySettings(
            tuple(counts),
            tuple(counts.values()),
            multiple=multiple,
            pairs=examples[0].second is not None,
            may_be_empty=multiple and not all(example.labels for example in examples),
            threshold=0.5 if multiple else 0.0,
            **settings,
        )
        return cls(made, unlabelled=unlabelled)

    @override
    def input_of(self, example: Example) -> Input:
        return example.input

    @override
    def to_fields(self, text: Any, answer: Answer) -> dict[str, Any]:
        """Return `label` and `score` of one label per text, and the labels with their scores, the best ones first.

        A blank text has no label.
        """
        if not self.settings.pairs and not clean_name(text):
            return {**({} if self.settings.multiple else {"label": None, "score": None}), "labels": []}
        fields: dict[str, Any] = {}
        listed: Sequence[str] = answer.labels[: self.top]
        if not self.settings.multiple:
            best = np.argsort(-answer.scores, kind="stable")[: self.top or TOP].tolist()
            listed = [self.settings.labels[index] for index in best]
            label = answer.labels[0] if answer.labels else None
            fields = {"label": label, "score": round(float(answer.scores[best[0]]), 4)}
        labels = [{"label": name, "score": round(float(answer.scores[self.label_ids[name]]), 4)} for name in listed]
        return {**fields, "labels": labels, **({"truncated": True} if answer.truncated else {})}

    def decide(self, scores: NDArray[np.float64]) -> list[int]:
        """Return the indices of the labels that are the answer; one label, or none below the threshold."""
        best = int(scores.argmax())
        if not self.settings.multiple:
            return [best] if scores[best] >= self.settings.threshold else []
        found: list[int] = np.flatnonzero(scores >= self.settings.threshold).tolist()
        return found or ([] if self.settings.may_be_empty else [best])

    def scores_of(self, logits: NDArray[Any]) -> NDArray[np.float64]:
        """Return the scores [..., c] of logits [..., c]."""
        fitted, multiple = self.settings.calibration, self.settings.multiple
        scaled = np.asarray(logits, np.float64) / fitted.temperature
        if multiple:
            result: NDArray[np.float64] = 1 / (1 + np.exp(-np.clip(scaled + fitted.shift, -60, 60)))
            return result
        powers = np.exp(scaled - scaled.max(-1, keepdims=True))
        return powers / powers.sum(-1, keepdims=True)  # type: ignore[no-any-return]

    @override
    def network(self, backbone: "Backbone") -> "LabelNetwork":
        from nlpkit.tasks.classify.network.model import ClassifyNetwork

        s = self.settings
        if not s.ids:
            return ClassifyNetwork(backbone, len(s.labels), s.multiple, s.r_drop, masked=s.mlm > 0)
        from nlpkit.tasks.classify.network.ids import label_token_ids
        from nlpkit.tasks.classify.network.model import TokenNetwork

        return TokenNetwork(backbone, label_token_ids(len(s.labels)), s.multiple, s.r_drop)

    @override
    def adapt(
        self, backbone: "Backbone", tokenizer: CharTokenizer, examples: Sequence[Example]
    ) -> "tuple[Backbone, CharTokenizer]":
        if not self.settings.ids:
            return backbone, tokenizer
        from nlpkit.tasks.classify.network.ids import with_id_vocabulary

        inputs = [*(example.input for example in examples), *self.unlabelled]
        texts = (part for text in inputs for part in ([text] if isinstance(text, str) else text))
        return with_id_vocabulary(backbone, tokenizer, texts, len(self.settings.labels))

    @override
    def head(self, weights: StoredWeights, width: int) -> Callable[[Floats, Bools], Floats] | None:
        if self.settings.ids:
            return None
        weights.discard("masked.")  # the head of the masked tokens is for training only
        return linear_head(weights, width, len(self.settings.labels))

    @override
    def document(self, text: Input, tokenizer: CharTokenizer, max_length: int) -> Document:
        if isinstance(text, str):
            return Document.of(text, tokenizer, max_length)
        return PairDocument.of_pair(text, tokenizer, max_length)

    @override
    def target(self, example: Example, document: Document, window: Window) -> tuple[int, ...]:
        return tuple(self.label_ids[label] for label in example.labels)

    @override
    def collate(self, targets: Sequence[tuple[int, ...]], size: int) -> dict[str, NDArray[Any]]:
        width = max(1, max(map(len, targets)))
        labels = np.full((len(targets), width), -1, np.int64)
        for row, indices in zip(labels, targets, strict=True):
            row[: len(indices)] = indices
        return {"labels": labels}

    def label_indices(self, examples: Sequence[Example]) -> NDArray[np.int64]:
        """Return the label indices of examples [n, p], padded with −1."""
        targets = [tuple(self.label_ids[label] for label in example.labels) for example in examples]
        return self.collate(targets, 0)["labels"]

    @override
    def dataset(
        self,
        examples: Sequence[Example],
        tokenizer: CharTokenizer,
        *,
        max_length: int,
        batch_size: int,
        seed: int,
        join: int = 1,
    ) -> "ClassifyDataset":
        from nlpkit.tasks.classify.network.dataset import ClassifyDataset

        if join > 1:
            self.join(examples)
        return ClassifyDataset(self, examples, tokenizer, max_length, batch_size, seed)

    @property
    @override
    def min_probability(self) -> float:
        return 0.0

    @override
    def decode(self, outputs: Floats, attention_mask: Bools, min_score: float) -> list[Floats]:
        """Return the logits of each sequence."""
        return list(outputs)

    @override
    def assemble(self, document: Document, findings: Sequence[Floats], threshold: float) -> Answer:
        """Return the logits of a text: the mean of those of its windows, weighted by their tokens."""
        weights = [max(1, len(window)) for window in document.windows]
        truncated = isinstance(document, PairDocument) and document.truncated
        logits = np.average(np.asarray(findings, np.float64), axis=0, weights=weights)
        return Answer(logits, truncated=truncated)

    @override
    def calibrated(self, answer: Answer) -> Answer:
        return self.answer(self.scores_of(answer.scores), answer.truncated)

    def answer(self, scores: NDArray[np.float64], truncated: bool = False) -> Answer:
        """Return the answer of scores [c]."""
        chosen = sorted(self.decide(scores), key=lambda index: -scores[index])
        return Answer(scores, tuple(self.settings.labels[index] for index in chosen), truncated)

    def calibration_for(self, logits: NDArray[Any], examples: Sequence[Example], *, keep: bool) -> dict[str, Any]:
        """Return the calibration that fits logits [n, c] to gold, and of several labels the best threshold, as changes.

        Args:
            logits: of the examples.
            examples: with their gold labels.
            keep: leave the answers as they are: keep the threshold.
        """
        if not self.settings.multiple:
            return {"calibration": calibration.fit_temperature(logits, self.label_indices(examples)[:, 0])}
        plain = self.changed(calibration=calibration.UNCALIBRATED)
        scores = plain.scores_of(logits)
        if keep:
            probability = self.settings.calibration.probability(self.settings.threshold)
        else:

            def quality(threshold: float) -> tuple[float, float]:
                task = plain.changed(threshold=threshold)
                predicted = [task.decide(row) for row in scores]
                return label_scores(self._gold(examples), predicted, self.settings.labels)["f1"], -abs(threshold - 0.5)

            probability = max(THRESHOLDS, key=quality)
        gold = [set(indices) for indices in self._gold(examples)]
        outcomes = [
            (float(score), index in labels)
            for row, labels in zip(scores, gold, strict=True)
            for index, score in enumerate(row)
            if score >= _MIN_OUTCOME
        ]
        fitted = calibration.fit(outcomes)
        return {"threshold": fitted.score(probability), "calibration": fitted}

    @override
    def score(self, pairs: Iterable[tuple[Example, Answer]]) -> dict[str, Any]:
        pairs = list(pairs)
        gold = self._gold(example for example, _ in pairs)
        predicted = [self.decide(answer.scores) for _, answer in pairs]
        result = label_scores(gold, predicted, self.settings.labels)
        if len(self.settings.labels) == 2 and not self.settings.multiple:
            scores = np.array([answer.scores[1] for _, answer in pairs])
            result["auc"] = area_under_curve(scores, np.array([indices == [1] for indices in gold], dtype=bool))
        if pairs:
            result["interval"] = interval(gold, predicted, multiple=self.settings.multiple)
        return result

    def _gold(self, examples: Iterable[Example]) -> list[list[int]]:
        return [[self.label_ids[label] for label in example.labels] for example in examples]

    @override
    def outcomes(self, pairs: Iterable[tuple[Example, Answer]]) -> dict[str, list[Outcome]]:
        outcomes: list[Outcome] = []
        for example, answer in pairs:
            gold = {self.label_ids[label] for label in example.labels}
            outcomes += [(float(answer.scores[index]), index in gold) for index in self.decide(answer.scores)]
        return {"ece": outcomes}

    @override
    def validate(self, example: Example) -> None:
        self.check_kind(example.second is not None)
        known = ", ".join(self.settings.labels)
        strange = [label for label in example.labels if label not in self.label_ids]
        if strange:
            raise example.line.error(f"the model has no label {', '.join(strange)}; it has: {known}")
        if example.multiple and not self.settings.multiple and len(example.labels) != 1:
            raise example.line.error("a list of labels, but the model gives one; pass records with one label")

    def check_kind(self, pairs: bool) -> None:
        """Check that the model reads pairs of texts, or single texts.

        Raises:
            UsageError: it reads the others.
        """
        if self.settings.pairs and not pairs:
            raise UsageError("the model reads pairs of texts; name the field of the second one with --pair")
        if pairs and not self.settings.pairs:
            raise UsageError("the model reads single texts, not pairs; leave out --pair")


class ClassifyPredictor(TextPredictor[Answer]):
    """Predicts with a network over the windows of a text."""

    task: ClassifyTask

    @override
    def predictions(self, texts: Sequence[Any]) -> list[Prediction[Answer]]:
        for text in texts:
            self.task.check_kind(not isinstance(text, str))
        return super().predictions(texts)

    @override
    def answers(self, examples: Sequence[Example]) -> list[Answer]:
        return [prediction.answer for prediction in self.predictions([example.input for example in examples])]

    @override
    def diagnostics(self, examples: Sequence[Example]) -> dict[str, Any]:
        return {}

    @override
    def calibrate(self, examples: Sequence[Example], keep_threshold: bool = False) -> dict[str, Any]:
        """Return the calibration of the scores, and of several labels the best of `THRESHOLDS`, as changes."""
        found = self.find([example.input for example in examples], 0.0)
        logits = [self.task.assemble(document, findings, 0.0).scores for document, findings in found]
        return self.task.calibration_for(np.stack(logits), examples, keep=keep_threshold)


ClassifyTask.predictor_type = ClassifyPredictor


class LogitsRunner(Protocol):
    """What computes logits [n, c] of whole texts."""

    device_type: str
    parameters: int

    def __call__(self, texts: Sequence[str]) -> NDArray[Any]:
        """Return the logits."""


class WholeTextPredictor(Predictor[ClassifyTask, Answer]):
    """Predicts with a runner that reads texts of any length as a whole: n-grams, or similarity to label names.

    Args:
        task: with its settings.
        runner: computes logits.
    """

    runner: LogitsRunner

    def __init__(self, task: ClassifyTask, runner: LogitsRunner):
        self.task, self.runner = task, runner

    @override
    def predictions(self, texts: Sequence[Any]) -> list[Prediction[Answer]]:
        for text in texts:
            self.task.check_kind(not isinstance(text, str))
        return [Prediction(self.task.answer(scores)) for scores in self.task.scores_of(self.runner(texts))]

    @override
    def calibrate(self, examples: Sequence[Example], keep_threshold: bool = False) -> dict[str, Any]:
        """Return the calibration of the scores, and of several labels the best of `THRESHOLDS`, as changes."""
        logits = self.runner([example.text for example in examples])
        return self.task.calibration_for(logits, examples, keep=keep_threshold)
