"""Sentences per second of `nlpkit embed` and of sentence-transformers: same checkpoint, same lines, same process.

    python tests/bench/embed_speed.py [LINES]

Two checkpoints with random weights: a BERT as sentence-transformers writes it, and a model of ours, which it loads by
nlpkit's module. Theirs: `SentenceTransformer(folder).encode(lines)` with its default settings. Ours: what
`nlpkit embed` does, window by window, in fp32 and in the precision that `auto` takes here. Everything is loaded and
warmed up before the clock starts. The vectors are compared, too. What bf16 gains hangs on the processor, so a machine
with AMX has a result of its own.
"""

import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from common import by_processor, record, sentences, timed

LAYERS, WIDTH, HEADS = 4, 512, 8  # as bge-small-zh-v1.5


def make_bert(folder: Path, texts: list[str]) -> None:
    """A sentence-transformers folder of a small BERT over the characters of the texts."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    from nlpkit.core.text.vocabulary import build_vocabulary

    source = folder.with_name("source")
    source.mkdir()
    vocabulary = build_vocabulary(texts)
    (source / "vocab.txt").write_text("".join(f"{token}\n" for token in vocabulary), encoding="utf-8")
    BertTokenizerFast(str(source / "vocab.txt")).save_pretrained(source)
    torch.manual_seed(0)
    sizes = {"hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS}
    config = BertConfig(vocab_size=len(vocabulary), intermediate_size=4 * WIDTH, initializer_range=0.1, **sizes)
    BertModel(config).save_pretrained(source)
    modules = [Transformer(str(source)), Pooling(WIDTH, "cls"), Normalize()]
    SentenceTransformer(modules=modules, device="cpu").save(str(folder))


def make_ours(folder: Path, texts: list[str]) -> None:
    """An embedding model of ours with random weights."""
    from dataclasses import asdict

    from nlpkit.core.model import checkpoint
    from nlpkit.core.model.manifest import Manifest
    from nlpkit.core.model.pretrained import load_backbone
    from nlpkit.tasks.embed.sentence_transformers.reader import write_modules
    from nlpkit.tasks.embed.settings import EmbedSettings
    from nlpkit.tasks.embed.task import EmbedTask

    torch.manual_seed(0)
    backbone, tokenizer = load_backbone(f"roformer_v2:{LAYERS}x{WIDTH}", lambda: texts)
    task = EmbedTask(EmbedSettings("cosent"))
    network = task.network(backbone)
    manifest = Manifest("embed", backbone.describe(), {"kind": "char", "lowercase": True}, 512, asdict(task.settings))
    checkpoint.save(folder, manifest, tokenizer.tokens, network.state_dict())
    write_modules(folder)


def compare(folder: Path, texts: list[str]) -> dict[str, Any]:
    """Both sides on one checkpoint."""
    from sentence_transformers import SentenceTransformer

    from nlpkit.core.io.stream import CHUNK_SIZE
    from nlpkit.tasks.embed.loading import load

    theirs = SentenceTransformer(str(folder), trust_remote_code=True, device="cpu")
    theirs.encode(texts[:200])
    found: dict[str, Any] = {}
    seconds = {"sentence-transformers": timed(lambda: found.update(theirs=theirs.encode(texts)))}
    incompatibilities = {}
    for dtype in ("fp32", "auto"):
        embedder = load(str(folder), "cpu", dtype)
        embedder.encode(texts[:200])
        windows = [texts[i : i + CHUNK_SIZE] for i in range(0, len(texts), CHUNK_SIZE)]
        name = f"nlpkit {dtype}"
        seconds[name] = timed(lambda: found.update(ours=[embedder.encode(window) for window in windows]))  # noqa: B023
        ours = np.concatenate(found["ours"])
        incompatibilities[name] = {
            "greatest": float(np.abs(ours - found["theirs"]).max()),
            "least_cosine": float(np.einsum("nd,nd->n", ours, found["theirs"]).min()),
        }
    speeds = {name: round(len(texts) / value, 1) for name, value in seconds.items()}
    base = speeds["sentence-transformers"]
    return {
        "texts_per_second": speeds,
        "ratio": {name: round(speed / base, 2) for name, speed in speeds.items() if speed != base},
        "incompatibilities": incompatibilities,
    }


def main(lines: int = 20_000) -> None:
    """Both checkpoints."""
    texts, source = sentences(lines)
    with tempfile.TemporaryDirectory() as temporary:
        bert, ours = Path(temporary) / "bert", Path(temporary) / "ours"
        make_bert(bert, texts)
        make_ours(ours, texts)
        record(
            by_processor("embed_speed"),
            {
                "lines": lines,
                "text": source,
                "precision": str(torch.get_default_dtype()).removeprefix("torch."),
                f"BERT {LAYERS}×{WIDTH}": compare(bert, texts),
                f"RoFormerV2 {LAYERS}×{WIDTH}, nlpkit's own": compare(ours, texts),
            },
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
