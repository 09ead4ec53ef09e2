"""Optimisers and their parameter groups: layer-wise learning rates, a rate for the heads, what does not decay."""

import re
from typing import Any, Literal

import torch
from torch import nn
from torch.optim import Optimizer

OptimizerName = Literal["adamw", "muon"]

_LAYER = re.compile(r"\blayers?\.(\d+)\.")


def make_optimizers(network: nn.Module, groups: list[dict[str, Any]], name: OptimizerName) -> list[Optimizer]:
    """AdamW for all groups; or Muon for the matrices of the backbone's layers and AdamW for everything else.

    Muon (Keller Jordan 2024; kexue.fm 10592) steps along the orthogonalised momentum; scaled to the step size of AdamW
    (arXiv 2502.16982), it takes the same learning rate.
    """
    hidden = {
        id(parameter)
        for key, parameter in network.named_parameters()
        if name == "muon" and key.startswith("backbone.") and _LAYER.search(key) and parameter.dim() == 2
    }
    parts: list[list[dict[str, Any]]] = [
        [{**group, "params": members} for group in groups if (members := _members(group, hidden, inside))]
        for inside in (False, True)
    ]
    fused = next(network.parameters()).device.type != "mps"
    made: list[Optimizer] = [torch.optim.AdamW(parts[0], betas=(0.9, 0.98), eps=1e-6, fused=fused)]
    if parts[1]:
        made.append(torch.optim.Muon(parts[1], adjust_lr_fn="match_rms_adamw"))
    return made


def _members(group: dict[str, Any], hidden: set[int], inside: bool) -> list[nn.Parameter]:
    return [parameter for parameter in group["params"] if (id(parameter) in hidden) is inside]


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
