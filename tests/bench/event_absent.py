"""How often `nlpkit event` finds an event in texts that most probably have none.

    python tests/bench/event_absent.py [MODEL]

The texts are lines of the corpus (its last file, which no event model is trained on) in which no trigger of FewFC and
DuEE 1.0 occurs. Some of the events may be right, as not every trigger is known.
"""

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from common import DATA, record

from nlpkit.core.io.records import read_lines

CORPUS = DATA / "corpus" / "corpus-04.txt.xz"
SETS = (("fewfc", "fewfc/train.jsonl"), ("fewfc", "fewfc/dev.jsonl"), ("duee", "duee1.0/dev.json"))
COUNT, SHORTEST, LONGEST = 1000, 10, 250  # lines; characters


def triggers(format: str, path: Path) -> set[str]:
    """The strings of the triggers of a data set."""
    words = ["nlpkit", "convert", "--from", format, str(path)]
    lines = subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
    return {event["trigger"]["text"] for line in lines for event in json.loads(line)["events"] if event["trigger"]}


def texts() -> Iterator[str]:
    """Lines of the corpus without these triggers, in random order."""
    known = set().union(*(triggers(format, DATA / "event" / path) for format, path in SETS))
    lines = [line.text.strip() for line in read_lines([str(CORPUS)])]
    random.Random(0).shuffle(lines)
    for line in lines:
        if SHORTEST <= len(line) <= LONGEST and not any(each in line for each in known):
            yield line


def main(model: str = "event") -> None:
    """Counts the texts with an event."""
    chosen = [line for line, _ in zip(texts(), range(COUNT), strict=False)]
    words = ["nlpkit", "event", "--model", model, "--quiet"]
    answers = subprocess.run(words, input="\n".join(chosen), stdout=subprocess.PIPE, text=True, check=True).stdout
    found = [answer["events"] for answer in map(json.loads, answers.splitlines())]
    record("event_absent", {"texts": len(found), "with_event": sum(map(bool, found)), "events": sum(map(len, found))})


if __name__ == "__main__":
    main(*sys.argv[1:])
