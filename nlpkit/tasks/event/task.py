"""The event slice as the core sees it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from nlpkit.core.io.json_shapes import Probability, Size
from nlpkit.core.model import spans
from nlpkit.core.model.linker import MATRICES, Linked, collate_linked
from nlpkit.core.model.model import Model
from nlpkit.core.model.model import load as load_model
from nlpkit.core.model.span_task import Document, SpanTask
from nlpkit.core.model.spans import Cell
from nlpkit.core.model.task import Inputs
from nlpkit.core.text.windows import Window
from nlpkit.nn.backbones import Backbone
from nlpkit.nn.global_pointer import Factors
from nlpkit.tasks.event import codec
from nlpkit.tasks.event.codec import Graph
from nlpkit.tasks.event.data import TRIGGER, Event, Example, Label, join
from nlpkit.tasks.event.formats import read_schema
from nlpkit.tasks.event.metric import event_scores
from nlpkit.tasks.event.model import EventNetwork


@dataclass(frozen=True)
class EventTask(SpanTask[Example, Linked[list[Cell]], Graph, list[Event]]):
    """Settings of an event model.

    Attributes:
        labels: (type, role, value) in the order of the spans' head.
        head_size: of the pointers.
        triggered: whether to leave out what has no trigger, as where all events of the training set have one.
        threshold: probability that each span and link of an event must have.
        wanted: the (type, role) pairs to give; None is all.
        all_cliques: whether to return every maximal clique, also where several are readings of one event.
    """

    name: ClassVar[str] = "event"

    labels: tuple[tuple[str, str, str], ...]
    head_size: Size = 64
    triggered: bool = False
    threshold: Probability = 0.5
    wanted: tuple[tuple[str, str], ...] | None = None
    all_cliques: bool = False

    @cached_property
    def label_ids(self) -> dict[Label, int]:
        """Label -> position in the head."""
        return {Label(*label): index for index, label in enumerate(self.labels)}

    @cached_property
    def types(self) -> dict[str, tuple[str, ...]]:
        """Type -> its roles without the trigger."""
        types: dict[str, dict[str, None]] = {}
        for type, role, _ in self.labels:
            types.setdefault(type, {}).update({role: None} if role != TRIGGER else {})
        return {type: tuple(roles) for type, roles in types.items()}

    @property
    def width(self) -> int:
        """See `SpanTask`."""
        return MATRICES

    def network(self, backbone: Backbone) -> EventNetwork:
        """See `Task`."""
        return EventNetwork(backbone, len(self.labels), self.head_size)

    def target(self, example: Example, document: Document, window: Window) -> Linked[list[Cell]]:
        """See `SpanTask`."""
        return codec.encode(example.events, document.encoding, window, self.label_ids)

    def join(self, examples: Sequence[Example]) -> Example:
        """See `SpanTask`."""
        return join(examples)

    def misaligned(self, example: Example, document: Document) -> int:
        """See `SpanTask`; triggers and arguments are counted."""
        arguments = [argument for event in example.events for argument in event.arguments]
        return len(arguments) - len(spans.align(arguments, document.encoding))

    def collate(self, targets: Sequence[Linked[list[Cell]]], size: int) -> dict[str, Tensor]:
        """See `LinkerNetwork.loss`."""
        return collate_linked(targets, len(self.labels), 1, size)

    def decode(self, outputs: Linked[Factors], inputs: Inputs, floor: float) -> list[Graph]:
        """See `SpanTask`."""
        device = inputs.mask.device
        wanted = None if self._wanted is None else self._wanted.to(device)
        return codec.decode(outputs, inputs.mask, floor, self._numbers.to(device), wanted)

    def assemble(self, document: Document, found: Sequence[Graph], threshold: float) -> list[Event]:
        """See `SpanTask`."""
        return codec.assemble(document, found, self._labels, threshold, self.triggered, self.all_cliques)

    def score(self, pairs: Iterable[tuple[Example, list[Event]]]) -> dict[str, Any]:
        """See `metric.event_scores`."""
        return event_scores(pairs)

    def check(self, example: Example) -> None:
        """See `Task`."""
        labels = {Label(e.type, a.role, a.value) for e in example.events for a in e.arguments}
        strange = sorted(f"{label.role} in {label.type}" for label in labels - self.label_ids.keys())
        if strange:
            known = ", ".join(self.types)
            raise example.line.error(f"the model has no {', no '.join(strange)}; its types are: {known}")

    @cached_property
    def _labels(self) -> list[Label]:
        return [Label(*label) for label in self.labels]

    @cached_property
    def _numbers(self) -> Tensor:
        """The number of each label's type, from 1; of triggers negative."""
        numbers = {type: number for number, type in enumerate(self.types, 1)}
        return torch.tensor([numbers[label.type] * (-1 if label.role == TRIGGER else 1) for label in self._labels])

    @cached_property
    def _wanted(self) -> Tensor | None:
        if self.wanted is None:
            return None
        return torch.tensor([(label.type, label.role) in self.wanted for label in self._labels])


DEFAULT_MODEL = "event"


def load(
    name: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    *,
    threshold: float | None = None,
    schema: str | None = None,
    all_cliques: bool = False,
) -> Model[EventTask]:
    """A trained event model; see `core.model.model.load`.

    Args:
        name: the embedded model when None.
        device: where to run.
        dtype: in which precision.
        threshold: in place of the model's own.
        schema: a file that names the types and roles to give; see `formats.read_schema`.
        all_cliques: see `EventTask`.

    Raises:
        ModelError: no such model, or not one for events.
        DataError: a schema that cannot be read, or has a type that the model does not have.
    """
    model = load_model(name or DEFAULT_MODEL, EventTask, device, dtype)
    model.task = replace(
        model.task,
        threshold=model.task.threshold if threshold is None else threshold,
        wanted=None if schema is None else read_schema(schema, model.task.types),
        all_cliques=all_cliques,
    )
    return model
