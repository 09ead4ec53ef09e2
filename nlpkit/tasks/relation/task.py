"""The relation slice as the core sees it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar

from torch import Tensor

from nlpkit.core.io.json_shapes import Probability, Size
from nlpkit.core.model.linker import MATRICES, Linked, collate_linked
from nlpkit.core.model.model import Model
from nlpkit.core.model.model import load as load_model
from nlpkit.core.model.span_task import Document, SpanTask
from nlpkit.core.model.spans import Cell
from nlpkit.core.model.task import Inputs
from nlpkit.core.text.windows import Window
from nlpkit.nn.backbones import Backbone
from nlpkit.nn.global_pointer import Factors
from nlpkit.tasks.relation import codec
from nlpkit.tasks.relation.codec import Pair
from nlpkit.tasks.relation.data import Example, Relation, join
from nlpkit.tasks.relation.formats import read_schema
from nlpkit.tasks.relation.metric import triple_scores
from nlpkit.tasks.relation.model import RelationNetwork


@dataclass(frozen=True)
class RelationTask(SpanTask[Example, Linked[list[Cell]], list[Pair], list[Relation]]):
    """Settings of a relation model.

    Attributes:
        predicates: in the order of the links.
        head_size: of the pointers.
        threshold: probability that each part of a relation must have.
        wanted: the predicates to give; None is all.
    """

    name: ClassVar[str] = "relation"

    predicates: tuple[str, ...]
    head_size: Size = 64
    threshold: Probability = 0.5
    wanted: tuple[str, ...] | None = None

    @cached_property
    def predicate_ids(self) -> dict[str, int]:
        """Predicate -> position in the links."""
        return {predicate: index for index, predicate in enumerate(self.predicates)}

    @property
    def width(self) -> int:
        """See `SpanTask`."""
        return MATRICES

    def network(self, backbone: Backbone) -> RelationNetwork:
        """See `Task`."""
        return RelationNetwork(backbone, len(self.predicates), self.head_size)

    def target(self, example: Example, document: Document, window: Window) -> Linked[list[Cell]]:
        """See `SpanTask`."""
        return codec.encode(example.relations, document.encoding, window, self.predicate_ids)

    def join(self, examples: Sequence[Example]) -> Example:
        """See `SpanTask`."""
        return join(examples)

    def misaligned(self, example: Example, document: Document) -> int:
        """See `SpanTask`."""
        return len(example.relations) - len(codec.aligned(example.relations, document.encoding))

    def collate(self, targets: Sequence[Linked[list[Cell]]], size: int) -> dict[str, Tensor]:
        """See `LinkerNetwork.loss`."""
        return collate_linked(targets, 2, len(self.predicates), size)

    def decode(self, outputs: Linked[Factors], inputs: Inputs, floor: float) -> list[list[Pair]]:
        """See `SpanTask`."""
        return codec.decode(outputs, inputs.mask, floor)

    def assemble(self, document: Document, found: Sequence[Sequence[Pair]], threshold: float) -> list[Relation]:
        """See `SpanTask`."""
        return codec.assemble(document, found, self.predicates, threshold, self.wanted)

    def score(self, pairs: Iterable[tuple[Example, list[Relation]]]) -> dict[str, Any]:
        """See `metric.triple_scores`."""
        return triple_scores(pairs)

    def check(self, example: Example) -> None:
        """See `Task`."""
        strange = sorted({relation.predicate for relation in example.relations} - set(self.predicates))
        if strange:
            known = ", ".join(self.predicates)
            raise example.line.error(f"the model has no predicate {', '.join(strange)}; it has: {known}")


DEFAULT_MODEL = "relation-duie"


def load(
    name: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    *,
    threshold: float | None = None,
    schema: str | None = None,
) -> Model[RelationTask]:
    """A trained relation model; see `core.model.model.load`.

    Args:
        name: the embedded model when None.
        device: where to run.
        dtype: in which precision.
        threshold: in place of the model's own.
        schema: a file that names the predicates to give; see `formats.read_schema`.

    Raises:
        ModelError: no such model, or not one for relations.
        DataError: a schema that cannot be read, or has a predicate that the model does not have.
    """
    model = load_model(name or DEFAULT_MODEL, RelationTask, device, dtype)
    model.task = replace(
        model.task,
        threshold=model.task.threshold if threshold is None else threshold,
        wanted=None if schema is None else read_schema(schema, model.task.predicates),
    )
    return model
