"""What a task adds to the shared core.

A task is a frozen dataclass of its settings (labels, head, threshold …), which a checkpoint keeps, with the methods
below. Everything else — windows, batches, prediction, the training loop, evaluation, checkpoints — is written once for
all tasks in this package and calls these.

    text ─ tokenizer ─▶ Encoding ─ split ─▶ windows ─ rows ─▶ Inputs ─ network ─▶ outputs ─ decode ─▶ findings
                                                                      ─ assemble ─▶ Prediction in character offsets
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor, nn

from nlpkit.core.tokenizer import CharTokenizer, Encoding
from nlpkit.core.windows import Window
from nlpkit.nn.backbones import Backbone

Example = TypeVar("Example")  # a text with its gold annotation
Target = TypeVar("Target")  # the gold of one window, in positions of its row
Finding = TypeVar("Finding")  # what decode finds in one row
Answer = TypeVar("Answer")  # what the user gets for a text


@dataclass(slots=True)
class Inputs:
    """A batch of rows [CLS] units [SEP]: input_ids [b, s] and mask [b, s], True where there is a unit."""

    input_ids: Tensor
    mask: Tensor

    def to(self, device: torch.device) -> "Inputs":
        """The same on a device."""
        return Inputs(self.input_ids.to(device), self.mask.to(device))


@dataclass(frozen=True, slots=True)
class Document:
    """A text with its units and windows."""

    text: str
    encoding: Encoding
    windows: list[Window]


@dataclass(frozen=True, slots=True)
class Prediction(Generic[Answer]):
    """What a task found in a text, and how many windows that took."""

    answer: Answer
    windows: int


class Network(nn.Module):
    """A backbone with the task's heads; `backbone` runs in the chosen precision, heads and losses in fp32."""

    backbone: Backbone

    def loss(self, inputs: Inputs, targets: dict[str, Tensor]) -> Tensor:
        """The training loss, a scalar."""
        raise NotImplementedError


class Task(ABC, Generic[Example, Target, Finding, Answer]):
    """The slice's side of the contract."""

    name: ClassVar[str]
    metric: ClassVar[str] = "f1"  # what chooses the best checkpoint; higher is better
    threshold: float

    @abstractmethod
    def network(self, backbone: Backbone) -> Network:
        """The backbone with this task's heads, untrained."""

    @abstractmethod
    def target(self, example: Example, document: Document, window: Window) -> Target:
        """The gold inside a window; row position = unit − window.begin + 1, as position 0 is [CLS]."""

    @abstractmethod
    def join(self, examples: Sequence[Example]) -> Example:
        """One example of several texts, written one behind the other."""

    @abstractmethod
    def misaligned(self, example: Example, document: Document) -> int:
        """How many gold items do not fall on unit boundaries, so that the model can never find them."""

    @abstractmethod
    def collate(self, targets: Sequence[Target], size: int) -> dict[str, Tensor]:
        """Label tensors for rows of `size` positions."""

    @abstractmethod
    def decode(self, outputs: Any, inputs: Inputs, threshold: float) -> list[list[Finding]]:
        """The findings of each row, in row positions."""

    @abstractmethod
    def assemble(self, document: Document, found: Sequence[Sequence[Finding]]) -> Answer:
        """Merges the findings of a document's windows and turns them into character offsets."""

    @abstractmethod
    def keep(self, answer: Answer, threshold: float) -> Answer:
        """The answer without what scores below a threshold."""

    @abstractmethod
    def score(self, pairs: Iterable[tuple[Example, Answer]]) -> dict[str, Any]:
        """The metrics of (gold, prediction) pairs; `metric` is among them."""


def make_rows(rows: Sequence[tuple[Encoding, Window]], tokenizer: CharTokenizer) -> Inputs:
    """Padded rows [CLS] units [SEP] for windows of texts."""
    size = max(len(window) for _, window in rows) + 2
    input_ids = torch.full((len(rows), size), tokenizer.pad_id)
    mask = torch.zeros(len(rows), size, dtype=torch.bool)
    for index, (encoding, window) in enumerate(rows):
        ids = [tokenizer.cls_id, *encoding.ids[window.begin : window.end], tokenizer.sep_id]
        input_ids[index, : len(ids)] = torch.tensor(ids)
        mask[index, : len(ids)] = True
    return Inputs(input_ids, mask)
