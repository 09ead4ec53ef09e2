"""Selection of the device and the precision."""

import ctypes
import sys
import time
from dataclasses import dataclass

import torch
from torch import nn

from nlpkit.errors import UsageError

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
MIN_SPEEDUP = 1.2  # of bf16 over fp32 on a CPU, for `--dtype auto` to select bf16


@dataclass(frozen=True, slots=True)
class Probe:
    """Seconds of a small matrix product in both precisions."""

    fp32: float
    bf16: float

    @property
    def ratio(self) -> float:
        """Return the speed-up of bf16 over fp32."""
        return self.fp32 / self.bf16


def pick_device(name: str = "auto") -> torch.device:
    """Return the device of `--device auto|cpu|cuda[:n]|mps`; auto prefers CUDA, then MPS, then the CPU.

    Raises:
        UsageError: an unknown name, or a device that is not available.
    """
    if name == "auto":
        kind = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
        return torch.device(kind)
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UsageError(f"unknown device {name!r}; one of auto, cpu, cuda, cuda:0, mps") from None
    available = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if not available.get(device.type, False):
        raise UsageError(f"device {name!r} is not available here; `nlpkit doctor` shows what is")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise UsageError(f"there is no {name!r}: this machine has {torch.cuda.device_count()} CUDA device(s)")
    return device


def pick_dtype(name: str, device: torch.device) -> torch.dtype:
    """Return the precision of `--dtype auto|fp32|bf16|fp16` on a device.

    auto is bf16 on CUDA (fp16 before Ampere), fp32 on MPS, and on a CPU bf16 if a probe of a few milliseconds shows
    that it is faster: without its instructions bf16 is a hundred times slower.

    Raises:
        UsageError: an unknown name, or fp16 on a CPU.
    """
    if name == "auto":
        if device.type == "cuda":
            return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
        return torch.bfloat16 if device.type == "cpu" and probe_cpu().ratio >= MIN_SPEEDUP else torch.float32
    if name == "int8":
        raise UsageError("int8 is for predictions in ONNX Runtime, and this computes in torch; pass --dtype fp32")
    if name not in DTYPES:
        raise UsageError(f"unknown dtype {name!r}; one of auto, {', '.join(DTYPES)}")
    if name == "fp16" and device.type == "cpu":
        raise UsageError("fp16 needs a GPU; on a CPU take bf16 or fp32")
    return DTYPES[name]


def probe_cpu(rows: int = 256, width: int = 384) -> Probe:
    """Return the times of x·Wᵀ for [rows, width] and [4·width, width] in fp32 and bf16; the best of a few runs each."""

    def best(dtype: torch.dtype) -> float:
        x, weight = torch.ones(rows, width, dtype=dtype), torch.ones(4 * width, width, dtype=dtype)
        nn.functional.linear(x, weight)
        times = []
        for _ in range(5):
            start = time.perf_counter()
            nn.functional.linear(x, weight)
            times.append(time.perf_counter() - start)
            if sum(times) > 0.05:  # too slow in any case
                break
        return min(times)

    with torch.inference_mode():
        return Probe(best(torch.float32), best(torch.bfloat16))


def keep_memory() -> None:
    """Make glibc keep freed memory for the next step instead of returning it to the kernel; only on Linux.

    Otherwise page faults take up to a quarter of the time on a CPU.
    """
    if not sys.platform.startswith("linux"):
        return
    trim_threshold, mmap_threshold, arena_max = -1, -3, -8
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.mallopt(mmap_threshold, 1 << 30)
        libc.mallopt(trim_threshold, (1 << 31) - 1)
        libc.mallopt(arena_max, 2)
    except (OSError, AttributeError):  # another C library
        return
