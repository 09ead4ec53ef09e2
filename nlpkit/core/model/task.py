"""What a task adds to the shared core.

A task is a frozen dataclass of its settings (labels, head, threshold …), which a checkpoint keeps, with the methods of
`Task`. The training loop, evaluation, checkpoints and the command line call these and nothing else. Tasks that find
spans in texts are `core.span_task.SpanTask`s, which do windows, batches and thresholds once for all of them.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Protocol, TypeVar

import torch
from torch import Tensor, nn
from typing_extensions import Self

from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.nn.backbones import Backbone
from nlpkit.nn.layers.prepack import prepack

if TYPE_CHECKING:
    from nlpkit.core.model.model import Model

Example = TypeVar("Example")  # a text with its gold annotation
Answer = TypeVar("Answer")  # what the user gets for a text


@dataclass(slots=True)
class Inputs:
    """A batch of rows.

    Attributes:
        input_ids: [b, s].
        mask: [b, s], True where there is a unit; or [b, s, s], True where a row may attend to a column.
        segment_ids: [b, s].
        positions: [b, s], where they are not 0, 1, 2 ….
    """

    input_ids: Tensor
    mask: Tensor
    segment_ids: Tensor | None = None
    positions: Tensor | None = None

    def to(self, device: torch.device) -> "Inputs":
        """The same on a device."""
        segment_ids = None if self.segment_ids is None else self.segment_ids.to(device)
        positions = None if self.positions is None else self.positions.to(device)
        return Inputs(self.input_ids.to(device), self.mask.to(device), segment_ids, positions)


class Dataset(Protocol):
    """Training batches as a pure function of the step, without end."""

    steps_per_epoch: int
    longest: int  # units in the longest row
    notes: dict[str, Any]  # counts for the manifest

    def __call__(self, step: int) -> tuple[Inputs, dict[str, Tensor]]:
        """Inputs and targets of a step, counted from 0."""


@dataclass(frozen=True, slots=True)
class Prediction(Generic[Answer]):
    """A task's answer to a text, and how many windows it took."""

    answer: Answer
    windows: int = 1


class Network(nn.Module):
    """A backbone with the task's heads; `backbone` runs in the chosen precision, heads and losses in fp32."""

    backbone: Backbone

    def loss(self, inputs: Inputs, targets: dict[str, Tensor]) -> Tensor:
        """The training loss, a scalar."""
        raise NotImplementedError

    def measure(self, batches: Dataset) -> None:
        """Takes from the training batches what a network has to know of them before it is trained."""

    def fix(self) -> None:
        """Lays out weights for prediction on the device and in the precision that they have; they train no more."""
        prepack(self.backbone)


class Task(ABC, Generic[Example, Answer]):
    """The slice's side of the contract."""

    name: ClassVar[str]
    metric: ClassVar[str] = "f1"  # what chooses the best checkpoint; higher is better
    fitted: ClassVar[tuple[str, ...]] = ("threshold",)  # the settings that `tuned` finds

    @abstractmethod
    def network(self, backbone: Backbone) -> Network:
        """The backbone with this task's heads, untrained."""

    @abstractmethod
    def dataset(
        self,
        examples: Sequence[Example],
        tokenizer: CharTokenizer,
        *,
        max_length: int,
        batch_size: int,
        seed: int,
        join: int = 1,
    ) -> Dataset:
        """Training batches of the examples; `join` as in `core.dataset.with_joined`."""

    @abstractmethod
    def predict(self, model: "Model[Any]", texts: Sequence[str]) -> list[Prediction[Answer]]:
        """The answers to texts, in order; none depends on its neighbours beyond rounding (1e-5 in fp32)."""

    @abstractmethod
    def score(self, pairs: Iterable[tuple[Example, Answer]]) -> dict[str, Any]:
        """The metrics of (gold, answer) pairs; `metric` is among them."""

    def answers(self, model: "Model[Any]", examples: Sequence[Any]) -> list[Answer]:
        """The answers to gold examples."""
        return [prediction.answer for prediction in self.predict(model, [example.text for example in examples])]

    def check(self, example: Example) -> None:
        """Whether a model of this task can be scored on a gold example.

        Raises:
            DataError: it cannot, as when a label is not the model's.
        """

    def notes(self, model: "Model[Any]", examples: Sequence[Example]) -> dict[str, Any]:
        """What else an evaluation should say of its gold examples."""
        return {}

    def at(self, threshold: float) -> Self:
        """The same task with another decision threshold, where it has one."""
        return self

    def tuned(self, model: "Model[Any]", examples: Sequence[Example]) -> Self:
        """The same task with the decision threshold that is best on the examples, where it has one."""
        return self
