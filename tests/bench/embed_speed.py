"""Sentences per second of `nlpkit embed` and of sentence-transformers: same checkpoint, same lines, same process.

    python tests/bench/embed_speed.py [LINES] [REPETITIONS]

Two checkpoints with random weights: a BERT as sentence-transformers writes it, and a model of ours, which it loads by
nlpkit's module. Theirs: `SentenceTransformer(folder).encode(lines)` with its default settings. Ours: what
`nlpkit embed` does, window by window, in fp32, in int8 (the BERT after `nlpkit export`), and in the precision that
`auto` takes here for a model without a quality test. Everything is loaded and warmed up before the clock starts. All
sides run in turn in every repetition; speeds are those of the fastest one, a ratio is the median of those within a
repetition. The vectors are compared, too. What bf16 and int8 gain depends on the processor, so a machine with AMX has a
result of its own.
"""

import sys
import tempfile
from collections.abc import Callable
from operator import truediv
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from common import by_processor, record, sentences, timed

THEIRS = "sentence-transformers"
LAYERS, WIDTH, HEADS = 4, 512, 8  # as bge-small-zh-v1.5


def make_bert(folder: Path, texts: list[str]) -> None:
    """A sentence-transformers folder of a small BERT over the characters of the texts."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    from nlpkit.core.text.vocabulary import build_vocabulary

    source = folder.with_name("source")
    source.mkdir()
    vocabulary = build_vocabulary(texts, rare=0, min_count=1)  # no unknown characters, which nlpkit reads differently
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


def compare(folder: Path, exported: Path, texts: list[str], repetitions: int) -> dict[str, Any]:
    """Compare both sides on one checkpoint; `exported` is the same as a model of nlpkit."""
    from sentence_transformers import SentenceTransformer

    from nlpkit.core.io.stream import CHUNK_SIZE
    from nlpkit.tasks.embed.loading import load

    theirs = SentenceTransformer(str(folder), trust_remote_code=True, device="cpu")
    embedders = {f"nlpkit {dtype}": load(str(folder), "cpu", dtype) for dtype in ("fp32", "auto")}
    embedders["nlpkit int8"] = load(str(exported), "cpu", "int8")
    chunks = [texts[start : start + CHUNK_SIZE] for start in range(0, len(texts), CHUNK_SIZE)]

    def ours(embedder: Any) -> Callable[[], Any]:
        return lambda: np.concatenate([embedder.encode(chunk) for chunk in chunks])

    runs = {THEIRS: lambda: theirs.encode(texts), **{name: ours(each) for name, each in embedders.items()}}
    for encode in (theirs.encode, *(embedder.encode for embedder in embedders.values())):
        encode(texts[:200])
    found: dict[str, Any] = {}
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repetitions):
        for name, run in runs.items():
            seconds[name].append(timed(lambda: found.update({name: run()})))  # noqa: B023
    return {
        "texts_per_second": {name: round(len(texts) / min(values), 1) for name, values in seconds.items()},
        "ratio": {name: round(median(map(truediv, seconds[THEIRS], seconds[name])), 2) for name in embedders},
        "differences": {
            name: {
                "greatest": float(np.abs(found[name] - found[THEIRS]).max()),
                "least_cosine": float(np.einsum("nd,nd->n", found[name], found[THEIRS]).min()),
            }
            for name in embedders
        },
    }


def main(lines: int = 20_000, repetitions: int = 3) -> None:
    """Compare both checkpoints."""
    from nlpkit.tasks.embed.loading import read_components
    from nlpkit.tasks.embed.sentence_transformers.conversion import convert

    texts, source = sentences(lines)
    with tempfile.TemporaryDirectory() as temporary:
        bert, ours = Path(temporary) / "bert", Path(temporary) / "ours"
        make_bert(bert, texts)
        make_ours(ours, texts)
        convert(read_components(bert), "bert", exported := Path(temporary) / "exported")
        record(
            by_processor("embed_speed"),
            {
                "lines": lines,
                "text": source,
                "repetitions": repetitions,
                f"BERT {LAYERS}×{WIDTH}": compare(bert, exported, texts, repetitions),
                f"RoFormerV2 {LAYERS}×{WIDTH}, nlpkit's own": compare(ours, ours, texts, repetitions),
            },
        )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
