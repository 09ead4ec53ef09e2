"""Interpolate the weights of two sentence encoders: WiSE-FT (arXiv 2109.01903).

    python recipes/embed-base/interpolate.py FIRST SECOND FRACTION OUTPUT DEV...

The second was trained from the first. FRACTION is the weight of the second. The result keeps most of what the second
training added, and recovers part of what it lost.
"""

import shutil
import sys
from pathlib import Path

import torch

from nlpkit.core.model.checkpoint import dequantize, read_tensors, save
from nlpkit.core.model.contents import WEIGHTS, tokenizer_of
from nlpkit.core.model.loading import load_predictor
from nlpkit.core.model.manifest import KIND, read_manifest
from nlpkit.tasks.embed.data import read_pairs
from nlpkit.tasks.embed.sentence_transformers.reader import write_modules
from nlpkit.tasks.embed.task import EmbedTask


def main(first: Path, second: Path, fraction: float, output: Path, *dev: str) -> None:
    """Write the model in int8, with its own scores and the training log of the second."""
    old, new = (dequantize(read_tensors(folder / WEIGHTS)) for folder in (first, second))
    weights = {name: torch.lerp(value, new[name], fraction) for name, value in old.items()}
    manifest = read_manifest(second, EmbedTask.name)
    tokenizer = tokenizer_of(second, manifest)
    manifest.training["between"] = {"first": str(first), "second": str(second), "share": fraction}
    save(output, manifest, tokenizer.lines, weights, "int8")
    manifest.metrics = {"dev": load_predictor(str(output), EmbedTask).evaluate(list(read_pairs(dev)))}
    KIND.write(output, manifest)
    write_modules(output)
    shutil.copytree(second / "training", output / "training", dirs_exist_ok=True)
    print(manifest.metrics["dev"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]), *sys.argv[5:])
