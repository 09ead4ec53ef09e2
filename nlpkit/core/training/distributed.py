"""Data-parallel training in several processes, started by torchrun, each on its own GPU (or all on the CPU).

    torchrun --nproc-per-node 4 -m nlpkit pretrain corpus/*.txt.xz --output my-backbone

Of n processes each trains on every n-th batch, and DistributedDataParallel averages the gradients. So a step is equal
to that of a single process with n times the `accumulate`. Only the main process evaluates, logs and writes files.
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

from nlpkit.nn.network import Inputs, Network

_TIMEOUT = timedelta(hours=12)  # the other processes wait while the main process tokenizes a corpus


@dataclass(frozen=True, slots=True)
class Processes:
    """The rank of this process among all processes of a training run.

    Attributes:
        device: of this process.
        rank: of this process, from 0.
        world_size: number of processes.
    """

    device: torch.device
    rank: int = 0
    world_size: int = 1

    @property
    def is_main(self) -> bool:
        """Return whether this is the main process."""
        return self.rank == 0

    def wrap(self, module: nn.Module) -> nn.Module:
        """Return the module, with gradients averaged over the processes in each backward pass."""
        return module if self.world_size == 1 else DistributedDataParallel(module)

    def sync_gradients(self, module: nn.Module, enabled: bool) -> AbstractContextManager[None]:
        """Return a context for a backward pass of several whose gradients are accumulated.

        Args:
            module: from `wrap`.
            enabled: whether the processes average their gradients in this pass.
        """
        if enabled or not isinstance(module, DistributedDataParallel):
            return nullcontext()
        return module.no_sync()

    def broadcast(self, value: float) -> float:
        """Return the value of the main process in all processes."""
        if self.world_size == 1:
            return value
        shared = torch.tensor([value], dtype=torch.float64, device=self.device)
        dist.broadcast(shared, 0)
        return shared.item()

    @contextmanager
    def main_process_first(self) -> Iterator[None]:
        """Run the block in the main process first, and then in the others."""
        if self.world_size > 1 and not self.is_main:
            dist.barrier()
        yield
        if self.world_size > 1 and self.is_main:
            dist.barrier()


@contextmanager
def init_distributed(device: torch.device) -> Iterator[Processes]:
    """Initialize the process group if torchrun started this process.

    Args:
        device: on CUDA each process uses the GPU of its local rank.
    """
    if not dist.is_torchelastic_launched():  # not by WORLD_SIZE, which cluster schedulers also set
        yield Processes(device)
        return
    if device.type == "cuda":
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if device.type == "cuda" else "gloo", timeout=_TIMEOUT)
    try:
        yield Processes(device, dist.get_rank(), dist.get_world_size())
    finally:
        dist.destroy_process_group()


class LossModule(nn.Module):
    """The loss of a network as the forward pass of a module, for DistributedDataParallel and torch.compile."""

    def __init__(self, network: Network):
        super().__init__()
        self.network = network

    def forward(self, inputs: Inputs, targets: dict[str, Tensor]) -> Tensor:
        """Return the loss, a scalar."""
        return self.network.loss(inputs, targets)
