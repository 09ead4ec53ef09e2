"""What a task adds to the shared core.

A `Task` is what is specific to ner, relation, kgqa …: its settings, the network on top of a backbone, the training
data, the metrics. It holds no network. A `core.model.predictor.Predictor` holds a network and a task, and predicts,
evaluates and calibrates. Tasks that read texts window by window are `core.model.text_task.TextTask`s; those that find
spans in them are `core.spans.span_task.SpanTask`s.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from nlpkit.core.model.calibration import Outcome
from nlpkit.core.onnx.weights import StoredWeights
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.nn.configs import EncoderConfig

if TYPE_CHECKING:  # they import torch, which prediction with ONNX Runtime does without
    import torch

    from nlpkit.nn.backbones import Backbone
    from nlpkit.nn.network import Dataset, Network, TorchRunner

Settings = TypeVar("Settings")  # a frozen dataclass of plain values, which a checkpoint keeps
Example = TypeVar("Example")  # a text with its gold annotation
Answer = TypeVar("Answer")  # the result for a text


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
    metric: str = "f1"
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

    def input_of(self, example: Example) -> Hashable:
        """Return what the model reads of an example: its text, unless the task says otherwise."""
        text: str = example.text  # type: ignore[attr-defined]
        return text

    @abstractmethod
    def to_fields(self, text: str, answer: Answer) -> dict[str, Any]:
        """Return an answer as JSON fields: what the command adds to the fields of its input."""

    @abstractmethod
    def network(self, backbone: "Backbone") -> "Network":
        """Return the backbone with the heads of this task, untrained."""

    def prepare_training(self, network: "Network") -> None:
        """Modify a new network before training, for example with `nn.layers.shared_rows.SharedRows`.

        The stored weights are those of `network`, without the modification.
        """

    def adapt(
        self, backbone: "Backbone", tokenizer: CharTokenizer, examples: Sequence[Example]
    ) -> "tuple[Backbone, CharTokenizer]":
        """Return the backbone and the tokenizer to train, made of those that training starts from.

        Args:
            backbone: to start from.
            tokenizer: of the backbone.
            examples: of the training set.
        """
        return backbone, tokenizer

    def head(
        self, weights: StoredWeights, width: int
    ) -> Callable[[NDArray[np.float32], NDArray[np.bool_]], Any] | None:
        """Return the heads of `network` in numpy, for ONNX Runtime: states [b, s, d] and attention mask → outputs.

        Args:
            weights: of the network.
            width: d.

        Returns:
            None if the task predicts in torch only.

        Raises:
            ValueError: a weight is missing or has another shape.
        """
        return None

    def torch_runner(self, network: "Network", device: "torch.device", dtype: "torch.dtype") -> "TorchRunner":
        """Return a runner of a network in torch; the arguments are those of `TorchRunner`."""
        from nlpkit.nn.network import TorchRunner

        return TorchRunner(network, device, dtype)

    def onnx_runner(self, config: EncoderConfig, weights: StoredWeights, parameters: int, *, int8: bool) -> Any:
        """Return a runner in ONNX Runtime; None if the task predicts in torch only.

        Args:
            config: of the encoder; see `core.onnx.encoders.supports`.
            weights: of the network; a runner takes all of them.
            parameters: number of weights.
            int8: whether the encoder multiplies in int8.

        Raises:
            ValueError: a weight is missing, has another shape, or is left over.
        """
        head = self.head(weights, config.hidden_size)
        if head is None:
            return None
        from nlpkit.core.onnx.session import OnnxEncoder, OnnxRunner

        encoder = OnnxEncoder(config, weights.under("backbone."), int8=int8)
        weights.check_all_taken()
        return OnnxRunner(encoder, head, parameters)

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
    ) -> "Dataset":
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
