"""Lines per second of static vectors, the call and the whole command, against sentence-transformers' StaticEmbedding.

python tests/bench/static_speed.py [MODEL] [LINES]

MODEL is a folder of `nlpkit train static`; without it (or as -) a table of the same size with random
vectors. The other side has a random table, too, and the characters and word pieces of the same lines for its tokens.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from common import record, sentences, timed

from nlpkit.core.model.checkpoint import save
from nlpkit.core.model.manifest import UNBOUNDED, Manifest
from nlpkit.core.text.vocabulary import build_vocabulary
from nlpkit.tasks.embed.loading import load
from nlpkit.tasks.embed.static.distil import DistilSettings, choose_tokens
from nlpkit.tasks.embed.static.static import TABLE

DIM = 256


def random_model(texts: list[str], folder: Path) -> str:
    """A model folder with the tokens that distilling would choose."""
    tokens = choose_tokens(texts, DistilSettings(), lambda stage, done, total: None)
    table = torch.randn(len(tokens), DIM)
    save(folder, Manifest("embed", {"type": "static"}, {"kind": "lexicon"}, UNBOUNDED), tokens, {TABLE: table}, "int8")
    return str(folder)


def other_side(texts: list[str], dim: int) -> "SentenceTransformer":  # noqa: F821
    """sentence-transformers with static vectors over a BERT tokenizer of the same lines."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding
    from tokenizers import BertWordPieceTokenizer

    vocabulary = {token: index for index, token in enumerate(build_vocabulary(texts))}
    static = StaticEmbedding(BertWordPieceTokenizer(vocabulary)._tokenizer, embedding_dim=dim)
    return SentenceTransformer(modules=[static], device="cpu")


def main(model: str = "-", lines: str = "200000") -> None:
    """Runs both sides on the same lines."""
    texts, source = sentences(int(lines))
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        embedder = load(random_model(texts[:10_000], folder / "model") if model == "-" else model)
        embedder.encode(texts[:1000])
        ours = timed(lambda: embedder.encode(texts))
        theirs_model = other_side(texts[:10_000], embedder.dim)
        theirs_model.encode(texts[:1000])
        theirs = timed(lambda: theirs_model.encode(texts, batch_size=1024, normalize_embeddings=True))
        path = folder / "lines.txt"
        path.write_text("".join(text + "\n" for text in texts), encoding="utf-8")
        command = ["nlpkit", "embed", str(path), "-m", embedder.name, "-o", str(folder / "out.npy"), "--quiet"]
        whole = timed(lambda: subprocess.run(command, check=True))
        count = len(np.load(folder / "out.npy", mmap_mode="r"))
    rates = {"nlpkit, the call": ours, "nlpkit embed to .npy, cold": whole, "sentence-transformers, the call": theirs}
    record(
        "static_speed",
        {
            "text": f"{source}, {count:,} lines of {sum(map(len, texts)) / len(texts):.0f} characters",
            "model": "random" if model == "-" else model,
            "dim": embedder.dim,
            "lines_per_second": {name: round(len(texts) / seconds) for name, seconds in rates.items()},
            "ratio": round(theirs / ours, 2),
        },
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
