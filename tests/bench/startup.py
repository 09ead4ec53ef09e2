"""Start-up: `nlpkit --help` against `import typer`, and one line through the embedded NER model against `import torch`.

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
    "echo 文本 | nlpkit ner": (["nlpkit", "ner"], "文本\n".encode()),
}
PAIRS = (("nlpkit --help", "import typer"), ("echo 文本 | nlpkit ner", "import torch"))


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
    record("startup", {"runs": runs, "seconds": medians, "ratio": ratios})


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
