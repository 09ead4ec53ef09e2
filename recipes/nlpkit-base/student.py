"""The student of nlpkit-base: the lowest layers of E5's encoder with a character vocabulary, as a model folder.

    python student.py TEACHER VOCAB LAYERS OUTPUT

TEACHER is the folder made by unpack_e5.py, VOCAB a vocab.txt of nlpkit. LAYERS is a number n, for the lowest n layers,
or several layers, counted from 0, such as 1,3,5. Every entry of the vocabulary takes the word embedding of the
teacher's piece of the same form, or the mean of the pieces that spell it. The lowest layers are a better start than
every second one: without adaptation and after the same fine-tuning, their F1 on CLUENER is higher.
"""

import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from check_teacher import WORDS, check
from distill import Student
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

from nlpkit.core.model import checkpoint
from nlpkit.core.model.manifest import Manifest
from nlpkit.core.text.tokenizer import CharTokenizer, read_vocabulary
from nlpkit.nn.backbones.bert import Bert

SPECIALS = {"[PAD]": "<pad>", "[UNK]": "<unk>", "[CLS]": "<s>", "[SEP]": "</s>", "[MASK]": "<mask>"}
START = "▁"  # begins a word in the teacher's vocabulary


def embed_vocabulary(vocabulary: list[str], tokenizer: Tokenizer, words: Tensor) -> tuple[Tensor, int]:
    """Return the word embeddings [v, d] of a vocabulary, and how many entries have a piece of their own.

    A character stands inside a word far more often than at its beginning, so a piece without START comes first for it;
    an ASCII word that begins one takes the piece with START. Entries without any known piece take the mean embedding
    of all entries that have one.
    """
    rows = torch.full((len(vocabulary), words.shape[1]), torch.nan)
    own = 0
    for index, entry in enumerate(vocabulary):
        if entry in SPECIALS:
            pieces = [SPECIALS[entry]]
        elif entry.startswith("##"):
            pieces = [entry[2:], START + entry[2:]]
        else:
            pieces = [START + entry, entry] if entry.isascii() else [entry, START + entry]
        ids = [number for piece in pieces if (number := tokenizer.token_to_id(piece)) is not None]
        if ids:
            rows[index] = words[ids[0]]
            own += 1
        elif not entry.startswith("["):
            spelt = tokenizer.encode(entry.removeprefix("##"), add_special_tokens=False)
            known = [number for number in spelt.ids if number != tokenizer.token_to_id("<unk>")]
            if known:
                rows[index] = words[known].mean(0)
    missing = rows.isnan().any(1)
    rows[missing] = rows[~missing].mean(0)
    return rows, own


def keep_layers(weights: dict[str, Tensor], layers: Sequence[int]) -> dict[str, Tensor]:
    """Return the weights without the other layers; those that are kept are numbered from 0."""
    kept = {}
    for name, value in weights.items():
        match = re.match(r"(encoder\.layer\.)([0-9]+)(\..*)", name)
        if match is None:
            kept[name] = value
        elif int(match[2]) in layers:
            kept[f"{match[1]}{layers.index(int(match[2]))}{match[3]}"] = value
    return kept


def main(teacher: Path, vocabulary: Path, layers: Sequence[int], output: Path) -> None:
    """Write the student's initial weights."""
    check(teacher)
    weights = keep_layers(load_file(teacher / "model.safetensors"), layers)
    tokenizer = CharTokenizer(read_vocabulary(vocabulary), normalize=True)
    pieces = Tokenizer.from_file(str(teacher / "tokenizer.json"))
    weights[WORDS], own = embed_vocabulary(tokenizer.tokens, pieces, weights[WORDS])
    config = json.loads((teacher / "config.json").read_text(encoding="utf-8"))
    sizes = {"num_hidden_layers": len(layers), "vocab_size": tokenizer.vocab_size, "hidden_dropout_prob": 0.0}
    encoder = Bert.from_pretrained({**config, **sizes}, weights)
    manifest = Manifest("pretrain", encoder.describe(), tokenizer.settings, encoder.max_length)
    checkpoint.save(output, manifest, tokenizer.lines, Student(encoder).state_dict(), "fp16")
    print(f"{output}: {len(layers)} layers, {tokenizer.vocab_size} entries, {own} with a piece of their own")


if __name__ == "__main__":
    first, *others = map(int, sys.argv[3].split(","))
    main(Path(sys.argv[1]), Path(sys.argv[2]), [first, *others] if others else range(first), Path(sys.argv[4]))
