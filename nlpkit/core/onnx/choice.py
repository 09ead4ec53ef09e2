"""The choice between ONNX Runtime and torch."""

import os
import platform
import sys
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nlpkit.core.onnx.encoders import supports
from nlpkit.errors import UsageError

RUNTIMES = ("auto", "onnx", "torch")
_BF16 = ("avx512_bf16", "amx_bf16", "avx_ne_convert")


def uses_onnx(runtime: str, device: str, dtype: str, backbone: Mapping[str, Any]) -> bool:
    """Return whether a model is to run in ONNX Runtime instead of torch.

    auto takes ONNX Runtime on a CPU, where it starts faster. It takes torch for a GPU, for encoders without a graph,
    and where the CPU has instructions for bf16, in which torch computes faster if its own probe agrees.

    Args:
        runtime: `auto`, `onnx` or `torch`.
        device: as for `core.model.device.pick_device`.
        dtype: as for `core.model.device.pick_dtype`.
        backbone: description of the backbone, as in a manifest.

    Raises:
        UsageError: an unknown runtime; or `onnx`, or the precision `int8`, with a device, a precision or an encoder
            that ONNX Runtime does not have.
    """
    if runtime not in RUNTIMES:
        raise UsageError(f"unknown runtime {runtime!r}; one of {', '.join(RUNTIMES)}")
    if runtime == "onnx" or dtype == "int8":
        _check(runtime, device, dtype, backbone)
        return True
    return (
        runtime == "auto"
        and supports(backbone)
        and find_spec("onnxruntime") is not None
        and (device == "cpu" or (device == "auto" and not may_have_gpu()))
        and (dtype == "fp32" or (dtype == "auto" and not cpu_flags().intersection(_BF16)))
    )


def _check(runtime: str, device: str, dtype: str, backbone: Mapping[str, Any]) -> None:
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
        kind = str(backbone.get("type"))[:40]
        raise UsageError(f"--{name} {value}: there is no ONNX graph for an encoder of type {kind}; leave out --{name}")
    if find_spec("onnxruntime") is None:
        raise UsageError(f"--{name} {value}: the package onnxruntime is missing; pip install onnxruntime")


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
