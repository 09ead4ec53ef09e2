"""Peak memory of `nlpkit ner` on a 1,000,000-line file against a 50,000-line one.

python tests/bench/ner_memory.py [LINES]
"""

import os
import sys
import tempfile
from pathlib import Path

from common import record, sentences

SMALL = 50_000


def peak_mebibytes(path: Path) -> float:
    """Peak resident memory of a run over a file."""
    null = os.open(os.devnull, os.O_WRONLY)
    command = ["nlpkit", "ner", str(path), "--quiet"]
    child = os.posix_spawnp(command[0], command, os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, null, 1)])
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"nlpkit ner failed on {path}: status {status}")
    return usage.ru_maxrss / 1024


def main(lines: int = 1_000_000) -> None:
    """Runs both sizes; the texts repeat, cut to 24 characters to keep the run short."""
    texts, source = sentences(SMALL)
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "lines.txt"
        peaks = {}
        for count in (SMALL, lines):
            with path.open("w", encoding="utf-8") as stream:
                stream.writelines(f"{texts[i % SMALL][:24]}\n" for i in range(count))
            peaks[f"{count:,} lines"] = round(peak_mebibytes(path), 1)
    small, large = peaks.values()
    record("ner_memory", {"text": source, "peak_mebibytes": peaks, "difference_mebibytes": round(large - small, 1)})


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
