"""Named entity recognition as the core sees it."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from nlpkit.core.model.calibration import Outcome
from nlpkit.core.model.loading import load_predictor
from nlpkit.core.model.text_task import TextPredictor
from nlpkit.core.onnx.weights import StoredWeights
from nlpkit.core.spans import spans
from nlpkit.core.spans.pointers import Sizes, efficient_pointer, global_pointer, standardized
from nlpkit.core.spans.span_task import SpanTask
from nlpkit.core.spans.spans import Bools, Floats, SpanIndex
from nlpkit.core.text.document import Document
from nlpkit.core.text.windows import Window
from nlpkit.errors import UsageError
from nlpkit.nn.factors import Factors
from nlpkit.tasks import default_model
from nlpkit.tasks.ner import codec
from nlpkit.tasks.ner.codec import DictMode
from nlpkit.tasks.ner.data import Entity, Example, join, labels_of, to_record
from nlpkit.tasks.ner.dictionary import Dictionary
from nlpkit.tasks.ner.metric import outcomes, span_scores
from nlpkit.tasks.ner.settings import Group, NerSettings

if TYPE_CHECKING:  # they import torch
    from nlpkit.nn.backbones import Backbone
    from nlpkit.tasks.ner.model import NerNetwork


class Target(NamedTuple):
    """The gold inside a window.

    Attributes:
        spans: of labels and, behind these, of groups.
        annotated: [c + g], True for the labels and groups that are annotated.
    """

    spans: list[SpanIndex]
    annotated: Bools


class NerTask(SpanTask[NerSettings, Example, Target, list[SpanIndex], list[Entity]]):
    """Finds labelled spans with GlobalPointer.

    Args:
        settings: of the model.
        include: labels to return (default: all).
        dictionary: names that are entities, too; they are looked up in the whole text, not in its windows.
        dict_mode: what to keep where a name overlaps an entity of the model; see `codec.combine`.

    Raises:
        UsageError: `include` has a label that neither the model nor the dictionary has.
    """

    name: ClassVar[str] = "ner"
    settings_type: ClassVar[type] = NerSettings
    predictor_type: ClassVar[type] = TextPredictor
    output_fields: ClassVar[tuple[str, ...]] = ("entities",)

    def __init__(
        self,
        settings: NerSettings,
        *,
        include: Sequence[str] | None = None,
        dictionary: Dictionary | None = None,
        dict_mode: DictMode = "join",
    ):
        super().__init__(settings)
        self.dictionary, self.dict_mode = dictionary, dict_mode
        names = [*settings.labels, *(group.name for group in settings.groups)]
        self.label_ids = {label: index for index, label in enumerate(names)}
        self.matrices_per_sequence = len(settings.labels)
        extra = () if dictionary is None else dictionary.labels
        self.known_labels = tuple(dict.fromkeys([*settings.labels, *extra]))
        self.include = None if include is None else tuple(include)
        unknown = sorted(set(include or ()) - set(self.known_labels))
        if unknown:
            labels, known = ", ".join(unknown), ", ".join(self.known_labels)
            if dictionary is None:
                raise UsageError(f"the model has no label {labels}; it has: {known}")
            raise UsageError(f"the model and the dictionary have no label {labels}; they have: {known}")

    @override
    def with_settings(self, settings: NerSettings) -> Self:
        return type(self)(settings, include=self.include, dictionary=self.dictionary, dict_mode=self.dict_mode)

    @override
    @classmethod
    def from_examples(cls, examples: Sequence[Example], sources: Sequence[str], **settings: Any) -> Self:
        groups: Sequence[Group] = settings.get("groups", ())
        labels = labels_of(examples, sources, [group.name for group in groups])
        _check_groups(groups, labels)
        for example in examples:
            _check_labels(example, labels, {group.name for group in groups})
        return cls(NerSettings(labels, **settings))

    @override
    def to_fields(self, text: str, answer: list[Entity]) -> dict[str, Any]:
        return to_record(text, answer, fields={}, scores=True)

    @override
    def network(self, backbone: "Backbone") -> "NerNetwork":
        from nlpkit.tasks.ner.model import NerNetwork

        settings = self.settings
        groups = [[self.label_ids[label] for label in group.labels] for group in settings.groups]
        return NerNetwork(backbone, len(settings.labels), settings.head, settings.head_size, groups)

    @override
    def head(self, weights: StoredWeights, width: int) -> Callable[[Floats, Bools], Any]:
        sizes = Sizes(width, len(self.settings.labels), self.settings.head_size)
        pointer = global_pointer if self.settings.head == "global" else efficient_pointer
        return standardized(weights, width, pointer(weights.under("head."), sizes))

    @override
    def target(self, example: Example, document: Document, window: Window) -> Target:
        annotated = example.labels if example.labels is not None else set(self.settings.labels)
        is_annotated = np.array([label in annotated for label in self.label_ids])
        return Target(codec.encode(example.entities, document.encoding, window, self.label_ids), is_annotated)

    @override
    def join(self, examples: Sequence[Example]) -> Example:
        return join(examples)

    @override
    def misaligned(self, example: Example, document: Document) -> int:
        return len(example.entities) - len(spans.align(example.entities, document.encoding))

    @override
    def collate(self, targets: Sequence[Target], size: int) -> dict[str, NDArray[Any]]:
        found = [target.spans for target in targets]
        annotated = np.stack([target.annotated for target in targets])
        return {"spans": spans.collate(found, len(self.label_ids), size), "annotated": annotated}

    @override
    def decode(
        self, outputs: Floats | Factors[Floats], attention_mask: Bools, min_score: float
    ) -> list[list[SpanIndex]]:
        """Return the spans of each sequence; outputs are logits [b, c, s, s] or their factors."""
        included = None
        if self.include is not None:
            included = np.array([label in self.include for label in self.settings.labels])
        return spans.decode(outputs, attention_mask, min_score, included)

    @override
    def assemble(self, document: Document, findings: Sequence[Sequence[SpanIndex]], threshold: float) -> list[Entity]:
        """Return the entities of the model and the dictionary, in character offsets and text order."""
        entities = codec.assemble(document, findings, self.settings.labels, threshold)
        if self.dictionary is None:
            return entities if self.settings.nested else codec.flatten(entities)
        names = self.dictionary.find(document.text)
        if self.include is not None:
            names = [name for name in names if name.label in self.include]
        return codec.combine(entities, names, self.dict_mode, self.settings.nested)

    @override
    def score(self, pairs: Iterable[tuple[Example, list[Entity]]]) -> dict[str, Any]:
        return span_scores((example.entities, _annotated(example, answer)) for example, answer in pairs)

    @override
    def outcomes(self, pairs: Iterable[tuple[Example, list[Entity]]]) -> dict[str, list[Outcome]]:
        return {"ece": outcomes((example.entities, _annotated(example, answer)) for example, answer in pairs)}

    @override
    def calibrated(self, answer: list[Entity]) -> list[Entity]:
        """Return the entities with scores; a dictionary's entities keep their own."""
        to_score = self.settings.calibration.score
        return [entity if entity.source else replace(entity, score=to_score(entity.score)) for entity in answer]

    @override
    def validate(self, example: Example) -> None:
        strange = sorted({entity.label for entity in example.entities} - set(self.known_labels))
        if strange:
            known = ", ".join(self.known_labels)
            raise example.line.error(f"the model has no label {', '.join(strange)}; it has: {known}")


