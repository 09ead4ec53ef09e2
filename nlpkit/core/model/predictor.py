"""A trained network ready to predict: what `nlpkit.load` and the commands use."""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Generic, Protocol, Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from nlpkit.core.io.stream import CHUNK_SIZE
from nlpkit.core.model.calibration import expected_calibration_error
from nlpkit.core.model.task import Answer, Task
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.errors import UsageError

if TYPE_CHECKING:  # they import torch
    import torch

    from nlpkit.nn.network import Network, TorchRunner

T = TypeVar("T", bound=Task[Any, Any, Any])
Metrics = Callable[[list[tuple[Any, Any]]], dict[str, Any]]  # of (gold, answer) pairs


class Runner(Protocol):
    """A trained network that computes with arrays of numpy: in torch, or in ONNX Runtime."""

    @property
    def device_type(self) -> str:
        """Return `cpu`, `cuda` or `mps`."""

    @property
    def parameters(self) -> int:
        """Return the number of weights."""


class SequenceRunner(Runner, Protocol):
    """A runner of a network that reads sequences one by one."""

    def __call__(self, input_ids: NDArray[np.int64], attention_mask: NDArray[np.bool_]) -> Any:
        """Return what `Task.decode` takes, for sequences [b, s]; the mask is True at tokens."""


@dataclass(frozen=True, slots=True)
class Prediction(Generic[Answer]):
    """The answer to a text.

    Attributes:
        answer: of the task's type.
        windows: number of windows in which the text was read.
    """

    answer: Answer
    windows: int = 1


class Annotator(Protocol):
    """What gives an answer to each text, and its JSON fields."""

    @property
    def output_fields(self) -> tuple[str, ...]:
        """Return the names of all fields that `to_fields` may return."""

    def predictions(self, texts: Sequence[Any]) -> list[Prediction[Any]]:
        """Return the answers to texts, in order."""

    def to_fields(self, text: str, answer: Any) -> dict[str, Any]:
        """Return an answer as JSON fields."""


class Predictor(ABC, Generic[T, Answer]):
    """A network with its tokenizer and task: texts in, answers out.

    Args:
        task: with its settings.
        runner: computes with the network.
        tokenizer: of the backbone.
        max_length: of a sequence, [CLS] and [SEP] included.
    """

    def __init__(self, task: T, runner: Runner, tokenizer: CharTokenizer, max_length: int):
        self.task, self.runner, self.tokenizer, self.max_length = task, runner, tokenizer, max_length

    @property
    def network(self) -> "Network":
        """The network, where it runs in torch."""
        return self._in_torch.network

    @property
    def device(self) -> "torch.device":
        """The device of the network, where it runs in torch."""
        return self._in_torch.device

    @property
    def dtype(self) -> "torch.dtype":
        """The precision of the network, where it runs in torch."""
        return self._in_torch.dtype

    @property
    def _in_torch(self) -> "TorchRunner":
        if not hasattr(self.runner, "network"):
            raise UsageError(
                "this model computes in ONNX Runtime and has no network of torch; load it with runtime='torch'"
            )
        return cast("TorchRunner", self.runner)

    @property
    def settings(self) -> Any:
        """Settings of the model."""
        return self.task.settings

    @property
    def output_fields(self) -> tuple[str, ...]:
        """Return the names of all fields that `to_fields` may return."""
        return self.task.output_fields

    def to_fields(self, text: str, answer: Answer) -> dict[str, Any]:
        """Return an answer as JSON fields."""
        return self.task.to_fields(text, answer)

    def predict(self, texts: Iterable[str]) -> list[Answer]:
        """Return the answers to texts, in order.

        No answer depends on the other texts of the call beyond rounding (1e-5 in fp32).

        Args:
            texts: strings of any length; a text longer than the model reads is read in overlapping windows.

        Raises:
            UsageError: `texts` is a single string.
        """
        return list(self.stream(texts))

    def stream(self, texts: Iterable[str], chunk: int = CHUNK_SIZE) -> Iterator[Answer]:
        """Yield the answers to texts, in order, reading `chunk` texts ahead; memory does not grow with their number.

        Raises:
            UsageError: `texts` is a single string.
        """
        if isinstance(texts, str):
            raise UsageError("texts is one string; pass a list of strings")
        return self._stream(texts, chunk)

    def _stream(self, texts: Iterable[str], chunk: int) -> Iterator[Answer]:
        source = iter(texts)
        while ahead := list(islice(source, chunk)):
            yield from (prediction.answer for prediction in self.predictions(ahead))

    def records(self, texts: Iterable[str]) -> list[dict[str, Any]]:
        """Return the answers to texts as JSON fields, as the command writes them.

        Raises:
            UsageError: `texts` is a single string.
        """
        texts = texts if isinstance(texts, str) else list(texts)
        return [self.to_fields(text, answer) for text, answer in zip(texts, self.predict(texts), strict=True)]

    @abstractmethod
    def predictions(self, texts: Sequence[str]) -> list[Prediction[Answer]]:
        """Return the answers to texts with the number of windows of each, in order."""

    def evaluate(self, examples: Sequence[Any], more: Metrics | None = None) -> dict[str, Any]:
        """Return metrics and calibration errors on gold examples, their number, seconds, and examples per second.

        Args:
            examples: with gold annotation.
            more: further metrics of (gold, answer) pairs.
        """
        start = time.perf_counter()
        answers: list[Any] = []
        for first in range(0, len(examples), CHUNK_SIZE):
            answers += self.answers(examples[first : first + CHUNK_SIZE])
        seconds, noun = time.perf_counter() - start, self.task.examples_noun
        pairs = list(zip(examples, answers, strict=True))
        return {
            **self.task.score(pairs),
            **{name: expected_calibration_error(found) for name, found in self.task.outcomes(pairs).items()},
            **(more(pairs) if more else {}),
            noun: len(examples),
            **self.diagnostics(examples),
            "seconds": round(seconds, 3),
            f"{noun}_per_second": round(len(examples) / seconds, 1) if seconds else None,
        }

    def answers(self, examples: Sequence[Any]) -> list[Any]:
        """Return what `Task.score` compares with the gold examples."""
        return [prediction.answer for prediction in self.predictions([example.text for example in examples])]

    def diagnostics(self, examples: Sequence[Any]) -> dict[str, Any]:
        """Return counts about gold examples that an evaluation reports beside the metrics."""
        return {}

    def calibrate(self, examples: Sequence[Any]) -> dict[str, Any]:
        """Return the settings in `Task.calibrated_fields` that are best on gold examples, as changes."""
        return {}

    def changed(self, **changes: Any) -> Self:
        """Return a predictor with the same network and some settings replaced."""
        result = copy(self)
        result.task = self.task.changed(**changes)
        return result
