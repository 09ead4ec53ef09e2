"""An exponential moving average of a network's weights, which often predicts better than the weights themselves."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Follows a network while it is trained.

    Args:
        network: on its device.
        decay: how much of the average is kept at each update; 0 keeps none, and the network's own weights count.
    """

    def __init__(self, network: nn.Module, decay: float):
        self.network, self.decay = network, decay
        self.values = {name: value.clone() for name, value in self._current()} if decay else {}

    def update(self, step: int) -> None:
        """Moves towards the weights; a young average follows closely: decay (1 + t)/(10 + t) until it is reached."""
        if self.values:
            decay = min(self.decay, (1 + step) / (10 + step))
            torch._foreach_lerp_(list(self.values.values()), [value for _, value in self._current()], 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The averaged weights in the network for a while."""
        own = {name: value.clone() for name, value in self._current()} if self.values else {}
        self._put(self.values)
        try:
            yield
        finally:
            self._put(own)

    def load(self, values: Mapping[str, Tensor]) -> None:
        """Goes on from an average [as `values` holds it], in whatever order and wherever it is."""
        self.values = {name: values[name].to(value.device) for name, value in self.values.items()}

    def _put(self, values: Mapping[str, Tensor]) -> None:
        for name, value in self._current():
            if name in values:
                value.copy_(values[name])

    def _current(self) -> list[tuple[str, Tensor]]:
        return [(name, value.detach()) for name, value in self.network.named_parameters()]
