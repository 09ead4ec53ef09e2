"""Shift the scores of the event types of a data set that is smaller than the others: their logits are too low.

    python recipes/event/balance.py MODEL OUTPUT GOLD [MORE…]

A type with few training texts gets low scores, as the model has seen it in one text of hundreds. To the logits of all
labels of the types in GOLD and MORE a constant is added: that of a grid with which the scores agree best with the share
of right answers (the lowest `ece`) on GOLD, texts that were not trained on. The other types are not changed.
"""

import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any

import torch

from nlpkit.core.model import checkpoint
from nlpkit.core.model.manifest import find, read_manifest
from nlpkit.core.text.tokenizer import VOCABULARY, read_vocabulary
from nlpkit.tasks.event.formats import read_examples
from nlpkit.tasks.event.task import load

BIAS = "spans.bias.bias"  # [2c], of the starts and the ends of each label; half of it is added to the logit
GRID = [step / 4 for step in range(13)]


def shifted(bias: torch.Tensor, labels: Collection[tuple[str, str, str]], types: set[str], by: float) -> torch.Tensor:
    """Return biases with which the logits of the labels of some types are higher."""
    mask = torch.tensor([type in types for type, _, _ in labels]).repeat_interleave(2)
    return torch.where(mask, bias + by, bias)


def main(model: str, output: str, gold: str, *more: str) -> None:
    """Write the model whose scores agree best."""
    examples = list(read_examples([gold]))
    types = {event.type for example in (*examples, *read_examples(more)) for event in example.events}
    predictor = load(model, "cpu", "fp32", runtime="torch")
    labels = predictor.settings.labels
    head: Any = predictor.network.spans.bias
    original = head.bias.detach().clone()
    rows = []
    for by in GRID:
        head.bias.data = shifted(original, labels, types, by)
        scores = predictor.evaluate(examples)
        rows.append((scores["ece"], by, scores["f1"]))
        print(f"+{by:.2f}: ece {scores['ece']:.3f}, f1 {scores['f1']:.3f}")
    _, best, _ = min(rows)
    folder = find(model)
    manifest, weights = read_manifest(folder, "event"), checkpoint.read_weights(folder)
    weights[BIAS] = shifted(weights[BIAS], labels, types, best)
    manifest.training["balanced"] = {"types": len(types), "by": best}
    checkpoint.save(Path(output), manifest, read_vocabulary(folder / VOCABULARY), weights, "int8")


if __name__ == "__main__":
    main(*sys.argv[1:])
