"""What the benchmarks share: real text where it is there, and a place for results."""

import json
import platform
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).parents[2]
DATA = ROOT.parent / "shared" / "data"
RESULTS = Path(__file__).parent / "results"


def sentences(count: int) -> tuple[list[str], str]:
    """Texts with the lengths of real ones, and where they are from."""
    path = DATA / "cluener" / "train.json"
    if path.exists():
        texts = [json.loads(line)["text"] for line in path.open(encoding="utf-8")]
        return (texts * (count // len(texts) + 1))[:count], "CLUENER train"
    chance = random.Random(0)
    characters = [chr(0x4E00 + i) for i in range(3000)]
    return ["".join(chance.choices(characters, k=chance.randint(5, 50))) for _ in range(count)], "random characters"


def timed(work: Callable[[], Any]) -> float:
    """Seconds of one call."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def record(name: str, result: dict[str, Any]) -> None:
    """Prints a result and keeps it; the README's tables are made from these files."""
    result = {
        "benchmark": name,
        **result,
        "machine": {
            "cpu": _cpu(),
            "cores": torch.get_num_threads(),
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    }
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"{name}.json").write_text(json.dumps(result, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(result, ensure_ascii=False, indent=2))


def by_processor(name: str) -> str:
    """The name of a benchmark whose results with AMX, where bf16 is many times as fast, stand beside the others."""
    try:
        amx = "amx_bf16" in Path("/proc/cpuinfo").read_text()
    except OSError:
        amx = False
    return f"{name}_amx" if amx else name


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor()
