"""Optimizers and their parameter groups: layer-wise learning rates, a rate for the heads, weight decay."""

import re
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from nlpkit.nn.optim import OptimizerName

_LAYER = re.compile(r"\blayers?\.(\d+)\.")


def make_optimizers(network: nn.Module, groups: list[dict[str, Any]], name: OptimizerName) -> list[Optimizer]:
    """Return AdamW for all groups; or Muon for the matrices of the backbone's layers and AdamW for all others.

    Muon (Keller Jordan 2024; kexue.fm 10592) steps along the orthogonalized momentum. Its steps are scaled to the size
    of AdamW's (arXiv 2502.16982), so both use the same learning rate.

    Args:
        network: the network to train.
        groups: from `parameter_groups`.
        name: `adamw` or `muon`.
    """
    matrices = {
        id(parameter)
        for key, parameter in network.named_parameters()
        if name == "muon" and key.startswith("backbone.") and _LAYER.search(key) and parameter.dim() == 2
    }
    for_adamw, for_muon = (
        [{**group, "params": members} for group in groups if (members := _members(group, matrices, muon))]
        for muon in (False, True)
    )
    fused = next(network.parameters()).device.type != "mps"
    optimizers: list[Optimizer] = [torch.optim.AdamW(for_adamw, betas=(0.9, 0.98), eps=1e-6, fused=fused)]
    if for_muon:
        optimizers.append(torch.optim.Muon(for_muon, adjust_lr_fn="match_rms_adamw"))
    return optimizers


def _members(group: dict[str, Any], matrices: set[int], muon: bool) -> list[nn.Parameter]:
    return [parameter for parameter in group["params"] if (id(parameter) in matrices) is muon]


def parameter_groups(
    network: nn.Module, lr: float, head_lr: float, layer_decay: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Return the parameter groups for an optimizer; the first one has the rate `lr`, if any has.

    Args:
        network: its backbone is the module `backbone`.
        lr: learning rate of the last layer of the backbone.
        head_lr: learning rate of everything outside the backbone.
        layer_decay: learning rate of a layer divided by that of the layer above; the embeddings are the lowest layer.
        weight_decay: of matrices; vectors (biases, norms) do not decay.
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
            rate = lr * layer_decay ** (top - depth)
        else:
            rate = head_lr
        decay = weight_decay if parameter.dim() > 1 else 0.0
        groups.setdefault((rate, decay), []).append(parameter)
    ordered = sorted(groups.items(), key=lambda item: item[0][0] != lr)
    return [{"params": members, "lr": rate, "weight_decay": decay} for (rate, decay), members in ordered]


def freeze_layers(backbone: nn.Module, count: int) -> None:
    """Keep the embeddings and the lowest layers of a backbone fixed in training, which also saves their backward pass.

    Args:
        backbone: changed in place.
        count: of layers; nothing is frozen if it is 0.

    Raises:
        ValueError: the backbone has fewer layers.
    """
    layers = {name: _LAYER.search(name) for name, _ in backbone.named_parameters()}
    depths = {name: int(match.group(1)) if match else -1 for name, match in layers.items()}
    existing = 1 + max(depths.values(), default=-1)
    if count > existing:
        raise ValueError(f"the backbone has {existing} layers")
    for name, parameter in backbone.named_parameters():
        if count and depths[name] < count:
            parameter.requires_grad_(False)
