"""A published sentence encoder on BERT as an embedding model of nlpkit."""

from pathlib import Path

from torch import nn

from nlpkit.core.model import checkpoint
from nlpkit.core.model.manifest import Manifest
from nlpkit.core.model.pretrained import find_tokenizer
from nlpkit.core.onnx.encoders import supports, type_of
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.errors import UsageError
from nlpkit.tasks.embed.encoder.components import Components

# Both tokenizers must agree on these; they include words of several pieces, full-width characters and digits.
TEXTS = ("花呗怎么还款", "支持Python3.11和GPU吗？", "《三体》，2008年出版", "Transformers库的tokens", "café，１２３")
POOLINGS = ("cls", "mean", "first-last")  # those of `nlpkit embed` in ONNX Runtime


def convert(components: Components, name: str, output: Path) -> None:
    """Write a sentence encoder as a model folder of nlpkit.

    Its vectors have unit length. A text that is longer than the encoder reads is read in windows. A Latin word that the
    vocabulary cannot spell is read in characters, not as [UNK], and an unknown character changes the vector; see
    `encoder.unknown`.

    Args:
        components: of the encoder.
        name: of the model, for messages.
        output: the folder.

    Raises:
        ModelError: there is no vocabulary of WordPiece.
        OutputError: the folder cannot be written.
        UsageError: it has a part that a model of nlpkit does not have.
    """
    backbone = components.backbone.describe()
    if not supports(backbone):
        raise UsageError(
            f"{name}: there is no ONNX graph for an encoder of type {type_of(backbone)}; export a model on BERT"
        )
    _check_parts(components, name)
    tokenizer = find_tokenizer(str(components.source))
    max_length = min(components.backbone.max_length, getattr(components.tokenizer, "max_length", 2**31 - 1))
    for text, found in zip(TEXTS, components.tokenizer(TEXTS).ids, strict=True):
        if tokenizer.unk_id not in found and not _is_same(tokenizer, text, found, max_length):
            raise UsageError(f"{name}: nlpkit has no tokenizer that gives its tokens, as for {text!r}")
    config = {"pooling": components.pooling[0], "prompts": components.prompts}
    manifest = Manifest("embed", backbone, tokenizer.settings, max_length, config, training={"converted": name})
    weights = {f"backbone.{key}": value for key, value in components.backbone.state_dict().items()}
    checkpoint.save(output, manifest, tokenizer.lines, weights)


def _is_same(tokenizer: CharTokenizer, text: str, found: list[int], max_length: int) -> bool:
    """Return whether a tokenizer gives the token sequence that was found, which may be truncated."""
    ids = tokenizer.encode(text).ids[: max_length - 2]
    return found == [tokenizer.cls_id, *ids, tokenizer.sep_id]


def _check_parts(components: Components, name: str) -> None:
    if len(components.pooling) > 1 or components.pooling[0] not in POOLINGS:
        found, known = "+".join(components.pooling), ", ".join(POOLINGS)
        raise UsageError(f"{name} has the pooling {found}; one of {known} can be exported")
    if not isinstance(components.dense, nn.Identity):
        raise UsageError(f"{name} has layers after the pooling, which cannot be exported")
    if components.default_prompt is not None or (components.prompts and not components.include_prompt):
        raise UsageError(f"{name} has a default prompt, or prompts that are not pooled, which cannot be exported")
