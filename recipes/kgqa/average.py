"""Average the weights of a KGQA model with those of the model it was trained from, and calibrate its thresholds again.

    python recipes/kgqa/average.py NEW OLD FRACTION DEV GRAPH OUTPUT

FRACTION is the weight of NEW. Heads that OLD lacks are taken from NEW. A model loses some knowledge when its training
is continued; the mean keeps both (Wortsman et al., Robust fine-tuning of zero-shot models, 2022).
"""

import sys
from dataclasses import asdict
from pathlib import Path

from nlpkit.core.model import checkpoint
from nlpkit.core.model.manifest import MANIFEST, read_manifest, write_json
from nlpkit.core.model.pretrained import find_tokenizer
from nlpkit.tasks.kgqa.formats import read_examples
from nlpkit.tasks.kgqa.task import load


def main(new: str, old: str, fraction: str, dev: str, graph: str, folder: str) -> None:
    """Write the averaged model to `folder`."""
    part = float(fraction)
    known, found = (
        checkpoint.dequantize(checkpoint.read_tensors(Path(name) / checkpoint.WEIGHTS)) for name in (old, new)
    )
    mean = {
        name: part * value.float() + (1 - part) * known[name].float() if name in known else value.float()
        for name, value in found.items()
    }
    manifest = read_manifest(Path(new), "kgqa")
    manifest.training["averaged"] = {"share": part, "with": old}
    checkpoint.save(Path(folder), manifest, find_tokenizer(new), mean, "int8")
    model, examples = load(folder, "cpu", "fp32", graph=graph), list(read_examples([dev], "kgclue"))
    model = model.changed(**model.calibrate(examples))
    manifest.config, manifest.metrics = asdict(model.settings), {"dev": model.evaluate(examples)}
    write_json(Path(folder) / MANIFEST, asdict(manifest))


if __name__ == "__main__":
    main(*sys.argv[1:])
