"""Average the weights of models that were trained from the same weights: model soups (arXiv 2203.05482).

    python recipes/ner-cluener/average.py OUTPUT MODEL MODEL…

The settings and the training log are those of the first model; `nlpkit calibrate` then fits threshold and scores.
"""

import shutil
import sys
from pathlib import Path

import torch

from nlpkit.core.model.checkpoint import read_weights, save
from nlpkit.core.model.contents import tokenizer_of
from nlpkit.core.model.manifest import read_manifest


def main(output: Path, *models: Path) -> None:
    """Write the average in int8."""
    every = [read_weights(folder) for folder in models]
    weights = {name: torch.stack([each[name] for each in every]).mean(0) for name in every[0]}
    manifest = read_manifest(models[0])
    manifest.training["average"] = [str(folder) for folder in models]
    save(output, manifest, tokenizer_of(models[0], manifest).lines, weights, "int8")
    shutil.copytree(models[0] / "training", output / "training", dirs_exist_ok=True)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
