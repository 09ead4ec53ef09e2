"""Several processes that train one model, as torchrun starts them, each on a GPU of its own (or all on the CPU).

    torchrun --nproc-per-node 4 -m nlpkit pretrain corpus/*.txt.xz --output my-backbone

Every process takes every n-th batch, and DistributedDataParallel averages the gradients, so a step is the same as one
of a single process with n times the `accumulate`. The first process alone evaluates, logs and writes.
"""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from nlpkit.core.model.task import Inputs, Network

_PATIENCE = timedelta(hours=12)  # the others wait while the first tokenises a corpus


@dataclass(frozen=True, slots=True)
class Processes:
    """This process's place among those that train together."""

    device: torch.device  # where this process has to run
    rank: int = 0
    world: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the one that writes."""
        return self.rank == 0

    def parallel(self, module: nn.Module) -> nn.Module:
        """The module, with gradients averaged over the processes in each backward pass."""
        return module if self.world == 1 else DistributedDataParallel(module)

    def averaging(self, parallel: nn.Module, wanted: bool) -> AbstractContextManager[None]:
        """For one pass of several that add up their gradients: whether the processes average them in it."""
        if wanted or not isinstance(parallel, DistributedDataParallel):
            return nullcontext()
        return parallel.no_sync()

    def agreed(self, value: float) -> float:
        """The value of the first process."""
        if self.world == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=self.device)
        dist.broadcast(shared, 0)
        return shared.item()

    @contextmanager
    def one_before_the_others(self) -> Iterator[None]:
        """The first process goes through the block, and then the others."""
        if self.world > 1 and not self.first:
            dist.barrier()
        yield
        if self.world > 1 and self.first:
            dist.barrier()


@contextmanager
def joined(device: torch.device) -> Iterator[Processes]:
    """Joins the processes that torchrun started; alone when it did not start this one.

    Args:
        device: what was asked for; of several GPUs each process takes the one of its local rank.
    """
    if not dist.is_torchelastic_launched():  # WORLD_SIZE alone may be a cluster's
        yield Processes(device)
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_PATIENCE)
    try:
        yield Processes(device, dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


class LossModule(nn.Module):
    """The loss of a network as a module's call, which is what DistributedDataParallel and torch.compile wrap."""

    def __init__(self, network: Network):
        super().__init__()
        self.network = network

    def forward(self, inputs: Inputs, targets: dict[str, Tensor]) -> Tensor:
        """A scalar."""
        return self.network.loss(inputs, targets)
