"""Write texts that most probably have no events: lines of the corpus.

    python recipes/event/no_events.py CORPUS WORK

CORPUS is a file of the corpus, compressed by xz. Its lines are of two kinds, `COUNT` of each:

- no trigger of the training data occurs: WORK's `fewfc-train.jsonl`, `duee-train.jsonl`, `silver-2.jsonl`, `fin.jsonl`;
- a trigger of several characters occurs, but neither digits, nor titles, nor a name that `nlpkit ner --model
  ner-general` finds, as 离开 does in 他会帮我离开这里. In the training data, nine of ten sentences have names.

WORK's `none.jsonl` gets records in which all types count as annotated. All sentences of the data sets have events: a
model that is trained on them alone finds events in any text.
"""

import json
import lzma
import random
import re
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from nlpkit.tasks.ner.task import load

SETS = ("fewfc-train", "duee-train", "silver-2", "fin")
SHORTEST, LONGEST = 10, 250  # characters
COUNT = 2000  # lines of each kind
CHUNK = 256  # lines
CONCRETE = re.compile(r"[0-9０-９《“]")


def triggers(path: Path) -> set[str]:
    """Return the strings of the triggers in a file."""
    with path.open(encoding="utf-8") as stream:
        events = [event for line in stream for event in json.loads(line)["events"]]
    return {event["trigger"]["text"] for event in events if event["trigger"]}


def pattern(strings: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern that is found where one of the strings is."""
    return re.compile("|".join(map(re.escape, sorted(strings))))


def without_names(lines: list[str]) -> Iterator[str]:
    """Yield the lines without digits, titles and names."""
    predictor = load("ner-general")
    plain = (line for line in lines if not CONCRETE.search(line))
    while chunk := list(islice(plain, CHUNK)):
        for line, entities in zip(chunk, predictor.predict(chunk), strict=True):
            if not entities:
                yield line


def main(corpus: str, folder: str) -> None:
    """Write the file."""
    work = Path(folder)
    known = set().union(*(triggers(work / f"{name}.jsonl") for name in SETS))
    any_trigger, long_trigger = pattern(known), pattern(each for each in known if len(each) > 1)
    with lzma.open(corpus, "rt", encoding="utf-8") as stream:
        lines = [line.strip() for line in stream]
    lines = [line for line in lines if SHORTEST <= len(line) <= LONGEST]
    random.Random(0).shuffle(lines)
    free = islice((line for line in lines if not any_trigger.search(line)), COUNT)
    unnamed = islice(without_names([line for line in lines if long_trigger.search(line)]), COUNT)
    with (work / "none.jsonl").open("w", encoding="utf-8") as output:
        for text in (*free, *unnamed):
            output.write(json.dumps({"text": text, "events": []}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
