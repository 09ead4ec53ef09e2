"""multilingual-e5-small with the pieces of its vocabulary that Chinese text has, as a model folder of nlpkit.

    python recipes/embed-base/prune.py TEACHER OUTPUT CORPUS...

TEACHER is the folder made by unpack_e5.py. Of its 250,002 pieces those are kept that occur at least 3 times in every
12th line of the corpus, all Chinese characters, and all ASCII characters. Text of these pieces has the same vectors as
before. A text with other pieces is segmented into smaller ones.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import nn

from nlpkit.core.io.records import read_lines
from nlpkit.core.model import checkpoint
from nlpkit.core.model.manifest import Manifest
from nlpkit.core.text.tokenizer import SPECIALS, UnigramTokenizer
from nlpkit.nn.backbones.bert import Bert
from nlpkit.tasks.embed.sentence_transformers.reader import write_modules

WORDS = "embeddings.word_embeddings.weight"
THEIR_SPECIALS = ("<pad>", "<unk>", "<s>", "</s>", "<mask>")  # in the order of SPECIALS
SAMPLE, BATCH, MIN_COUNT = 12, 2000, 3


def count_pieces(tokenizer: Tokenizer, lines: Iterable[str]) -> Counter[int]:
    """Return how often each piece occurs."""
    counts: Counter[int] = Counter()
    source = iter(lines)
    while batch := list(islice(source, BATCH)):
        for encoding in tokenizer.encode_batch_fast(batch, add_special_tokens=False):
            counts.update(encoding.ids)
    return counts


def kept_pieces(pieces: list[str], counts: Counter[int]) -> list[int]:
    """Return the ids of the pieces to keep: the special ones first, in the order of SPECIALS."""
    specials = [pieces.index(piece) for piece in THEIR_SPECIALS]

    def is_kept(number: int) -> bool:
        piece = pieces[number]
        single = len(piece) == 1 and (piece.isascii() or "\u3400" <= piece <= "\u9fff")
        return single or counts[number] >= MIN_COUNT

    return specials + [number for number in range(len(pieces)) if number not in specials and is_kept(number)]


class Encoder(nn.Module):
    """Gives the names of a checkpoint to the weights of an encoder."""

    def __init__(self, backbone: Bert):
        super().__init__()
        self.backbone = backbone


def main(teacher: Path, output: Path, *corpus: str) -> None:
    """Write the model folder."""
    tokenizer = Tokenizer.from_file(str(teacher / "tokenizer.json"))
    vocabulary = json.loads(tokenizer.to_str())["model"]["vocab"]
    pieces = [piece for piece, _ in vocabulary]
    texts = (line.text for line in read_lines(list(corpus)))
    counts = count_pieces(tokenizer, islice(texts, 0, None, SAMPLE))
    kept = kept_pieces(pieces, counts)
    entries = [vocabulary[number] for number in kept[len(SPECIALS) :]]
    lines = [*SPECIALS, *(f"{piece}\t{score:.4f}" for piece, score in entries)]
    weights = load_file(teacher / "model.safetensors")
    weights[WORDS] = weights[WORDS][kept]
    config = json.loads((teacher / "config.json").read_text(encoding="utf-8")) | {"vocab_size": len(kept)}
    encoder, ours = Bert.from_pretrained(config, weights), UnigramTokenizer(lines)
    description, longest = encoder.describe(), encoder.max_length
    manifest = Manifest("embed", description, ours.settings, longest, {"method": "cosent", "pooling": "mean"})
    checkpoint.save(output, manifest, ours.lines, Encoder(encoder).state_dict())
    write_modules(output)
    covered = sum(counts[number] for number in kept) / counts.total()
    print(f"{output}: {len(kept)} of {len(pieces)} pieces, {covered:.2%} of the text")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:])
