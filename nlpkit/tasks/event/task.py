"""Event extraction as the core sees it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from nlpkit.core.io.json_shapes import NotEmpty, Probability, Size
from nlpkit.core.model.calibration import UNCALIBRATED, Calibration, Outcome
from nlpkit.core.model.loading import load_predictor
from nlpkit.core.model.text_task import TextPredictor
from nlpkit.core.onnx.weights import StoredWeights
from nlpkit.core.spans import spans
from nlpkit.core.spans.linked import MATRICES, Linked, collate_linked, linked_head
from nlpkit.core.spans.span_task import SpanTask
from nlpkit.core.spans.spans import Bools, Floats, SpanIndex
from nlpkit.core.text.document import Document
from nlpkit.core.text.windows import Window
from nlpkit.nn.factors import Factors
from nlpkit.tasks import default_model
from nlpkit.tasks.event import codec
from nlpkit.tasks.event.codec import EventGraph
from nlpkit.tasks.event.data import TRIGGER, Event, Example, Label, join, labels_of, to_record
from nlpkit.tasks.event.formats import read_schema
from nlpkit.tasks.event.metric import event_scores, outcomes

if TYPE_CHECKING:  # they import torch
    from nlpkit.nn.backbones import Backbone
    from nlpkit.nn.network import Network
    from nlpkit.tasks.event.model import EventNetwork


@dataclass(frozen=True, slots=True)
class EventSettings:
    """Settings of an event model.

    Attributes:
        labels: (type, role, value) in the order of the spans' head.
        head_size: of the pointers.
        triggered: whether events without a trigger are left out; so if all events of the training set have one.
        threshold: minimum score of each trigger and argument; that of links is `codec.LIKELY_LINK`, or this if lower.
        calibration: of the scores of triggers and arguments.
        event_calibration: of the scores of whole events.
    """

    labels: Annotated[tuple[tuple[str, str, str], ...], NotEmpty()]
    head_size: Size = 96
    triggered: bool = False
    threshold: Probability = 0.5
    calibration: Calibration = UNCALIBRATED
    event_calibration: Calibration = UNCALIBRATED


class Target(NamedTuple):
    """The gold inside a window.

    Attributes:
        linked: spans and links.
        annotated: [c], True for the labels of the types that are annotated.
    """

    linked: Linked[list[SpanIndex]]
    annotated: Bools


class EventTask(SpanTask[EventSettings, Example, Target, EventGraph, list[Event]]):
    """Finds events with GPLinker (kexue.fm 8926): triggers and arguments, and links between those of one event.

    Args:
        settings: of the model.
        include: (type, role) pairs to return (default: all).
        all_cliques: whether to return every maximal clique, also where several are readings of one event.

    Attributes:
        types: roles of each type, without the trigger.
    """

    name: ClassVar[str] = "event"
    settings_type: ClassVar[type] = EventSettings
    predictor_type: ClassVar[type] = TextPredictor
    output_fields: ClassVar[tuple[str, ...]] = ("events",)
    matrices_per_sequence = MATRICES
    calibrated_fields: ClassVar[tuple[str, ...]] = ("threshold", "calibration", "event_calibration")
    calibrations: ClassVar[dict[str, str]] = {"ece": "calibration", "event_ece": "event_calibration"}

    def __init__(
        self,
        settings: EventSettings,
        *,
        include: Sequence[tuple[str, str]] | None = None,
        all_cliques: bool = False,
    ):
        super().__init__(settings)
        self.include, self.all_cliques = include, all_cliques
        self.labels = [Label(*label) for label in settings.labels]
        self.label_ids = {label: index for index, label in enumerate(self.labels)}
        types: dict[str, dict[str, None]] = {}
        for label in self.labels:
            types.setdefault(label.type, {}).update({label.role: None} if label.role != TRIGGER else {})
        self.types = {type: tuple(roles) for type, roles in types.items()}
        numbers = {type: number for number, type in enumerate(self.types, 1)}
        signs = [-1 if label.role == TRIGGER else 1 for label in self.labels]
        self._type_numbers = np.array(  # [c] number of each label's type, from 1; of triggers negative
            [numbers[label.type] * sign for label, sign in zip(self.labels, signs, strict=True)]
        )
        self._included = None
        if include is not None:
            self._included = np.array([(label.type, label.role) in include for label in self.labels])

    @override
    def with_settings(self, settings: EventSettings) -> Self:
        return type(self)(settings, include=self.include, all_cliques=self.all_cliques)

    @override
    @classmethod
    def from_examples(cls, examples: Sequence[Example], sources: Sequence[str], **settings: Any) -> Self:
        """Return the task for a training set; it returns no events without a trigger if the set has none."""
        triggered = all(event.trigger for example in examples for event in example.events)
        task = cls(EventSettings(labels_of(examples, sources), triggered=triggered, **settings))
        for example in examples:
            if example.types is not None and example.types.isdisjoint(task.types):
                strange = ", ".join(sorted(example.types))
                raise example.line.error(f'no text has an event of its "types": {strange}')
        return task

    @override
    def to_fields(self, text: str, answer: list[Event]) -> dict[str, Any]:
        return to_record(text, answer, fields={}, scores=True)

    @override
    def network(self, backbone: "Backbone") -> "EventNetwork":
        from nlpkit.tasks.event.model import EventNetwork

        return EventNetwork(backbone, len(self.labels), self.settings.head_size)

    @override
    def prepare_training(self, network: "Network") -> None:
        """Let labels with similar names share weights, as some types have few examples."""
        from nlpkit.nn.layers.shared_rows import SharedRows

        spans: Any = network.get_submodule("spans")
        spans.bias = SharedRows(spans.bias, [label.parts() for label in self.labels])

    @override
    def head(self, weights: StoredWeights, width: int) -> Callable[[Floats, Bools], Linked[Factors[Floats]]]:
        return linked_head(weights, width, len(self.labels), 1, self.settings.head_size, ordered=True)

    @override
    def target(self, example: Example, document: Document, window: Window) -> Target:
        is_annotated = np.array([example.types is None or label.type in example.types for label in self.labels])
        return Target(codec.encode(example.events, document.encoding, window, self.label_ids), is_annotated)

    @override
    def join(self, examples: Sequence[Example]) -> Example:
        return join(examples)

    @override
    def misaligned(self, example: Example, document: Document) -> int:
        """Return the number of triggers and arguments that are not made of whole tokens."""
        arguments = [argument for event in example.events for argument in event.arguments]
        return len(arguments) - len(spans.align(arguments, document.encoding))

    @override
    def collate(self, targets: Sequence[Target], size: int) -> dict[str, NDArray[Any]]:
        linked = collate_linked([target.linked for target in targets], len(self.labels), 1, size)
        return {**linked, "annotated": np.stack([target.annotated for target in targets])}

    @override
    def decode(self, outputs: Linked[Factors[Floats]], attention_mask: Bools, min_score: float) -> list[EventGraph]:
        return codec.decode(outputs, attention_mask, min_score, self._type_numbers, self._included)

    @override
    def assemble(self, document: Document, findings: Sequence[EventGraph], threshold: float) -> list[Event]:
        return codec.assemble(document, findings, self.labels, threshold, self.settings.triggered, self.all_cliques)

    @override
    def score(self, pairs: Iterable[tuple[Example, list[Event]]]) -> dict[str, Any]:
        return event_scores((example, _annotated(example, answer)) for example, answer in pairs)

    @override
    def outcomes(self, pairs: Iterable[tuple[Example, list[Event]]]) -> dict[str, list[Outcome]]:
        spans, events = outcomes((example, _annotated(example, answer)) for example, answer in pairs)
        return {"ece": spans, "event_ece": events}

    @override
    def calibrated(self, answer: list[Event]) -> list[Event]:
        to_score, of_event = self.settings.calibration.score, self.settings.event_calibration.score
        return [
            replace(
                event,
                arguments=tuple(replace(argument, score=to_score(argument.score)) for argument in event.arguments),
                score=of_event(event.score),
            )
            for event in answer
        ]

    @override
    def validate(self, example: Example) -> None:
        labels = {Label(e.type, a.role, a.value) for e in example.events for a in e.arguments}
        strange = sorted(f"{label.role} in {label.type}" for label in labels - self.label_ids.keys())
        if strange:
            known = ", ".join(self.types)
            raise example.line.error(f"the model has no {', no '.join(strange)}; its types are: {known}")


def _annotated(example: Example, answer: list[Event]) -> list[Event]:
    """Return the events of types with which the text is annotated."""
    return answer if example.types is None else [event for event in answer if event.type in example.types]


def load(
    name: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    *,
    runtime: str = "auto",
    threshold: float | None = None,
    schema: str | None = None,
    all_cliques: bool = False,
) -> TextPredictor[list[Event]]:
    """Return the predictor of an event model.

    Args:
        name: embedded model, folder or hub name (default: the embedded model of the task).
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        dtype: `auto`, `fp32`, `bf16`, `fp16`; precision of the backbone.
        runtime: `auto`, `onnx` or `torch`; see `core.onnx.choice.onnx_dtype`.
        threshold: minimum score of each trigger and argument (default: the model's own).
        schema: file with the types and roles to return; see `formats.read_schema`.
        all_cliques: return every maximal clique; see `EventTask`.

    Raises:
        ModelError: no such model, or not one for events.
        DataError: the schema cannot be read, or has a type that the model does not have.
    """

    def make_task(settings: EventSettings, _: object) -> EventTask:
        include = None if schema is None else read_schema(schema, EventTask(settings).types)
        return EventTask(settings, include=include, all_cliques=all_cliques)

    name = name or default_model("event")
    predictor: TextPredictor[list[Event]] = load_predictor(
        name, EventTask, device, dtype, runtime=runtime, make_task=make_task
    )
    return predictor if threshold is None else predictor.changed(threshold=threshold)
