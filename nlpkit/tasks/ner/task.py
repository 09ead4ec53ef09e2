"""The NER slice as the core sees it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from nlpkit.core.io.json_shapes import Probability, Size
from nlpkit.core.model import spans
from nlpkit.core.model.model import Model
from nlpkit.core.model.model import load as load_model
from nlpkit.core.model.span_task import Document, SpanTask
from nlpkit.core.model.spans import Cell
from nlpkit.core.model.task import Inputs
from nlpkit.core.text.windows import Window
from nlpkit.errors import UsageError
from nlpkit.nn.backbones import Backbone
from nlpkit.nn.global_pointer import Head
from nlpkit.tasks.ner import codec
from nlpkit.tasks.ner.codec import DictMode
from nlpkit.tasks.ner.data import Entity, Example, join
from nlpkit.tasks.ner.dictionary import Dictionary
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
        wanted: the labels to give; None is all.
    """

    name: ClassVar[str] = "ner"

    labels: tuple[str, ...]
    head: Head = "efficient"
    head_size: Size = 64
    nested: bool = False
    threshold: Probability = 0.5
    wanted: tuple[str, ...] | None = None

    @cached_property
    def label_ids(self) -> dict[str, int]:
        """Label -> position in the head."""
        return {label: index for index, label in enumerate(self.labels)}

    @property
    def known_labels(self) -> tuple[str, ...]:
        """All labels that an answer may have."""
        return self.labels

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
        wanted = None
        if self.wanted is not None:
            wanted = torch.tensor([label in self.wanted for label in self.labels], device=outputs.device)
        return spans.decode(outputs, inputs.mask, floor, wanted)

    def assemble(self, document: Document, found: Sequence[Sequence[Cell]], threshold: float) -> list[Entity]:
        """See `SpanTask`."""
        entities = codec.assemble(document, found, self.labels, threshold)
        return entities if self.nested else codec.flatten(entities)

    def score(self, pairs: Iterable[tuple[Example, list[Entity]]]) -> dict[str, Any]:
        """See `metric.span_scores`."""
        return span_scores((example.entities, answer) for example, answer in pairs)

    def check(self, example: Example) -> None:
        """See `Task`."""
        strange = sorted({entity.label for entity in example.entities} - set(self.known_labels))
        if strange:
            known = ", ".join(self.known_labels)
            raise example.line.error(f"the model has no label {', '.join(strange)}; it has: {known}")


@dataclass(frozen=True)
class DictionaryNerTask(NerTask):
    """An NER model with a dictionary of names that are entities, too; no checkpoint keeps it.

    Attributes:
        dictionary: the names; they are looked up in the whole text, not in its windows.
        dict_mode: what to keep where a name overlaps an entity of the model; see `codec.combine`.
    """

    dictionary: Dictionary = field(kw_only=True)
    dict_mode: DictMode = field(kw_only=True)

    @property
    def known_labels(self) -> tuple[str, ...]:
        """All labels that an answer may have."""
        return tuple(dict.fromkeys([*self.labels, *self.dictionary.labels]))

    def assemble(self, document: Document, found: Sequence[Sequence[Cell]], threshold: float) -> list[Entity]:
        """Return the entities of the model and the dictionary, in character offsets and text order."""
        entities = codec.assemble(document, found, self.labels, threshold)
        names = self.dictionary.find(document.text)
        if self.wanted is not None:
            names = [name for name in names if name.label in self.wanted]
        return codec.combine(entities, names, self.dict_mode, self.nested)


DEFAULT_MODEL = "ner-cluener"


def load(
    name: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    *,
    threshold: float | None = None,
    nested: bool | None = None,
    labels: Sequence[str] | None = None,
    dictionary: Dictionary | None = None,
    dict_mode: DictMode = "join",
) -> Model[NerTask]:
    """A trained NER model; see `core.model.model.load`.

    Args:
        name: the embedded model when None.
        device: where to run.
        dtype: in which precision.
        threshold: in place of the model's own.
        nested: in place of the model's own.
        labels: those to give; they must be the model's or the dictionary's.
        dictionary: of names that are entities, too.
        dict_mode: what to keep where a name overlaps an entity of the model; see `codec.combine`.

    Raises:
        ModelError: no such model, or not one for NER.
        UsageError: a label that neither the model nor the dictionary has.
    """
    model = load_model(name or DEFAULT_MODEL, NerTask, device, dtype)
    task = model.task
    if dictionary is not None:
        settings = {setting.name: getattr(task, setting.name) for setting in fields(task)}
        task = DictionaryNerTask(**settings, dictionary=dictionary, dict_mode=dict_mode)
    unknown = sorted(set(labels or ()) - set(task.known_labels))
    if unknown:
        having = "the model has" if dictionary is None else "the model and the dictionary have"
        known = f"{'it has' if dictionary is None else 'they have'}: {', '.join(task.known_labels)}"
        raise UsageError(f"{having} no label {', '.join(unknown)}; {known}")
    model.task = replace(
        task,
        threshold=model.task.threshold if threshold is None else threshold,
        nested=model.task.nested if nested is None else nested,
        wanted=None if labels is None else tuple(labels),
    )
    return model
