"""Peak memory and seconds: a whitening of 1,000,000 vectors of 384 in one pass, and `nlpkit embed` on a long file.

    python tests/bench/embed_memory.py [VECTORS [LINES]]

The vectors are made as they are written, into a .npy of 1.5 GB. The lines go through one layer of 64, to another .npy.
"""

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import record, sentences

DIM, PIECE = 384, 10_000


def write_vectors(path: Path, number: int) -> None:
    """Random vectors with a spectrum that falls; not through a map, as a child's peak begins with its parent's."""
    random = np.random.default_rng(0)
    spectrum = (1 / np.arange(1, DIM + 1)).astype(np.float32)
    with path.open("wb") as stream:
        header = {"descr": "<f4", "fortran_order": False, "shape": (number, DIM)}
        np.lib.format.write_array_header_1_0(stream, header)
        for start in range(0, number, PIECE):
            count = min(PIECE, number - start)
            stream.write((random.standard_normal((count, DIM), dtype=np.float32) * spectrum + 0.1).tobytes())


def measured(*command: str) -> dict[str, Any]:
    """Peak memory and time of a command in a process of its own."""
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{' '.join(command)}: status {status}")
    seconds = time.perf_counter() - start
    return {"peak_mebibytes": round(usage.ru_maxrss / 1024), "seconds": round(seconds, 1)}


def make_model(folder: Path, texts: list[str]) -> None:
    """A model that is quick."""
    from dataclasses import asdict

    from nlpkit.core.model import checkpoint
    from nlpkit.core.model.manifest import Manifest
    from nlpkit.core.model.pretrained import load_backbone
    from nlpkit.tasks.embed.settings import EmbedSettings
    from nlpkit.tasks.embed.task import EmbedTask

    backbone, tokenizer = load_backbone("roformer_v2:1x64", lambda: texts)
    task = EmbedTask(EmbedSettings("cosent"))
    manifest = Manifest("embed", backbone.describe(), {"kind": "char", "lowercase": True}, 512, asdict(task.settings))
    checkpoint.save(folder, manifest, tokenizer.tokens, task.network(backbone).state_dict())


def main(vectors: int = 1_000_000, lines: int = 200_000) -> None:
    """Both."""
    result: dict[str, Any] = {"vectors": vectors, "dim": DIM, "lines": lines}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        write_vectors(folder / "v.npy", vectors)
        fit = ("nlpkit", "train", "whitening", str(folder / "v.npy"), "-o", str(folder / "w"))
        result["whitening"] = measured(*fit)
        texts, _ = sentences(1000)
        make_model(folder / "model", texts)
        for number in (lines // 20, lines):
            path = folder / "lines.txt"
            with path.open("w", encoding="utf-8") as stream:
                stream.writelines(texts[i % len(texts)] + "\n" for i in range(number))
            command = ("nlpkit", "embed", str(path), "-m", str(folder / "model"), "-o", str(folder / "out.npy"))
            result[f"embed {number} lines"] = measured(*command)
    record("embed_memory", result)


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
