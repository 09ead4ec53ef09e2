"""Average the weights of models that were trained from the same weights: model soups (arXiv 2203.05482).

    python recipes/relation-duie/average.py OUTPUT MODEL…

Manifest and vocabulary are those of the first model. Its threshold and its scores have to be fitted anew
(`nlpkit calibrate`).
"""

import sys
from pathlib import Path

import torch

from nlpkit.core.model.checkpoint import dequantize, read_tensors, save
from nlpkit.core.model.contents import WEIGHTS, tokenizer_of
from nlpkit.core.model.manifest import read_manifest


def main(output: Path, *models: Path) -> None:
    """Write the model."""
    weights = [dequantize(read_tensors(model / WEIGHTS)) for model in models]
    mean = {name: torch.stack([one[name].float() for one in weights]).mean(0) for name in weights[0]}
    manifest = read_manifest(models[0], "relation")
    manifest.training["averaged"] = [str(model) for model in models]
    manifest.metrics = {}  # of the first
    save(output, manifest, tokenizer_of(models[0], manifest).lines, mean, "int8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
