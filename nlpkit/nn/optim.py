"""Parameter groups: layer-wise learning rates, a rate for the heads, and what weight decay leaves alone."""

import re
from typing import Any

from torch import nn

_LAYER = re.compile(r"\blayers?\.(\d+)\.")


def parameter_groups(
    network: nn.Module, lr: float, head_lr: float, layer_decay: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Groups for an optimiser.

    The last layer under `backbone.` learns at `lr`, each one below it at `layer_decay` times the rate of the one above,
    the embeddings slowest; everything outside the backbone learns at `head_lr`. Vectors (biases, norms) do not decay.
    The first group is always one of the last layer's rate or the only one there is.
    """
    names = [name for name, parameter in network.named_parameters() if parameter.requires_grad]
    depths = [int(match.group(1)) + 1 for name in names if (match := _LAYER.search(name))]
    top = max(depths, default=0)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in network.named_parameters():
        if not parameter.requires_grad:
            continue
        if name.startswith("backbone."):
            match = _LAYER.search(name)
            depth = int(match.group(1)) + 1 if match else 0
            speed = lr * layer_decay ** (top - depth)
        else:
            speed = head_lr
        decay = weight_decay if parameter.dim() > 1 else 0.0
        groups.setdefault((speed, decay), []).append(parameter)
    ordered = sorted(groups.items(), key=lambda item: item[0][0] != lr)
    return [{"params": members, "lr": speed, "weight_decay": decay} for (speed, decay), members in ordered]
