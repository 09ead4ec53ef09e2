"""A loaded model: a task's network with its tokenizer, on a device in a precision."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch

from nlpkit.core.io.json_shapes import conform
from nlpkit.core.model import checkpoint
from nlpkit.core.model.device import keep_memory, pick_device, pick_dtype
from nlpkit.core.model.manifest import find, read_manifest
from nlpkit.core.model.task import Network, Prediction, Task
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.errors import ModelError

T = TypeVar("T", bound=Task[Any, Any])


@dataclass(slots=True)
class Model(Generic[T]):
    """A network that is ready to predict.

    Attributes:
        task: its settings and methods.
        network: on the device, in evaluation mode once it predicts.
        tokenizer: of the backbone.
        max_length: of a row, [CLS] and [SEP] included: the longest that was trained on.
        device: where it is.
        dtype: of the backbone, or of autocast while it is trained.
    """

    task: T
    network: Network
    tokenizer: CharTokenizer
    max_length: int
    device: torch.device
    dtype: torch.dtype

    def predict(self, texts: Sequence[str]) -> list[Prediction[Any]]:
        """See `Task.predict`."""
        return self.task.predict(self, texts)


def load(name: str, kind: type[T], device: str = "auto", dtype: str = "auto", *, fixed: bool = True) -> Model[T]:
    """A trained model by embedded name, folder or hub name.

    Args:
        name: see `checkpoint.find`.
        kind: the task's class; its fields are the manifest's config.
        device: as for `pick_device`.
        dtype: as for `pick_dtype`.
        fixed: whether device and precision stay as they are, so that weights may be laid out for them; they are no
            parameters any more then.

    Raises:
        ModelError: not a model of this task, or a broken one.
    """
    keep_memory()
    folder = find(name)
    manifest = read_manifest(folder, kind.name)
    task = make_task(kind, manifest.config, folder)
    try:
        with checkpoint.unallocated(manifest.backbone):
            network = task.network(checkpoint.build_backbone(folder, manifest))
    except (KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ModelError(f"{folder}: its config does not fit this version of nlpkit ({error})") from None
    if manifest.max_length > network.backbone.max_length:
        longest = network.backbone.max_length
        raise ModelError(f"{folder}: max_length is {manifest.max_length}, and its backbone reads {longest} at most")
    checkpoint.load_weights(network, folder)
    where = pick_device(device)
    precision = pick_dtype(dtype, where)
    network.to(where).eval()
    network.backbone.to(precision)
    if fixed:
        network.fix()
    tokenizer = checkpoint.tokenizer_of(folder, manifest)
    return Model(task, network, tokenizer, manifest.max_length, where, precision)


def make_task(kind: type[T], config: dict[str, Any], folder: Path) -> T:
    """The task of a manifest's config.

    Raises:
        ModelError: the config has fields that this version does not know, lacks some, or has others in them.
    """
    try:
        return conform(config, kind)
    except ValueError as error:
        raise ModelError(f"{folder}: its config does not fit this version of nlpkit ({error})") from None
