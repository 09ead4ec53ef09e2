"""Loading of backbones for training: from nlpkit checkpoints, from Hugging Face folders, or with random weights."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from nlpkit.core.model import checkpoint, contents
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
_WORDS = 1000  # a published vocabulary with more Chinese words of several characters is one of `WordTokenizer`


def load_backbone(name: str, texts: Callable[[], Iterable[str]]) -> tuple[Backbone, CharTokenizer]:
    """Return a backbone and its tokenizer.

    Args:
        name: an embedded model, a folder of nlpkit or Hugging Face, or a hub name. `roformer_v2:LxD` and
            `gau_alpha:LxD` have random weights (see `sizes`) and a vocabulary built from the texts;
            `roformer_v2:LxD:NAME` has the vocabulary of another model or of a vocab.txt.
        texts: returns the training texts; called only to build a vocabulary.

    Raises:
        ModelError: no such model, or a folder without a supported encoder.
    """
    match = RANDOM.fullmatch(name)
    if match:
        description = sizes(match.group(1), int(match.group(2)), int(match.group(3)))
        vocabulary = match.group(4)
        tokenizer = (
            find_tokenizer(vocabulary) if vocabulary else CharTokenizer(build_vocabulary(texts()), normalize=True)
        )
        return build({"vocab_size": tokenizer.vocab_size, **description}), tokenizer
    folder = find(name)
    if (folder / MANIFEST).exists():
        return _from_checkpoint(folder)
    return _from_hugging_face(folder)


def find_tokenizer(name: str) -> CharTokenizer:
    """Return the tokenizer of a vocab.txt, or of a model as for `load_backbone`, except random ones.

    Raises:
        ModelError: no such model, or no vocabulary in it.
    """
    if Path(name).is_file():
        return _from_vocabulary(Path(name))
    folder = find(name)
    if (folder / MANIFEST).exists():
        manifest = read_manifest(folder)
        return contents.tokenizer_of(folder, manifest)
    return _published_tokenizer(folder)


def fold_mask(backbone: Backbone, tokenizer: CharTokenizer, masked: float) -> None:
    """Fold [MASK] into the token embeddings of a backbone; see `nn.initialization.fold_mask_`.

    Args:
        backbone: changed in place.
        tokenizer: of the backbone.
        masked: fraction of tokens masked in pretraining.

    Raises:
        ModelError: the vocabulary has no [MASK].
    """
    if MASK not in tokenizer.ids:
        raise ModelError(f"the vocabulary has no {MASK}, so there is none to fold; leave out --fold-mask")
    ordinary = torch.tensor([index for index, token in enumerate(tokenizer.tokens) if token not in SPECIALS])
    fold_mask_(backbone.token_embeddings, tokenizer.ids[MASK], ordinary, masked)


def sizes(arch: str, layers: int, width: int) -> dict[str, Any]:
    """Return the description, without `vocab_size`, of a backbone about as large as a Transformer of these sizes.

    RoFormerV2 has heads of size 64 and an intermediate size of four times the width; GAU-α has two layers for each one.

    Raises:
        UsageError: the width is not a multiple of 64.
    """
    if width % _HEAD_SIZE or not layers or not width:
        raise UsageError(f"{layers}x{width}: the width must be a multiple of {_HEAD_SIZE}, as in 4x256")
    if arch == "gau_alpha":
        return {"type": arch, "hidden_size": width, "num_layers": 2 * layers, "intermediate_size": 2 * width}
    heads = {"num_heads": width // _HEAD_SIZE, "intermediate_size": 4 * width}
    return {"type": arch, "hidden_size": width, "num_layers": layers, **heads}


def _from_checkpoint(folder: Path) -> tuple[Backbone, CharTokenizer]:
    manifest = read_manifest(folder)
    with checkpoint.unallocated(manifest.backbone):
        backbone = checkpoint.build_backbone(folder, manifest)
    backbone.extra_weights = checkpoint.load_weights(backbone, folder, manifest, prefix="backbone.")
    return backbone, contents.tokenizer_of(folder, manifest)


def _from_hugging_face(folder: Path) -> tuple[Backbone, CharTokenizer]:
    if not (folder / "config.json").exists():
        raise ModelError(f"{folder}: neither {MANIFEST} nor config.json there; not a model folder")
    config = check_folder(folder)
    tokenizer = _published_tokenizer(folder)
    try:
        encoder = published_encoder(config)
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{folder}/config.json: describes no encoder that can be made ({reason(error)})") from None
    backbone = _from_transformers(folder) if encoder is None else _with_weights(encoder, folder)
    return backbone, contents.check_vocabulary(tokenizer, backbone.vocab_size, folder)


def check_folder(folder: Path) -> dict[str, Any]:
    """Check a Hugging Face folder before a library reads it, and return its config.json.

    Raises:
        ModelError: it has a special file, a damaged config.json, or one whose sizes do not fit the weights.
    """
    if not folder.is_dir():
        raise ModelError(f"{folder}: no such folder; copy or download the model again")
    special = [path.name for path in folder.iterdir() if path.exists() and not path.is_file() and not path.is_dir()]
    if special:
        raise ModelError(f"{folder / min(special)}: is not a regular file; remove it")
    config = read_object(folder / "config.json")
    contents.check_sizes(config, contents.stored_shapes(folder), folder / "config.json")
    return config


def _with_weights(encoder: Encoder, folder: Path) -> Encoder:
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
    """Return the tensors of a Hugging Face folder, from model.safetensors or pytorch_model.bin.

    Raises:
        ModelError: both are missing, or the file is damaged.
    """
    if (folder / contents.WEIGHTS).exists():
        return checkpoint.read_tensors(folder / contents.WEIGHTS)
    path = folder / "pytorch_model.bin"
    try:
        weights: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise ModelError(f"{folder}: neither {contents.WEIGHTS} nor {path.name} there") from None
    except Exception as error:  # torch has no common class of errors for damaged files
        raise ModelError(f"{path}: cannot be read ({reason(error)})") from None
    return weights


def _published_tokenizer(folder: Path) -> CharTokenizer:
    """Return the tokenizer of a vocab.txt, or of the WordPiece vocabulary of a tokenizer.json."""
    path = folder / "tokenizer_config.json"
    settings = read_object(path) if path.exists() else {}
    path = folder / VOCABULARY
    tokens = read_vocabulary(path) if path.exists() else _word_pieces(folder / "tokenizer.json")
    words = sum(len(token) > 1 and all("\u4e00" <= c <= "\u9fff" for c in token) for token in tokens)
    kind = WordTokenizer if words > _WORDS else CharTokenizer
    return kind(tokens, lowercase=settings.get("do_lower_case", True))


def _from_vocabulary(path: Path) -> CharTokenizer:
    """Return the tokenizer of a vocab.txt, with the settings of the model in its folder, else those of new models."""
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
    """Return the object of a JSON file in a model's folder.

    Raises:
        ModelError: it cannot be read, or is not an object.
    """
    try:
        return reader(path.parent).json(path.name, dict)
    except FileNotFoundError:
        raise ModelError(f"{path}: no such file; copy or download the model again") from None
