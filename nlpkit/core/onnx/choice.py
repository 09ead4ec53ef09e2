"""The choice between ONNX Runtime and torch."""

import os
import platform
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

from nlpkit.core.onnx.encoders import supports, type_of
from nlpkit.errors import UsageError

RUNTIMES = ("auto", "onnx", "torch")
MAX_LOSS = 0.3  # in int8, of a figure out of 100
OnnxDtype = Literal["fp32", "int8"]
_AMX = "amx_bf16"
_BF16 = ("avx512_bf16", _AMX, "avx_ne_convert")
_VNNI = ("avx512_vnni", "avx_vnni", "avx_vnni_int8")


def onnx_dtype(
    runtime: str, device: str, dtype: str, backbone: Mapping[str, Any], loss: float | None = None
) -> OnnxDtype | None:
    """Return the precision in which a model is to run in ONNX Runtime, or None if it is to run in torch.

    auto takes ONNX Runtime on a CPU, where it starts faster: in int8 if the model's quality holds and the CPU is known
    to be faster in it, else in fp32. It takes torch for a GPU, for encoders without a graph, and where the CPU has
    instructions for bf16 that are faster, in which torch computes if its own probe agrees.

    Args:
        runtime: `auto`, `onnx` or `torch`.
        device: as for `core.model.device.pick_device`.
        dtype: as for `core.model.device.pick_dtype`.
        backbone: description of the backbone, as in a manifest.
        loss: in int8, of a quality figure out of 100; None if unknown. See `core.onnx.quality`.

    Raises:
        UsageError: an unknown runtime; or `onnx`, or the precision `int8`, with a device, a precision or an encoder
            that ONNX Runtime does not have; or `int8` with a model whose quality does not hold in it.
    """
    if runtime not in RUNTIMES:
        raise UsageError(f"unknown runtime {runtime!r}; one of {', '.join(RUNTIMES)}")
    if runtime == "onnx" or dtype == "int8":
        _check(runtime, device, dtype, backbone, loss)
        return "int8" if dtype == "int8" or (dtype == "auto" and _is_int8_better(loss)) else "fp32"
    on_cpu = device == "cpu" or (device == "auto" and not may_have_gpu())
    if runtime == "torch" or not on_cpu or not supports(backbone) or find_spec("onnxruntime") is None:
        return None
    if dtype == "auto" and _is_int8_better(loss):
        return "int8"
    return "fp32" if dtype == "fp32" or (dtype == "auto" and not cpu_flags().intersection(_BF16)) else None


def _is_int8_better(loss: float | None) -> bool:
    """Return whether int8 is faster on this CPU, as far as that was measured, and exact enough."""
    flags = cpu_flags()
    return loss is not None and loss <= MAX_LOSS and "avx2" in flags and _AMX not in flags


def _check(runtime: str, device: str, dtype: str, backbone: Mapping[str, Any], loss: float | None) -> None:
    if runtime == "torch":
        raise UsageError("--dtype int8 is computed by ONNX Runtime; pass --runtime onnx, or --dtype fp32")
    name, value = ("runtime", "onnx") if runtime == "onnx" else ("dtype", "int8")
    if device not in ("auto", "cpu"):
        raise UsageError(
            f"--{name} {value} computes on the CPU, not on {device}; pass --device cpu, or leave out --{name}"
        )
    if dtype not in ("auto", "fp32", "int8"):
        raise UsageError(f"--runtime onnx computes in fp32 or int8, not in {dtype}; pass --dtype fp32")
    if not supports(backbone):
        raise UsageError(
            f"--{name} {value}: there is no ONNX graph for an encoder of type {type_of(backbone)}; leave out --{name}"
        )
    if find_spec("onnxruntime") is None:
        raise UsageError(f"--{name} {value}: the package onnxruntime is missing; pip install onnxruntime")
    if dtype == "int8" and loss is not None and loss > MAX_LOSS:
        raise UsageError(
            f"--dtype int8: on this CPU the model loses {loss:.1f} of 100 in its quality test, more than {MAX_LOSS};"
            " pass --dtype fp32"
        )


def may_have_gpu() -> bool:
    """Return whether the machine may have a GPU that torch can use; torch is not imported."""
    if sys.platform == "darwin":
        return platform.machine() == "arm64"
    if os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return False
    if sys.platform == "win32":
        return (Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32" / "nvcuda.dll").exists()
    return any(Path(path).exists() for path in ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd"))


def cpu_flags() -> frozenset[str]:
    """Return the feature flags of the CPU from /proc/cpuinfo; empty on other systems than Linux on x86."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return frozenset()
    return frozenset(next((line for line in lines if line.startswith("flags")), "").partition(":")[2].split())


def has_vnni() -> bool:
    """Return whether the CPU multiplies bytes without saturation, as far as Linux tells; False if unknown."""
    return any(flag in cpu_flags() for flag in _VNNI)
