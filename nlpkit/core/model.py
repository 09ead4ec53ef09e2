"""A loaded model: a task's network with its tokenizer, on a device in a precision; and prediction with it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

from nlpkit.core import checkpoint
from nlpkit.core.device import keep_memory, pick_device, pick_dtype
from nlpkit.core.manifest import find, read_manifest
from nlpkit.core.stream import token_batches
from nlpkit.core.task import Document, Network, Prediction, Task, make_rows
from nlpkit.core.tokenizer import CharTokenizer
from nlpkit.core.windows import split
from nlpkit.errors import ModelError
from nlpkit.nn.backbones import build

T = TypeVar("T", bound=Task[Any, Any, Any, Any])

CPU_BUDGET, GPU_BUDGET = 2048, 32768  # units in a batch, padding included


@dataclass(slots=True)
class Model(Generic[T]):
    """A network that is ready to predict."""

    task: T
    network: Network
    tokenizer: CharTokenizer
    max_length: int
    device: torch.device
    dtype: torch.dtype

    def prepare(self, text: str) -> Document:
        """The units of a text and the windows that fit the model."""
        encoding = self.tokenizer.encode(text)
        return Document(text, encoding, split(text, encoding, self.max_length - 2))

    def predict(self, texts: Sequence[str], threshold: float | None = None) -> list[Prediction[Any]]:
        """What the task finds in each text, in order.

        The texts' windows go through the network in batches of similar length. The result of a text does not depend on
        its neighbours, beyond rounding (1e-5 in fp32 scores).
        """
        threshold = self.task.threshold if threshold is None else threshold
        documents = [self.prepare(text) for text in texts]
        pieces = [(document, window) for document in documents for window in document.windows]
        found: list[Any] = [None] * len(pieces)
        budget = GPU_BUDGET if self.device.type == "cuda" else CPU_BUDGET
        self.network.eval()
        for batch in token_batches([len(window) + 2 for _, window in pieces], budget):
            inputs = make_rows([(pieces[i][0].encoding, pieces[i][1]) for i in batch], self.tokenizer).to(self.device)
            with torch.inference_mode():
                rows = self.task.decode(self.network(inputs), inputs, threshold)
            for index, findings in zip(batch, rows, strict=True):
                found[index] = findings
        remaining = iter(found)
        return [
            Prediction(
                self.task.assemble(document, [next(remaining) for _ in document.windows]),
                len(document.windows),
            )
            for document in documents
        ]


def load(name: str, kind: type[T], device: str = "auto", dtype: str = "auto") -> Model[T]:
    """A trained model by embedded name, folder or hub name.

    Args:
        name: see `checkpoint.find`.
        kind: the task's class; its fields are the manifest's config.
        device: as for `pick_device`.
        dtype: as for `pick_dtype`.

    Raises:
        ModelError: not a model of this task, or a broken one.
    """
    keep_memory()
    folder = find(name)
    manifest = read_manifest(folder, kind.name)
    task = make_task(kind, manifest.config, folder)
    with checkpoint.unallocated(manifest.backbone):
        network = task.network(build(manifest.backbone))
    checkpoint.load_weights(network, folder)
    where = pick_device(device)
    precision = pick_dtype(dtype, where)
    network.to(where).eval()
    network.backbone.to(precision)
    tokenizer = checkpoint.load_tokenizer(folder, manifest.tokenizer, network.backbone.vocab_size)
    return Model(task, network, tokenizer, manifest.max_length, where, precision)


def make_task(kind: type[T], config: dict[str, Any], folder: Path) -> T:
    """The task of a manifest's config."""
    try:
        return kind(**{name: tuple(value) if isinstance(value, list) else value for name, value in config.items()})
    except TypeError as error:
        raise ModelError(f"{folder}: its config does not fit this version of nlpkit ({error})") from None
