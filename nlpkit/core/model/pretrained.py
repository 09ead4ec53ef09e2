"""Where a training run's backbone comes from: a checkpoint of ours, a Hugging Face folder, or random weights."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nlpkit.core.model import checkpoint
from nlpkit.core.model.manifest import MANIFEST, find, read_manifest, reader, reason
from nlpkit.core.text.tokenizer import (
    MASK,
    SPECIALS,
    VOCABULARY,
    CharTokenizer,
    WordTokenizer,
    from_settings,
    read_vocabulary,
)
from nlpkit.core.text.vocabulary import build_vocabulary
from nlpkit.errors import ModelError, UsageError
from nlpkit.nn.backbones import Backbone, build
from nlpkit.nn.backbones.convert import load_published, published_encoder
from nlpkit.nn.backbones.encoder import Encoder
from nlpkit.nn.initialization import fold_mask_

RANDOM = re.compile(r"(roformer_v2|gau_alpha):(\d+)x(\d+)(?::(.+))?")
_HEAD_SIZE = 64
_WORDS = 1000  # a published vocabulary with more words of several Chinese characters is one of words


def load_backbone(name: str, texts: Callable[[], Iterable[str]]) -> tuple[Backbone, CharTokenizer]:
    """A backbone to train on, with its tokenizer.

    Args:
        name: an embedded model, a folder (ours or Hugging Face's), a hub name; or `roformer_v2:LxD` or `gau_alpha:LxD`
            for random weights of a size (see `sizes`) with a vocabulary built from the texts, or with that of another
            model or vocab.txt, which `roformer_v2:LxD:NAME` names.
        texts: gives the training texts; called only for that vocabulary.

    Raises:
        ModelError: no such model, or a folder that holds no encoder that can be read.
    """
    match = RANDOM.fullmatch(name)
    if match:
        described = sizes(match.group(1), int(match.group(2)), int(match.group(3)))
        named = match.group(4)
        tokenizer = find_tokenizer(named) if named else CharTokenizer(build_vocabulary(texts()), normalize=True)
        return build({"vocab_size": tokenizer.vocab_size, **described}), tokenizer
    folder = find(name)
    if (folder / MANIFEST).exists():
        return _from_ours(folder)
    return _from_hugging_face(folder)


def find_tokenizer(name: str) -> CharTokenizer:
    """The tokenizer alone of whatever `load_backbone` takes, but for random weights; or that of a vocab.txt.

    Raises:
        ModelError: no such model, or no vocabulary in it.
    """
    if Path(name).is_file():
        return _from_vocabulary(Path(name))
    folder = find(name)
    if (folder / MANIFEST).exists():
        manifest = read_manifest(folder)
        return checkpoint.tokenizer_of(folder, manifest)
    return _published_tokenizer(folder)


def fold_mask(backbone: Backbone, tokenizer: CharTokenizer, masked: float) -> None:
    """Takes [MASK] out of a backbone that was pretrained with a share of units masked; see `nn.init.fold_mask_`.

    Raises:
        ModelError: the vocabulary has no [MASK].
    """
    if MASK not in tokenizer.ids:
        raise ModelError(f"the vocabulary has no {MASK}, so there is none to fold; leave out --fold-mask")
    ordinary = torch.tensor([index for index, token in enumerate(tokenizer.tokens) if token not in SPECIALS])
    fold_mask_(backbone.token_embeddings, tokenizer.ids[MASK], ordinary, masked)


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
        backbone = checkpoint.build_backbone(folder, manifest)
    backbone.extra_weights = checkpoint.load_weights(backbone, folder, prefix="backbone.")
    return backbone, checkpoint.tokenizer_of(folder, manifest)


def _from_hugging_face(folder: Path) -> tuple[Backbone, CharTokenizer]:
    if not (folder / "config.json").exists():
        raise ModelError(f"{folder}: neither {MANIFEST} nor config.json there; not a model folder")
    config = check_folder(folder)
    tokenizer = _published_tokenizer(folder)
    try:
        encoder = published_encoder(config)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{folder}/config.json: describes no encoder that can be made ({reason(error)})") from None
    backbone = _from_transformers(folder) if encoder is None else _filled(encoder, folder)
    return backbone, checkpoint.fitting(tokenizer, backbone.vocab_size, folder)


def check_folder(folder: Path) -> dict[str, Any]:
    """Check a Hugging Face folder before a library reads it; gives its config.json.

    Raises:
        ModelError: something in it is no regular file, the config is broken, or its sizes are not those of the weights.
    """
    if odd := [path.name for path in folder.iterdir() if path.exists() and not path.is_file() and not path.is_dir()]:
        raise ModelError(f"{folder / min(odd)}: is not a regular file; remove it")
    config = read_object(folder / "config.json")
    checkpoint.check_sizes(config, checkpoint.stored_shapes(folder), folder / "config.json")
    return config


def _filled(encoder: Encoder, folder: Path) -> Encoder:
    try:
        load_published(encoder, published_weights(folder))
    except (KeyError, TypeError, AttributeError, RuntimeError) as error:
        raise ModelError(f"{folder}: its weights do not fit its config.json ({reason(error)})") from None
    return encoder


def _from_transformers(folder: Path) -> Backbone:
    from nlpkit.nn.backbones.auto import AutoBackbone

    try:
        return AutoBackbone.from_folder(str(folder))
    except Exception as error:  # transformers has many, with no common class
        raise ModelError(f"{folder}: transformers cannot load it ({reason(error)})") from None


def published_weights(folder: Path) -> dict[str, Tensor]:
    """The tensors of a Hugging Face folder, from model.safetensors or pytorch_model.bin.

    Raises:
        ModelError: neither is there, or it is broken.
    """
    if (folder / checkpoint.WEIGHTS).exists():
        return checkpoint.read_tensors(folder / checkpoint.WEIGHTS)
    path = folder / "pytorch_model.bin"
    try:
        weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ModelError(f"{folder}: neither {checkpoint.WEIGHTS} nor {path.name} there") from None
    except Exception as error:  # torch names no common class for a broken file
        raise ModelError(f"{path}: cannot be read ({reason(error)})") from None
    return weights


def _published_tokenizer(folder: Path) -> CharTokenizer:
    """From vocab.txt, or from the WordPiece vocabulary of a tokenizer.json."""
    path = folder / "tokenizer_config.json"
    settings = read_object(path) if path.exists() else {}
    path = folder / VOCABULARY
    tokens = read_vocabulary(path) if path.exists() else _word_pieces(folder / "tokenizer.json")
    words = sum(len(token) > 1 and all("\u4e00" <= c <= "\u9fff" for c in token) for token in tokens)
    kind = WordTokenizer if words > _WORDS else CharTokenizer
    return kind(tokens, lowercase=settings.get("do_lower_case", True))


def _from_vocabulary(path: Path) -> CharTokenizer:
    """From a vocab.txt: as the model beside it says; where there is none, as for a new model."""
    tokens = read_vocabulary(path)
    if path.name == VOCABULARY and (path.parent / MANIFEST).exists():
        return from_settings(tokens, read_manifest(path.parent).tokenizer)
    if path.name == VOCABULARY and (path.parent / "config.json").exists():
        return _published_tokenizer(path.parent)
    return CharTokenizer(tokens, normalize=True)


def _word_pieces(path: Path) -> list[str]:
    try:
        vocabulary = read_object(path)["model"]["vocab"] if path.exists() else {}
        tokens = sorted(vocabulary, key=vocabulary.__getitem__)
        if not set(SPECIALS[:4]) <= set(tokens) or [vocabulary[token] for token in tokens] != [*range(len(tokens))]:
            raise KeyError
    except (KeyError, TypeError, AttributeError):
        raise ModelError(
            f"{path.parent}: no {VOCABULARY} there, and no WordPiece tokenizer.json; exact offsets need one"
        ) from None
    return tokens


def read_object(path: Path) -> dict[str, Any]:
    """The object of a JSON file in a model's folder.

    Raises:
        ModelError: it cannot be read, or is no object.
    """
    try:
        return reader(path.parent).json(path.name, dict)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file; copy or download the model again") from None
