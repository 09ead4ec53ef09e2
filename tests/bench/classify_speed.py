"""Texts per second of `nlpkit classify`: character n-grams, and an encoder beside transformers' pipeline.

    python tests/bench/classify_speed.py [LINES]

The n-grams are those of the embedded model `sentiment`: the call of the Python API, and the command with its start,
which reads a file and writes one. The encoders are a BERT of 4 layers × 256 with the same (random) weights on both
sides: theirs with its classifier and the pipeline's default settings and with batches of 32, ours from a checkpoint
folder. Models are loaded and warmed up before the clock starts.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import torch
from common import record, sentences, timed
from ner_speed import RUNS

from nlpkit.core.onnx.choice import cpu_flags

LABELS = ("0", "1", "2", "3", "4", "5", "6", "7", "8", "9")
FLAGS = ("avx2", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_bf16")


def make_backbone(folder: Path, texts: list[str]) -> None:
    """A Hugging Face folder of a small BERT classifier over the characters of the texts."""
    from transformers import BertConfig, BertForSequenceClassification, BertTokenizerFast

    from nlpkit.core.text.vocabulary import build_vocabulary

    vocabulary = build_vocabulary(texts)
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in vocabulary), encoding="utf-8")
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024,
        num_labels=len(LABELS),
    )  # fmt: skip
    BertForSequenceClassification(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in vocabulary), encoding="utf-8")


def make_ours(source: Path, folder: Path) -> None:
    """A classifier of ours on the same backbone."""
    from nlpkit.core.model import checkpoint
    from nlpkit.core.model.manifest import Manifest
    from nlpkit.core.model.pretrained import load_backbone
    from nlpkit.tasks.classify.settings import ClassifySettings
    from nlpkit.tasks.classify.task import ClassifyTask

    backbone, tokenizer = load_backbone(str(source), lambda: ())
    network = ClassifyTask(ClassifySettings(LABELS)).network(backbone)
    settings = {"labels": list(LABELS)}
    manifest = Manifest("classify", backbone.describe(), {"kind": "char", "lowercase": True}, 512, settings)
    checkpoint.save(folder, manifest, tokenizer.tokens, network.state_dict())


def ngram_speeds(texts: list[str], folder: Path) -> dict[str, float]:
    """Of the call, and of the command."""
    from nlpkit.tasks.classify.loading import load

    many = (texts * (60_000 // len(texts) + 1))[:60_000]
    model = load("sentiment")
    model.predict(many[:1000])
    (folder / "in.txt").write_text("".join(f"{text}\n" for text in many), encoding="utf-8")
    command = ["nlpkit", "classify", str(folder / "in.txt"), "--quiet", "--output", str(folder / "out.jsonl")]
    return {
        "call": round(len(many) / timed(lambda: model.predict(many))),
        "command": round(len(many) / timed(lambda: subprocess.run(command, check=True))),
    }


def main(lines: int = 3000) -> None:
    """Runs both sides in turn."""
    texts, source = sentences(lines)
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        ngram = ngram_speeds(texts, folder)
        theirs, ours = folder / "bert", folder / "classify"
        theirs.mkdir()
        make_backbone(theirs, texts)
        make_ours(theirs, ours)
        from transformers import pipeline

        from nlpkit.tasks.classify.loading import load

        pipe = pipeline("text-classification", model=str(theirs))
        pipe(texts[:50])
        seconds = {"transformers": timed(lambda: pipe(texts))}
        seconds["transformers, batches of 32"] = timed(lambda: pipe(texts, batch_size=32))
        for name, (dtype, runtime) in RUNS.items():
            model = load(str(ours), "cpu", dtype, runtime=runtime)
            model.predict(texts[:200])
            seconds[f"nlpkit {name}"] = timed(lambda: model.predict(texts))  # noqa: B023
    speeds = {name: round(lines / value, 1) for name, value in seconds.items()}
    record(
        "classify_speed",
        {
            "lines": lines,
            "text": source,
            "characters": round(sum(map(len, texts)) / len(texts), 1),
            "flags": [flag for flag in FLAGS if flag in cpu_flags()],
            "ngram": ngram,
            "backbone": "BERT 4×256, random weights",
            "texts_per_second": speeds,
            "ratio": {name: round(speed / speeds["transformers"], 2) for name, speed in speeds.items()},
        },
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
