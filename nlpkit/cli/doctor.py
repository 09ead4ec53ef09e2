"""`nlpkit doctor`."""

from collections.abc import Mapping

import typer


def doctor() -> None:
    """Show the device, precision, threads, model cache and library versions that nlpkit uses here, and why.

    \b
        nlpkit doctor | jq .precision
    """
    import os
    import platform
    import sys
    from importlib.metadata import PackageNotFoundError, version
    from pathlib import Path

    import torch

    from nlpkit.core.io.records import write_json
    from nlpkit.core.model.device import pick_device, pick_dtype, probe_cpu
    from nlpkit.core.model.manifest import EMBEDDED, embedded_names
    from nlpkit.core.onnx.choice import onnx_dtype
    from nlpkit.nn.layers.prepack import can_prepack
    from nlpkit.version import __version__

    def installed(name: str) -> str | None:
        try:
            return version(name)
        except PackageNotFoundError:
            return None

    def runtime(loss: float | None) -> str:
        dtype = onnx_dtype("auto", "auto", "auto", {"type": "bert"}, loss)
        return f"onnx {dtype}" if dtype else "torch"

    packages = (
        "torch",
        "onnxruntime",
        "transformers",
        "tokenizers",
        "safetensors",
        "jieba",
        "marisa-trie",
        "numpy",
        "orjson",
        "typer",
        "rich",
        "zstandard",
    )
    device = pick_device()
    probe = probe_cpu()
    cache = Path(
        os.environ.get("HF_HUB_CACHE") or Path(os.environ.get("HF_HOME", "~/.cache/huggingface")) / "hub"
    ).expanduser()
    report = {
        "nlpkit": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "runtime": {"auto": runtime(None), "auto_with_int8": runtime(0.0)},  # without and with a quality test in int8
        "device": {
            "auto": str(device),
            "cuda": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())],
            "mps": torch.backends.mps.is_available(),
        },
        "precision": {
            "auto": str(pick_dtype("auto", device)).removeprefix("torch."),
            "cpu_fp32_ms": round(probe.fp32 * 1e3, 3),
            "cpu_bf16_ms": round(probe.bf16 * 1e3, 3),
            "cpu_bf16_speedup": round(probe.ratio, 2),
            "cpu_instructions": torch.backends.cpu.get_cpu_capability(),
            "cpu_prepacking": {"fp32": can_prepack(torch.float32), "bf16": can_prepack(torch.bfloat16)},
        },
        "cores": {
            "usable": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
            "torch_threads": torch.get_num_threads(),
        },
        "models": {"embedded": embedded_names(), "folder": str(EMBEDDED)},
        "hub": {
            "cache": str(cache),
            "cached": sorted(path.name.removeprefix("models--").replace("--", "/") for path in cache.glob("models--*")),
            "endpoint": os.environ.get("HF_ENDPOINT", "https://huggingface.co"),
            "offline": os.environ.get("HF_HUB_OFFLINE", "0").lower() in ("1", "true", "yes", "on"),
        },
        "versions": {name: installed(name) for name in packages},
    }
    if sys.stdout.isatty():
        typer.echo(_indented(report), nl=False)
    else:
        write_json(None, [report])


def _indented(report: Mapping[str, object]) -> str:
    import json

    return json.dumps(report, ensure_ascii=False, indent=2) + "\n"