def _check_groups(groups: Sequence[Group], labels: Sequence[str]) -> None:
    """Raise a UsageError for a group that is given twice, or has a label that the model does not have."""
    for index, group in enumerate(groups):
        if any(group.name == other.name for other in groups[:index]):
            raise UsageError(f"--group {group.name}: given twice; list all of its labels in one")
        if missing := [label for label in group.labels if label not in labels]:
            known = ", ".join(labels)
            raise UsageError(f"--group {group.name}: the training data has no label {missing[0]}; it has: {known}")


def _check_labels(example: Example, labels: Sequence[str], groups: Collection[str]) -> None:
    """Raise a DataError for an example that trains no label, or has an entity of a group that it does not list."""
    if example.labels is None:
        if found := sorted({entity.label for entity in example.entities}.intersection(groups)):
            raise example.line.error(
                f'an entity has the label {found[0]} of --group; list the annotated labels in "labels" of this record'
            )
    elif example.labels.isdisjoint({*labels, *groups}):
        strange = ", ".join(sorted(example.labels))
        raise example.line.error(f'no text has an entity of its "labels": {strange}')


def _annotated(example: Example, answer: list[Entity]) -> list[Entity]:
    """Return the entities with labels with which the text is annotated."""
    return answer if example.labels is None else [entity for entity in answer if entity.label in example.labels]


def load(
    name: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    *,
    runtime: str = "auto",
    threshold: float | None = None,
    nested: bool | None = None,
    labels: Sequence[str] | None = None,
    dictionary: Dictionary | None = None,
    dict_mode: DictMode = "join",
) -> TextPredictor[list[Entity]]:
    """Return the predictor of an NER model.

    Args:
        name: embedded model, folder or hub name (default: the embedded model of the task).
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        dtype: `auto`, `fp32`, `bf16`, `fp16`; precision of the backbone.
        runtime: `auto`, `onnx` or `torch`; see `core.onnx.choice.onnx_dtype`.
        threshold: minimum score of an entity (default: the model's own).
        nested: return all overlapping entities, or only the best of those that overlap (default: the model's own).
        labels: labels to return (default: all).
        dictionary: names that are entities, too.
        dict_mode: what to keep where a name overlaps an entity of the model; see `codec.combine`.

    Raises:
        ModelError: no such model, or not one for NER.
        UsageError: a label that neither the model nor the dictionary has.
    """
    predictor: TextPredictor[list[Entity]] = load_predictor(
        name or default_model("ner"),
        NerTask,
        device,
        dtype,
        runtime=runtime,
        make_task=lambda settings, _: NerTask(settings, include=labels, dictionary=dictionary, dict_mode=dict_mode),
    )
    changes = {"threshold": threshold, "nested": nested}
    return predictor.changed(**{name: value for name, value in changes.items() if value is not None})
