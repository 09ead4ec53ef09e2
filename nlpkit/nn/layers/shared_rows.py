"""A linear layer whose rows share weights in training, so that labels with similar names learn from one another.

The row of a label is the sum of its own row and of one row for each part of its name, such as its type, its role and
their characters. The rows of parts are also trained on the examples of all other labels with these parts. After
training, the sums are stored as a plain layer, so prediction takes no more time.
"""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override


class SharedRows(nn.Linear):
    """`linear` with rows that are sums; it computes the same until it is trained.

    Args:
        linear: of n rows, which has one or several rows for each of c labels, label by label.
        parts: names of the parts of each label; equal names are one part.

    Example:
        parts [["buy", "date"], ["sell", "date"]]: both rows contain that of `date`.
    """

    membership: Tensor  # [n, rows of all parts]

    def __init__(self, linear: nn.Linear, parts: Sequence[Sequence[str]]):
        super().__init__(linear.in_features, linear.out_features, device="meta")
        self.weight, self.bias = linear.weight, linear.bias
        numbers: dict[str, int] = {}
        for name in (name for names in parts for name in names):
            numbers.setdefault(name, len(numbers))
        labels = torch.zeros(len(parts), len(numbers))
        for label, names in enumerate(parts):
            labels[label, [numbers[name] for name in names]] = 1
        rows = linear.out_features // len(parts)  # of a label
        membership = torch.kron(labels, torch.eye(rows)).to(linear.weight)
        self.register_buffer("membership", membership, persistent=False)
        self.shared = nn.Parameter(linear.weight.new_zeros(membership.shape[1], linear.in_features))

    @override
    def forward(self, input: Tensor) -> Tensor:
        return F.linear(input, self.sums(), self.bias)

    def sums(self) -> Tensor:
        """Return the weights of a plain layer that computes the same, [n, d]."""
        return self.weight + self.membership @ self.shared


def plain_weights(network: nn.Module) -> dict[str, Tensor]:
    """Return the state dict that a network has without shared rows."""
    weights: dict[str, Tensor] = network.state_dict()
    for name, layer in _layers(network):
        weights[f"{name}.weight"] = layer.sums().detach()
        del weights[f"{name}.shared"]
    return weights


def make_plain(network: nn.Module) -> None:
    """Replace shared rows by plain layers that compute the same."""
    for name, layer in list(_layers(network)):
        plain = nn.Linear(layer.in_features, layer.out_features, device="meta")
        plain.weight, plain.bias = nn.Parameter(layer.sums().detach()), layer.bias
        network.set_submodule(name, plain)


def _layers(network: nn.Module) -> Iterator[tuple[str, SharedRows]]:
    return ((name, layer) for name, layer in network.named_modules() if isinstance(layer, SharedRows))
