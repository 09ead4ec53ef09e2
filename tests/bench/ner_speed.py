"""Texts per second of `nlpkit ner` and of transformers' token-classification pipeline: same backbone, same lines.

    python tests/bench/ner_speed.py [LINES]

Both sides run a BERT of 4 layers × 256 with the same (random) weights: theirs with its token classifier and the
pipeline's default settings, ours with GlobalPointer, from a checkpoint folder, in ONNX Runtime (fp32 and int8) and in
torch (fp32 and the precision that `auto` takes here). The model is loaded and warmed up before the clock starts.
"""

import sys
import tempfile
from pathlib import Path

import torch
from common import record, sentences, timed

LABELS = ("address", "book", "company", "game", "government", "movie", "name", "organization", "position", "scene")

RUNS = {
    "onnx fp32": ("fp32", "onnx"),
    "onnx int8": ("int8", "onnx"),
    "torch fp32": ("fp32", "torch"),
    "torch auto": ("auto", "torch"),
}


def make_backbone(folder: Path, texts: list[str]) -> None:
    """A Hugging Face folder of a small BERT over the characters of the texts."""
    from transformers import BertConfig, BertForTokenClassification, BertTokenizerFast

    from nlpkit.core.text.vocabulary import build_vocabulary

    vocabulary = build_vocabulary(texts)
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in vocabulary), encoding="utf-8")
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(vocabulary), hidden_size=256, num_hidden_layers=4, num_attention_heads=4, intermediate_size=1024,
        num_labels=2 * len(LABELS) + 1,
    )  # fmt: skip
    BertForTokenClassification(config).save_pretrained(folder)
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in vocabulary), encoding="utf-8")


def make_ours(source: Path, folder: Path) -> None:
    """An NER checkpoint of ours on the same backbone."""
    from nlpkit.core.model import checkpoint
    from nlpkit.core.model.manifest import Manifest
    from nlpkit.core.model.pretrained import load_backbone
    from nlpkit.tasks.ner.settings import NerSettings
    from nlpkit.tasks.ner.task import NerTask

    backbone, tokenizer = load_backbone(str(source), lambda: ())
    task = NerTask(NerSettings(LABELS))
    network = task.network(backbone)
    torch.nn.init.constant_(network.head.bias.bias, -6.0)  # few spans, as a trained head finds
    settings = {"labels": list(LABELS)}
    manifest = Manifest("ner", backbone.describe(), {"kind": "char", "lowercase": True}, 512, settings)
    checkpoint.save(folder, manifest, tokenizer.tokens, network.state_dict())


def main(lines: int = 10_000) -> None:
    """Runs both sides in turn."""
    texts, source = sentences(lines)
    with tempfile.TemporaryDirectory() as temporary:
        theirs, ours = Path(temporary) / "bert", Path(temporary) / "ner"
        theirs.mkdir()
        make_backbone(theirs, texts)
        make_ours(theirs, ours)
        from transformers import pipeline

        from nlpkit.core.io.stream import CHUNK_SIZE
        from nlpkit.tasks.ner.task import load

        pipe = pipeline("token-classification", model=str(theirs))
        pipe(texts[:50])
        seconds = {"transformers": timed(lambda: pipe(texts))}
        for name, (dtype, runtime) in RUNS.items():
            model = load(str(ours), "cpu", dtype, runtime=runtime)
            model.predictions(texts[:200])
            windows = [texts[i : i + CHUNK_SIZE] for i in range(0, len(texts), CHUNK_SIZE)]
            seconds[f"nlpkit {name}"] = timed(lambda: [model.predictions(window) for window in windows])  # noqa: B023
    speeds = {name: round(lines / value, 1) for name, value in seconds.items()}
    record(
        "ner_speed",
        {
            "lines": lines,
            "text": source,
            "backbone": "BERT 4×256, random weights",
            "texts_per_second": speeds,
            "ratio": {
                name: round(speed / speeds["transformers"], 2)
                for name, speed in speeds.items()
                if name != "transformers"
            },
        },
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
