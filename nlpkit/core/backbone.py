"""Where a training run's backbone comes from: a checkpoint of ours, a Hugging Face folder, or random weights."""

import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nlpkit.core import checkpoint
from nlpkit.core.manifest import MANIFEST, find, read_manifest
from nlpkit.core.tokenizer import SPECIALS, CharTokenizer, WordTokenizer, read_vocabulary
from nlpkit.core.vocabulary import build_vocabulary
from nlpkit.errors import ModelError, UsageError
from nlpkit.nn.backbones import Backbone, build
from nlpkit.nn.backbones.convert import fill, published_encoder

_RANDOM = re.compile(r"(roformer_v2|gau_alpha):(\d+)x(\d+)")
_HEAD_SIZE = 64
_WORDS = 1000  # a published vocabulary with more words of several Chinese characters is one of words


def load_backbone(name: str, texts: Callable[[], Iterable[str]]) -> tuple[Backbone, CharTokenizer]:
    """A backbone to train on, with its tokenizer.

    Args:
        name: an embedded model, a folder (ours or Hugging Face's), a hub name; or `roformer_v2:LxD` or `gau_alpha:LxD`
            for random weights of a size (see `sizes`) with a vocabulary built from the texts.
        texts: gives the training texts; called only for that vocabulary.

    Raises:
        ModelError: no such model, or a folder that holds no encoder that can be read.
    """
    match = _RANDOM.fullmatch(name)
    if match:
        described = sizes(match.group(1), int(match.group(2)), int(match.group(3)))
        tokenizer = CharTokenizer(build_vocabulary(texts()))
        return build({"vocab_size": tokenizer.vocab_size, **described}), tokenizer
    folder = find(name)
    if (folder / MANIFEST).exists():
        return _from_ours(folder)
    return _from_hugging_face(folder)


def sizes(arch: str, layers: int, width: int) -> dict[str, Any]:
    """The description, without the vocabulary's size, of a backbone as wide and about as large as such a Transformer.

    RoFormerV2 has heads of 64 and a four times wider feed-forward network; GAU-α has two layers in place of each one.

    Raises:
        UsageError: the width is not a multiple of 64.
    """
    if width % _HEAD_SIZE or not layers or not width:
        raise UsageError(f"{layers}x{width}: the width must be a multiple of {_HEAD_SIZE}, as in 4x256")
    if arch == "gau_alpha":
        return {"type": arch, "hidden_size": width, "num_layers": 2 * layers, "intermediate_size": 2 * width}
    heads = {"num_heads": width // _HEAD_SIZE, "intermediate_size": 4 * width}
    return {"type": arch, "hidden_size": width, "num_layers": layers, **heads}


def _from_ours(folder: Path) -> tuple[Backbone, CharTokenizer]:
    manifest = read_manifest(folder)
    with checkpoint.unallocated(manifest.backbone):
        backbone = build(manifest.backbone)
    checkpoint.load_weights(backbone, folder, prefix="backbone.")
    return backbone, checkpoint.load_tokenizer(folder, manifest.tokenizer, backbone.vocab_size)


def _from_hugging_face(folder: Path) -> tuple[Backbone, CharTokenizer]:
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        raise ModelError(f"{folder}: neither {MANIFEST} nor a readable config.json there; not a model folder") from None
    tokenizer = _published_tokenizer(folder)
    encoder = published_encoder(config)
    if encoder is None:
        return _from_transformers(folder), tokenizer
    try:
        fill(encoder, _published_weights(folder))
    except (KeyError, RuntimeError) as error:
        raise ModelError(f"{folder}: its weights do not fit its config.json (missing or misshapen: {error})") from None
    return encoder, tokenizer


def _from_transformers(folder: Path) -> Backbone:
    from nlpkit.nn.backbones.auto import AutoBackbone

    try:
        return AutoBackbone.from_folder(str(folder))
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{folder}: transformers cannot load it ({str(error).splitlines()[0]})") from None


def _published_weights(folder: Path) -> dict[str, Tensor]:
    if (folder / checkpoint.WEIGHTS).exists():
        return checkpoint.read_tensors(folder / checkpoint.WEIGHTS)
    path = folder / "pytorch_model.bin"
    try:
        weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ModelError(f"{folder}: neither {checkpoint.WEIGHTS} nor {path.name} there") from None
    except Exception as error:  # torch names no common class for a broken file
        raise ModelError(f"{path}: cannot be read ({str(error).splitlines()[0]})") from None
    return weights


def _published_tokenizer(folder: Path) -> CharTokenizer:
    """From vocab.txt, or from the WordPiece vocabulary of a tokenizer.json."""
    settings: dict[str, Any] = {}
    if (folder / "tokenizer_config.json").exists():
        settings = json.loads((folder / "tokenizer_config.json").read_text(encoding="utf-8"))
    if (folder / "vocab.txt").exists():
        tokens = read_vocabulary(folder / "vocab.txt")
    else:
        tokens = _word_pieces(folder / "tokenizer.json")
    words = sum(len(token) > 1 and all("\u4e00" <= c <= "\u9fff" for c in token) for token in tokens)
    kind = WordTokenizer if words > _WORDS else CharTokenizer
    return kind(tokens, lowercase=settings.get("do_lower_case", True))


def _word_pieces(path: Path) -> list[str]:
    try:
        model = json.loads(path.read_text(encoding="utf-8"))["model"]
        vocabulary = model["vocab"]
        if not isinstance(vocabulary, dict) or not all(token in vocabulary for token in SPECIALS[:4]):
            raise KeyError
    except (FileNotFoundError, ValueError, KeyError):
        raise ModelError(
            f"{path.parent}: no vocab.txt there, and no WordPiece tokenizer.json; exact offsets need one"
        ) from None
    return sorted(vocabulary, key=vocabulary.__getitem__)
