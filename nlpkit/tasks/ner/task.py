"""The NER slice as the core sees it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

from torch import Tensor

from nlpkit.core import spans
from nlpkit.core.model import Model
from nlpkit.core.model import load as load_model
from nlpkit.core.span_task import Document, SpanTask
from nlpkit.core.spans import Cell
from nlpkit.core.task import Inputs
from nlpkit.core.windows import Window
from nlpkit.errors import UsageError
from nlpkit.nn.backbones import Backbone
from nlpkit.nn.global_pointer import Head
from nlpkit.tasks.ner import codec
from nlpkit.tasks.ner.data import Entity, Example, join
from nlpkit.tasks.ner.metric import span_scores
from nlpkit.tasks.ner.model import NerNetwork


@dataclass(frozen=True)
class NerTask(SpanTask[Example, list[Cell], list[Cell], list[Entity]]):
    """Settings of an NER model.

    Attributes:
        labels: entity types, in the order of the head.
        head: `efficient` or `global` pointer.
        head_size: of the pointer.
        nested: whether overlapping entities are all given, or only the best of those that overlap.
        threshold: probability from which a span is an entity.
    """

    name: ClassVar[str] = "ner"

    labels: tuple[str, ...]
    head: Head = "efficient"
    head_size: int = 64
    nested: bool = False
    threshold: float = 0.5

    @cached_property
    def label_ids(self) -> dict[str, int]:
        """Label -> position in the head."""
        return {label: index for index, label in enumerate(self.labels)}

    @property
    def width(self) -> int:
        """See `SpanTask`."""
        return len(self.labels)

    def network(self, backbone: Backbone) -> NerNetwork:
        """See `Task`."""
        return NerNetwork(backbone, len(self.labels), self.head, self.head_size)

    def target(self, example: Example, document: Document, window: Window) -> list[Cell]:
        """See `SpanTask`."""
        return codec.encode(example.entities, document.encoding, window, self.label_ids)

    def join(self, examples: Sequence[Example]) -> Example:
        """See `SpanTask`."""
        return join(examples)

    def misaligned(self, example: Example, document: Document) -> int:
        """See `SpanTask`."""
        return len(example.entities) - len(spans.align(example.entities, document.encoding))

    def collate(self, targets: Sequence[list[Cell]], size: int) -> dict[str, Tensor]:
        """See `NerNetwork.loss`."""
        return {"spans": spans.collate(targets, len(self.labels), size)}

    def decode(self, outputs: Tensor, inputs: Inputs, floor: float) -> list[list[Cell]]:
        """See `SpanTask`; outputs are logits [b, c, s, s]."""
        return spans.decode(outputs, inputs.mask, floor)

    def assemble(self, document: Document, found: Sequence[Sequence[Cell]], threshold: float) -> list[Entity]:
        """See `SpanTask`."""
        entities = codec.assemble(document, found, self.labels, threshold)
        return entities if self.nested else codec.flatten(entities)

    def score(self, pairs: Iterable[tuple[Example, list[Entity]]]) -> dict[str, Any]:
        """See `metric.span_scores`."""
        return span_scores((example.entities, answer) for example, answer in pairs)

    def check(self, example: Example) -> None:
        """See `Task`."""
        strange = sorted({entity.label for entity in example.entities} - set(self.labels))
        if strange:
            known = ", ".join(self.labels)
            raise example.line.error(f"the model has no label {', '.join(strange)}; it has: {known}")


DEFAULT_MODEL = "ner-cluener"


def load(
    name: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    *,
    threshold: float | None = None,
    nested: bool | None = None,
    labels: Sequence[str] | None = None,
) -> Model[NerTask]:
    """A trained NER model; see `core.model.load`.

    Args:
        name: the embedded model when None.
        device: where to run.
        dtype: in which precision.
        threshold: in place of the model's own.
        nested: in place of the model's own.
        labels: those that will be asked for; they must be the model's.

    Raises:
        ModelError: no such model, or not one for NER.
        UsageError: a label that the model does not have.
    """
    model = load_model(name or DEFAULT_MODEL, NerTask, device, dtype)
    unknown = sorted(set(labels or ()) - set(model.task.labels))
    if unknown:
        raise UsageError(f"the model has no label {', '.join(unknown)}; it has: {', '.join(model.task.labels)}")
    model.task = replace(
        model.task,
        threshold=model.task.threshold if threshold is None else threshold,
        nested=model.task.nested if nested is None else nested,
    )
    return model
