"""Relation extraction as the core sees it."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Self

from typing_extensions import override

from nlpkit.core.io.json_shapes import NotEmpty, Probability, Size
from nlpkit.core.model.calibration import UNCALIBRATED, Calibration, Outcome
from nlpkit.core.model.loading import load_predictor
from nlpkit.core.model.text_task import TextPredictor
from nlpkit.core.onnx.weights import StoredWeights
from nlpkit.core.spans.linked import MATRICES, Linked, collate_linked, linked_head
from nlpkit.core.spans.span_task import SpanTask
from nlpkit.core.spans.spans import Alternatives, Bools, Floats, Ints, collate_alternatives
from nlpkit.core.text.document import Document
from nlpkit.core.text.windows import Window
from nlpkit.nn.factors import Factors
from nlpkit.tasks import default_model
from nlpkit.tasks.relation import codec
from nlpkit.tasks.relation.codec import Pair
from nlpkit.tasks.relation.data import Example, Relation, join, predicates_of, to_record
from nlpkit.tasks.relation.exclusion import count_shares
from nlpkit.tasks.relation.formats import read_schema
from nlpkit.tasks.relation.metric import outcomes, triple_scores

if TYPE_CHECKING:  # they import torch
    from nlpkit.nn.backbones import Backbone
    from nlpkit.tasks.relation.model import RelationNetwork


@dataclass(frozen=True, slots=True)
class RelationSettings:
    """Settings of a relation model.

    Attributes:
        predicates: in the order of the links.
        head_size: of the pointers.
        threshold: minimum score of a relation.
        calibration: of the scores.
        shares: of each predicate, how often its relations stand alone in the training texts; see `exclusion.Shares`.
    """

    predicates: Annotated[tuple[str, ...], NotEmpty()]
    head_size: Size = 64
    threshold: Probability = 0.5
    calibration: Calibration = UNCALIBRATED
    shares: dict[str, tuple[Probability, Probability, Probability, Probability]] = field(default_factory=dict)


class RelationTask(SpanTask[RelationSettings, Example, Linked[list[Alternatives]], list[Pair], list[Relation]]):
    """Finds relations with GPLinker (kexue.fm 8888): entities and links between their ends.

    Args:
        settings: of the model.
        include: predicates to return (default: all).
    """

    name: ClassVar[str] = "relation"
    settings_type: ClassVar[type] = RelationSettings
    predictor_type: ClassVar[type] = TextPredictor
    output_fields: ClassVar[tuple[str, ...]] = ("relations",)
    matrices_per_sequence = MATRICES

    def __init__(self, settings: RelationSettings, *, include: tuple[str, ...] | None = None):
        super().__init__(settings)
        self.include = include
        self.predicate_ids = {predicate: index for index, predicate in enumerate(settings.predicates)}

    @override
    def with_settings(self, settings: RelationSettings) -> Self:
        return type(self)(settings, include=self.include)

    @override
    @classmethod
    def from_examples(cls, examples: Sequence[Example], sources: Sequence[str], **settings: Any) -> Self:
        return cls(RelationSettings(predicates_of(examples, sources), shares=count_shares(examples), **settings))

    @override
    def to_fields(self, text: str, answer: list[Relation]) -> dict[str, Any]:
        return to_record(text, answer, fields={}, scores=True)

    @override
    def network(self, backbone: "Backbone") -> "RelationNetwork":
        from nlpkit.tasks.relation.model import RelationNetwork

        return RelationNetwork(backbone, len(self.settings.predicates), self.settings.head_size)

    @override
    def head(self, weights: StoredWeights, width: int) -> Callable[[Floats, Bools], Linked[Factors[Floats]]]:
        return linked_head(weights, width, 2, len(self.settings.predicates), self.settings.head_size, ordered=False)

    @override
    def target(self, example: Example, document: Document, window: Window) -> Linked[list[Alternatives]]:
        return codec.encode(example.relations, document.encoding, window, self.predicate_ids)

    @override
    def join(self, examples: Sequence[Example]) -> Example:
        return join(examples)

    @override
    def misaligned(self, example: Example, document: Document) -> int:
        return len(example.relations) - len(codec.aligned(example.relations, document.encoding))

    @override
    def collate(self, targets: Sequence[Linked[list[Alternatives]]], size: int) -> dict[str, Ints]:
        return collate_linked(targets, 2, len(self.settings.predicates), size, collate_alternatives)

    @override
    def decode(self, outputs: Linked[Factors[Floats]], attention_mask: Bools, min_score: float) -> list[list[Pair]]:
        return codec.decode(outputs, attention_mask, min_score)

    @override
    def assemble(self, document: Document, findings: Sequence[Sequence[Pair]], threshold: float) -> list[Relation]:
        settings = self.settings
        return codec.assemble(document, findings, settings.predicates, threshold, self.include, settings.shares)

    @override
    def score(self, pairs: Iterable[tuple[Example, list[Relation]]]) -> dict[str, Any]:
        return triple_scores(pairs)

    @override
    def outcomes(self, pairs: Iterable[tuple[Example, list[Relation]]]) -> dict[str, list[Outcome]]:
        return {"ece": outcomes(pairs)}

    @override
    def calibrated(self, answer: list[Relation]) -> list[Relation]:
        to_score = self.settings.calibration.score
        return [replace(relation, score=to_score(relation.score)) for relation in answer]

    @override
    def validate(self, example: Example) -> None:
        strange = sorted({relation.predicate for relation in example.relations} - set(self.settings.predicates))
        if strange:
            known = ", ".join(self.settings.predicates)
            raise example.line.error(f"the model has no predicate {', '.join(strange)}; it has: {known}")


def load(
    name: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    *,
    runtime: str = "auto",
    threshold: float | None = None,
    schema: str | None = None,
) -> TextPredictor[list[Relation]]:
    """Return the predictor of a relation model.

    Args:
        name: embedded model, folder or hub name (default: the embedded model of the task).
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        dtype: `auto`, `fp32`, `bf16`, `fp16`; precision of the backbone.
        runtime: `auto`, `onnx` or `torch`; see `core.onnx.choice.onnx_dtype`.
        threshold: minimum score of a relation (default: the model's own).
        schema: file with the predicates to return; see `formats.read_schema`.

    Raises:
        ModelError: no such model, or not one for relations.
        DataError: the schema cannot be read, or has a predicate that the model does not have.
    """

    def make_task(settings: RelationSettings, _: object) -> RelationTask:
        return RelationTask(settings, include=None if schema is None else read_schema(schema, settings.predicates))

    name = name or default_model("relation")
    predictor: TextPredictor[list[Relation]] = load_predictor(
        name, RelationTask, device, dtype, runtime=runtime, make_task=make_task
    )
    return predictor if threshold is None else predictor.changed(threshold=threshold)
