"""The student of nlpkit-base: E5's encoder with a character vocabulary and fewer layers.

    python student.py TEACHER VOCAB LAYERS OUTPUT

TEACHER is the folder made by unpack_e5.py, VOCAB a vocab.txt of nlpkit. Every entry of the vocabulary takes the word
embedding of the teacher's piece of the same form, or the mean of the pieces that spell it. LAYERS is 12, or 6 to keep
every second layer, whose output the student's layer then learns to reproduce.
"""

import sys
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

SPECIALS = {"[PAD]": "<pad>", "[UNK]": "<unk>", "[CLS]": "<s>", "[SEP]": "</s>", "[MASK]": "<mask>"}
WORDS = "embeddings.word_embeddings.weight"
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


def keep_layers(weights: dict[str, Tensor], kept: list[int]) -> dict[str, Tensor]:
    """Return the weights with only some encoder layers, numbered anew."""
    result = {name: value for name, value in weights.items() if not name.startswith("encoder.layer.")}
    for new, old in enumerate(kept):
        prefix = f"encoder.layer.{old}."
        for name, value in weights.items():
            if name.startswith(prefix):
                result[f"encoder.layer.{new}.{name.removeprefix(prefix)}"] = value
    return result


def main() -> None:
    """Write the student's initial weights to OUTPUT."""
    teacher, vocabulary_path, layers, output = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), Path(sys.argv[4])
    weights = load_file(teacher / "model.safetensors")
    tokenizer = Tokenizer.from_file(str(teacher / "tokenizer.json"))
    vocabulary = vocabulary_path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
    rows, own = embed_vocabulary(vocabulary, tokenizer, weights[WORDS])
    step = 12 // layers
    student = keep_layers(weights, list(range(step - 1, 12, step)))
    student[WORDS] = rows
    output.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: value.contiguous() for name, value in student.items()}, output)
    print(f"{output}: {layers} layers, {len(vocabulary)} entries, {own} with a piece of their own")


if __name__ == "__main__":
    main()
