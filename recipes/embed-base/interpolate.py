"""Interpolate the weights of two sentence encoders: WiSE-FT (arXiv 2109.01903).

    python recipes/embed-base/interpolate.py FIRST SECOND FRACTION OUTPUT

The second was trained from the first. FRACTION is the weight of the second. The result keeps most of what the second
training added, and recovers part of what it lost.
"""

import sys
from pathlib import Path

import torch

from nlpkit.core.model.checkpoint import dequantize, read_tensors, save
from nlpkit.core.model.contents import WEIGHTS, tokenizer_of
from nlpkit.core.model.manifest import read_manifest
from nlpkit.tasks.embed.sentence_transformers.reader import write_modules
from nlpkit.tasks.embed.task import EmbedTask


def main(first: Path, second: Path, fraction: float, output: Path) -> None:
    """Write the model."""
    old, new = (dequantize(read_tensors(folder / WEIGHTS)) for folder in (first, second))
    weights = {name: torch.lerp(value, new[name], fraction) for name, value in old.items()}
    manifest = read_manifest(second, EmbedTask.name)
    tokenizer = tokenizer_of(second, manifest)
    manifest.training["between"] = {"first": str(first), "second": str(second), "share": fraction}
    manifest.metrics = {}  # of the second
    save(output, manifest, tokenizer.lines, weights)
    write_modules(output)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3]), Path(sys.argv[4]))
