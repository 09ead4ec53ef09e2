"""Start-up: `nlpkit --help` against `import typer`, and one line through embedded models against `import torch`.

Peak memory of `nlpkit ner` on one line is that of both runtimes.

python tests/bench/startup.py [RUNS]
"""

import statistics
import subprocess
import sys

from common import record, timed

COMMANDS = {
    "import typer": ([sys.executable, "-c", "import typer"], b""),
    "nlpkit --help": (["nlpkit", "--help"], b""),
    "import torch": ([sys.executable, "-c", "import torch"], b""),
    **{f"echo 文本 | nlpkit {task}": (["nlpkit", task], "文本\n".encode()) for task in ("ner", "event", "embed")},
    "echo 文本 | nlpkit ner --runtime torch": (["nlpkit", "ner", "--runtime", "torch"], "文本\n".encode()),
}
PAIRS = (("nlpkit --help", "import typer"), *((name, "import torch") for name in COMMANDS if name.startswith("echo")))
MEMORY = """
import sys
from nlpkit.__main__ import main
sys.argv = ["nlpkit", "ner", "--runtime", sys.argv[1]]
try:
    main()
except SystemExit:
    peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))  # ru_maxrss is the parent's
    print(int(peak.split()[1]) // 1024, file=sys.stderr)
"""


def peak(runtime: str) -> int:
    """Peak memory of `nlpkit ner` on one line, in MiB; on Linux."""
    command = [sys.executable, "-c", MEMORY, runtime]
    return int(subprocess.run(command, input="文本\n".encode(), capture_output=True, check=True).stderr.split()[-1])


def main(runs: int = 9) -> None:
    """Runs the commands in turn, so that a drift of the machine meets all alike; medians are compared."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for attempt in range(runs + 1):
        for name, (command, text) in COMMANDS.items():
            seconds = timed(lambda: subprocess.run(command, input=text, capture_output=True, check=True))  # noqa: B023
            if attempt:  # the first round warms the disk cache
                times[name].append(seconds)
    medians = {name: round(statistics.median(values), 3) for name, values in times.items()}
    ratios = {f"{ours} : {base}": round(medians[ours] / medians[base], 2) for ours, base in PAIRS}
    memory = {runtime: peak(runtime) for runtime in ("onnx", "torch")}
    record("startup", {"runs": runs, "seconds": medians, "ratio": ratios, "ner_peak_mib": memory})


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
