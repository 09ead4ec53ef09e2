"""Start-up: help against `import typer`, an error and a completion against a command of typer, and models.

One line through embedded models is compared with `import torch`. The peak memory of `nlpkit ner` on one line is
measured with both runtimes.

python tests/bench/startup.py [RUNS]
"""

import os
import statistics
import subprocess
import sys

from common import record, timed

BARE = """
import typer
app = typer.Typer()
app.command()(lambda: None)
@app.command()
def a(number: int = 1): raise SystemExit(0)
app()
"""
COMMANDS = {
    "a typer command with one option": ([sys.executable, "-c", BARE, "a", "--number", "2"], b""),
    "import typer": ([sys.executable, "-c", "import typer"], b""),
    "nlpkit --help": (["nlpkit", "--help"], b""),
    "nlpkit ner MISSING.txt": (["nlpkit", "ner", "MISSING.txt"], b""),
    "completion of nlpkit n": (["nlpkit"], b""),
    "import torch": ([sys.executable, "-c", "import torch"], b""),
    **{f"echo 文本 | nlpkit {task}": (["nlpkit", task], "文本\n".encode()) for task in ("ner", "event", "embed")},
    "echo 文本 | nlpkit ner --runtime torch": (["nlpkit", "ner", "--runtime", "torch"], "文本\n".encode()),
}
LIGHT = ("nlpkit ner MISSING.txt", "completion of nlpkit n")
VARIABLES = {
    "completion of nlpkit n": {"_NLPKIT_COMPLETE": "complete_bash", "COMP_WORDS": "nlpkit n", "COMP_CWORD": "1"}
}
FAILS = {"nlpkit ner MISSING.txt"}
PAIRS = (
    ("nlpkit --help", "import typer"),
    *((name, "a typer command with one option") for name in LIGHT),
    *((name, "import torch") for name in COMMANDS if name.startswith("echo")),
)
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


def start(name: str) -> None:
    """Run a command to its end."""
    command, text = COMMANDS[name]
    environment = {**os.environ, **VARIABLES.get(name, {})}
    result = subprocess.run(command, input=text, capture_output=True, env=environment, check=False)
    assert (result.returncode != 0) == (name in FAILS), result.stderr


def peak(runtime: str) -> int:
    """Peak memory of `nlpkit ner` on one line, in MiB; on Linux."""
    command = [sys.executable, "-c", MEMORY, runtime]
    return int(subprocess.run(command, input="文本\n".encode(), capture_output=True, check=True).stderr.split()[-1])


def main(runs: int = 9) -> None:
    """Runs the commands in turn, so that a drift of the machine meets all alike; medians are compared."""
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for attempt in range(runs + 1):
        for name in COMMANDS:
            seconds = timed(lambda: start(name))  # noqa: B023
            if attempt:  # the first round warms the disk cache
                times[name].append(seconds)
    medians = {name: round(statistics.median(values), 3) for name, values in times.items()}
    ratios = {f"{ours} : {base}": round(medians[ours] / medians[base], 2) for ours, base in PAIRS}
    memory = {runtime: peak(runtime) for runtime in ("onnx", "torch")}
    record("startup", {"runs": runs, "seconds": medians, "ratio": ratios, "ner_peak_mib": memory})


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
