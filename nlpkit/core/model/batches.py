"""Shuffled training batches as a pure function of the step, so that a resumed run sees the batches of the first one."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor
from typing_extensions import override

from nlpkit.nn.network import Inputs

POOL = 50  # batches whose examples are sorted by length together: little padding, still a random order


class ShuffledBatches(ABC):
    """Training batches, without end, in a different order in every epoch; a `core.model.task.Dataset`.

    Args:
        steps_per_epoch: number of batches in an epoch.
        seed: of the order.

    Attributes:
        longest: maximum number of tokens in a sequence that the trained model reads, special tokens included: in most
            tasks that of the training data.
        diagnostics: counts for the manifest.
    """

    longest: int
    diagnostics: dict[str, Any]
    _order: Any

    def __init__(self, steps_per_epoch: int, seed: int):
        self.steps_per_epoch, self.seed = steps_per_epoch, seed
        self._epoch, self._order = -1, None

    def __call__(self, step: int) -> tuple[Inputs, dict[str, Tensor]]:
        """Return inputs and targets of a step, counted from 0."""
        epoch, index = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self.order(epoch)
        return self.collate(self._order[index], step)

    @abstractmethod
    def order(self, epoch: int) -> Any:
        """Return the batches of an epoch, in the form that `collate` takes; they depend on seed and epoch only."""

    @abstractmethod
    def collate(self, examples: Any, step: int) -> tuple[Inputs, dict[str, Tensor]]:
        """Return inputs and targets of the examples of a batch; `step` seeds what is random in them."""


class BatchesByLength(ShuffledBatches):
    """Batches of indices of examples of similar length.

    Args:
        lengths: of the examples, in tokens.
        batch_size: examples in a batch; the last batch of a group may be smaller.
        seed: of the order.
        groups: indices of the examples that may share a batch; all of them when None.
    """

    def __init__(
        self, lengths: Sequence[int], batch_size: int, seed: int, groups: Sequence[Sequence[int]] | None = None
    ):
        sizes = [len(lengths)] if groups is None else list(map(len, groups))
        super().__init__(sum(-(-size // batch_size) for size in sizes), seed)
        self.lengths, self.batch_size, self.groups = lengths, batch_size, groups

    @override
    def order(self, epoch: int) -> list[list[int]]:
        random = np.random.default_rng([self.seed, epoch])
        if self.groups is None:
            return shuffled(self.lengths, self.batch_size, random)
        batches: list[list[int]] = []
        for group in self.groups:
            lengths = [self.lengths[index] for index in group]
            batches += [[group[i] for i in batch] for batch in shuffled(lengths, self.batch_size, random)]
        random.shuffle(batches)
        return batches


def shuffled(lengths: Sequence[int], batch_size: int, random: np.random.Generator) -> list[list[int]]:
    """Return batches of indices: shuffled, sorted by length inside pools, and the batches shuffled again."""
    order = random.permutation(len(lengths))
    batches: list[list[int]] = []
    for start in range(0, len(order), POOL * batch_size):
        pool = sorted(order[start : start + POOL * batch_size].tolist(), key=lambda i: lengths[i])
        batches += [pool[i : i + batch_size] for i in range(0, len(pool), batch_size)]
    random.shuffle(batches)
    return batches
