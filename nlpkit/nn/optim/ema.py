"""Exponential moving average of a network's weights, which often predicts better than the weights themselves."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class EMA:
    """Exponential moving average of the weights of a network in training.

    Args:
        network: on its device.
        decay: weight of the average in each update; 0 disables averaging.

    Attributes:
        averages: by parameter name; empty if averaging is disabled.
    """

    def __init__(self, network: nn.Module, decay: float):
        self.network, self.decay = network, decay
        self.averages = {name: value.clone() for name, value in self._current()} if decay else {}

    def update(self, step: int) -> None:
        """Update the averages after a step t, with the decay min(decay, (1 + t)/(10 + t)), as TensorFlow does."""
        if self.averages:
            decay = min(self.decay, (1 + step) / (10 + step))
            torch._foreach_lerp_(list(self.averages.values()), [value for _, value in self._current()], 1 - decay)

    @contextmanager
    def swapped_in(self) -> Iterator[None]:
        """Put the averages into the network inside the context, and restore its weights afterwards."""
        weights = {name: value.clone() for name, value in self._current()} if self.averages else {}
        self._copy(self.averages)
        try:
            yield
        finally:
            self._copy(weights)

    def load(self, values: Mapping[str, Tensor]) -> None:
        """Replace the averages by saved ones, on any device."""
        self.averages = {name: values[name].to(value.device) for name, value in self.averages.items()}

    def _copy(self, values: Mapping[str, Tensor]) -> None:
        for name, value in self._current():
            if name in values:
                value.copy_(values[name])

    def _current(self) -> list[tuple[str, Tensor]]:
        return [(name, value.detach()) for name, value in self.network.named_parameters()]
