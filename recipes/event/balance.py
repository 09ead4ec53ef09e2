"""Shift the scores of the event types of one data set, so that a model of two sets answers well on texts of both.

    python recipes/event/balance.py MODEL OUTPUT GOLD OTHER [MORE…]

Each set was trained on its own types only (`mark_types.py`), so the model finds events of both kinds in the texts of
either: 司法行为-起诉 of DuEE beside 起诉 of FewFC. To the logits of all labels of the types in GOLD and MORE a constant
is added: that of a grid with which the mean F1 on GOLD and OTHER is best. Their records must not have `types`, so that
events of types that a set does not have are wrong. The types of OTHER are not changed.
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
GRID = [step / 2 for step in range(-8, 5)]


def shifted(bias: torch.Tensor, labels: Collection[tuple[str, str, str]], types: set[str], by: float) -> torch.Tensor:
    """Return biases with which the logits of the labels of some types are higher."""
    mask = torch.tensor([type in types for type, _, _ in labels]).repeat_interleave(2)
    return torch.where(mask, bias + by, bias)


def main(model: str, output: str, gold: str, other: str, *more: str) -> None:
    """Write the model with the best mean."""
    sets = [list(read_examples([path])) for path in (gold, other)]
    types = {event.type for example in (*sets[0], *read_examples(more)) for event in example.events}
    predictor = load(model, "cpu", "fp32", runtime="torch")
    labels = predictor.settings.labels
    head: Any = predictor.network.spans.bias
    original = head.bias.detach().clone()
    rows = []
    for by in GRID:
        head.bias.data = shifted(original, labels, types, by)
        scores = [predictor.evaluate(examples)["f1"] for examples in sets]
        rows.append((sum(scores) / 2, by))
        print(f"{by:+.1f}: f1 {scores[0]:.3f} and {scores[1]:.3f}", flush=True)
    _, best = max(rows)
    folder = find(model)
    manifest, weights = read_manifest(folder, "event"), checkpoint.read_weights(folder)
    weights[BIAS] = shifted(weights[BIAS], labels, types, best)
    manifest.training["balanced"] = {"types": len(types), "by": best}
    checkpoint.save(Path(output), manifest, read_vocabulary(folder / VOCABULARY), weights, "int8")


if __name__ == "__main__":
    main(*sys.argv[1:])
