"""What a task adds to the shared core.

A `Task` is what is specific to ner, relation, kgqa …: its settings, the network on top of a backbone, the training
data, the metrics. It holds no network. A `core.model.predictor.Predictor` holds a network and a task, and predicts,
evaluates and calibrates. Tasks that read texts window by window are `core.model.text_task.TextTask`s; those that find
spans in them are `core.spans.span_task.SpanTask`s.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Generic, Protocol, Self, TypeVar

import torch
from torch import Tensor, nn

from nlpkit.core.model.calibration import Outcome
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.nn.backbones import Backbone
from nlpkit.nn.layers.prepack import prepack

Settings = TypeVar("Settings")  # a frozen dataclass of plain values, which a checkpoint keeps
Example = TypeVar("Example")  # a text with its gold annotation
Answer = TypeVar("Answer")  # the result for a text


@dataclass(slots=True)
class Inputs:
    """A batch of sequences.

    Attributes:
        input_ids: [b, s].
        attention_mask: [b, s], True at tokens, False at padding; or [b, s, s], True where a query (second dimension)
            may attend to a key (third dimension).
        token_type_ids: [b, s].
        position_ids: [b, s], where they are not 0, 1, 2 ….
    """

    input_ids: Tensor
    attention_mask: Tensor
    token_type_ids: Tensor | None = None
    position_ids: Tensor | None = None

    def to(self, device: torch.device) -> "Inputs":
        """Return the batch on a device."""
        token_type_ids = None if self.token_type_ids is None else self.token_type_ids.to(device)
        position_ids = None if self.position_ids is None else self.position_ids.to(device)
        return Inputs(self.input_ids.to(device), self.attention_mask.to(device), token_type_ids, position_ids)


class Dataset(Protocol):
    """Training batches as a pure function of the step, without end.

    Attributes:
        steps_per_epoch: number of batches in one pass.
        longest: tokens in the longest sequence, [CLS] and [SEP] included.
        diagnostics: counts for the manifest.
    """

    steps_per_epoch: int
    longest: int
    diagnostics: dict[str, Any]

    def __call__(self, step: int) -> tuple[Inputs, dict[str, Tensor]]:
        """Return inputs and targets of a step, counted from 0."""


class Network(nn.Module):
    """A backbone with the heads of a task; `backbone` runs in the chosen precision, heads and losses in fp32."""

    backbone: Backbone

    def loss(self, inputs: Inputs, targets: dict[str, Tensor]) -> Tensor:
        """Return the training loss, a scalar."""
        raise NotImplementedError

    def calibrate_statistics(self, batches: Dataset) -> None:
        """Estimate normalization statistics from training batches, before training."""

    def prepare_for_inference(self) -> None:
        """Repack the weights for prediction on their device, in their precision; they cannot be trained any more."""
        prepack(self.backbone)


class Task(ABC, Generic[Settings, Example, Answer]):
    """The definition of a task: all that depends on the task and not on a trained network.

    A concrete task sets the class attributes.

    Attributes:
        name: of the task and its command.
        settings_type: dataclass of the settings; its fields are the `config` of the manifest.
        predictor_type: class that predicts with a network of this task.
        metric: name of the metric that selects the best weights; higher is better.
        calibrated_fields: settings that `Predictor.calibrate` finds on the dev set.
        output_fields: names of the JSON fields that `to_fields` may return.
        examples_noun: what the examples are called in the metrics.
        settings: of this model.
    """

    name: ClassVar[str]
    settings_type: ClassVar[type]
    predictor_type: ClassVar[type]
    metric: ClassVar[str] = "f1"
    calibrated_fields: ClassVar[tuple[str, ...]] = ("threshold",)
    output_fields: ClassVar[tuple[str, ...]]
    examples_noun: ClassVar[str] = "texts"

    settings: Settings

    def __init__(self, settings: Settings):
        self.settings = settings

    def with_settings(self, settings: Settings) -> Self:
        """Return the same task with other settings."""
        return type(self)(settings)

    def changed(self, **changes: Any) -> Self:
        """Return the same task with some settings replaced."""
        return self.with_settings(replace(self.settings, **changes))  # type: ignore[type-var]

    @classmethod
    @abstractmethod
    def from_examples(cls, examples: Sequence[Example], sources: Sequence[str], **settings: Any) -> Self:
        """Return the task for a training set, whose labels it takes.

        Args:
            examples: of the training set.
            sources: names of its files, for errors.
            settings: of the network, in place of the defaults.

        Raises:
            DataError: the set has nothing to learn, such as no labels.
        """

    @abstractmethod
    def to_fields(self, text: str, answer: Answer) -> dict[str, Any]:
        """Return an answer as JSON fields: what the command adds to the fields of its input."""

    @abstractmethod
    def network(self, backbone: Backbone) -> Network:
        """Return the backbone with the heads of this task, untrained."""

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
        """Return training batches of the examples.

        Args:
            examples: with gold annotation.
            tokenizer: of the backbone.
            max_length: of a sequence, [CLS] and [SEP] included.
            batch_size: sequences, or pairs, in a batch.
            seed: of the order.
            join: maximum number of texts to concatenate; see `core.model.dataset.with_joined`.
        """

    @abstractmethod
    def score(self, pairs: Iterable[tuple[Example, Answer]]) -> dict[str, Any]:
        """Return the metrics of (gold, answer) pairs; `metric` is among them."""

    def outcomes(self, pairs: Iterable[tuple[Example, Answer]]) -> dict[str, list[Outcome]]:
        """Return the scores in the answers of (gold, answer) pairs, each with whether its result is right.

        They are grouped by the name of the metric that tells how well they are calibrated, such as `ece`.
        """
        return {}

    def validate(self, example: Example) -> None:
        """Check that a model of this task can be scored on a gold example.

        Raises:
            DataError: it cannot, for example because the model lacks a label.
        """
