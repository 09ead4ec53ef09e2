"""Reading and writing checkpoint folders (see `core.manifest`): safetensors only, nothing left half-written."""

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from nlpkit.core.manifest import MANIFEST, Manifest, write_json
from nlpkit.core.tokenizer import KINDS, CharTokenizer, read_vocabulary
from nlpkit.errors import ModelError

WEIGHTS = "model.safetensors"


def save(
    folder: Path,
    manifest: Manifest,
    tokenizer: CharTokenizer,
    weights: Mapping[str, Tensor],
    *,
    half: bool = False,
) -> None:
    """Writes a checkpoint folder; an older checkpoint there stays whole until the new manifest stands.

    Args:
        folder: made if missing.
        manifest: what to write into nlpkit.json.
        tokenizer: its vocabulary is written.
        weights: the state dict.
        half: store floating-point weights as fp16.
    """
    folder.mkdir(parents=True, exist_ok=True)
    stored = {
        name: (value.half() if half and value.is_floating_point() else value).detach().cpu().contiguous()
        for name, value in weights.items()
    }
    save_tensors(stored, folder / WEIGHTS)
    tokenizer.save(folder)
    write_json(folder / MANIFEST, asdict(manifest))


def save_tensors(tensors: dict[str, Tensor], path: Path, metadata: dict[str, str] | None = None) -> None:
    """A safetensors file that replaces the old one only when complete."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        save_file(tensors, temporary, metadata={"format": "pt"} | (metadata or {}))
        temporary.chmod(0o644)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load_tokenizer(folder: Path, description: Mapping[str, Any]) -> CharTokenizer:
    """The tokenizer of a checkpoint or Hugging Face folder."""
    kind = KINDS.get(description.get("kind", "char"))
    if kind is None:
        raise ModelError(f"{folder}: unknown tokenizer kind {description['kind']!r}; a newer nlpkit may know it")
    return kind(read_vocabulary(folder / "vocab.txt"), lowercase=description.get("lowercase", True))


def load_weights(network: nn.Module, folder: Path, prefix: str = "") -> None:
    """Fills a network (also one on the meta device) from a checkpoint folder, as fp32.

    Args:
        network: what to fill.
        folder: the checkpoint.
        prefix: take only the weights under this name, e.g. `backbone.`.

    Raises:
        ModelError: the file is missing or truncated, or its names or shapes are not the network's.
    """
    path = folder / WEIGHTS
    weights = {name[len(prefix) :]: value for name, value in read_tensors(path).items() if name.startswith(prefix)}
    weights = {name: value.float() if value.is_floating_point() else value for name, value in weights.items()}
    try:
        network.load_state_dict(weights, assign=True)
    except RuntimeError as error:
        raise ModelError(
            f"{path}: the weights do not fit the manifest ({str(error).splitlines()[-1].strip()})"
        ) from None


def read_tensors(path: Path) -> dict[str, Tensor]:
    """The tensors of a safetensors file.

    Raises:
        ModelError: it is missing, truncated or not a safetensors file.
    """
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file; the checkpoint is incomplete") from None
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path}: truncated or not safetensors ({error}); copy or download it again") from None
    return tensors


def count_parameters(network: nn.Module) -> int:
    """The number of weights."""
    return sum(parameter.numel() for parameter in network.parameters())


def unallocated(backbone: Mapping[str, Any]) -> AbstractContextManager[Any]:
    """Inside it networks on this kind of backbone are made without memory or initialisation; `load_weights` fills them.

    Those of transformers are made as usual: they hold buffers that no checkpoint has.
    """
    return nullcontext() if backbone.get("type") == "auto" else torch.device("meta")
