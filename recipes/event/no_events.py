"""Write texts that most probably have no events: lines of the corpus.

    python recipes/event/no_events.py CORPUS WORK

CORPUS is a file of the corpus. Its lines are of two kinds, `COUNT` of each:

- no trigger of the training data occurs: WORK's `fewfc-train.jsonl`, `duee-train.jsonl`, `silver-2.jsonl`, `fin.jsonl`;
- a trigger of several characters occurs, but neither digits, nor titles, nor a name that `nlpkit ner --model
  ner-general` finds, as 离开 does in 他会帮我离开这里. In the training data, nine of ten sentences have names.

WORK's `none.jsonl` gets records in which all types count as annotated. All sentences of the data sets have events: a
model that is trained on them alone finds events in any text.
"""

import json
import random
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from nlpkit.core.io.records import read_lines
from nlpkit.tasks.event.formats import read_examples
from nlpkit.tasks.ner.task import load

SETS = ("fewfc-train", "duee-train", "silver-2", "fin")
SHORTEST, LONGEST = 10, 250  # characters
COUNT = 2000  # lines of each kind
DIGIT_OR_TITLE = re.compile(r"[0-9０-９《“]")


def triggers(paths: Sequence[Path]) -> set[str]:
    """Return the strings of the triggers in files."""
    examples = read_examples([str(path) for path in paths])
    spans = ((example.text, event.trigger) for example in examples for event in example.events)
    return {text[span.start : span.end] for text, span in spans if span}


def pattern(strings: Iterable[str]) -> re.Pattern[str]:
    """Return a pattern that matches where one of the strings occurs."""
    return re.compile("|".join(map(re.escape, sorted(strings))))


def without_names(lines: Iterable[str]) -> Iterator[str]:
    """Yield the lines without digits, titles and names."""
    plain = [line for line in lines if not DIGIT_OR_TITLE.search(line)]
    answers = load("ner-general").stream(plain)
    return (line for line, entities in zip(plain, answers, strict=True) if not entities)


def main(corpus: str, folder: str) -> None:
    """Write the file."""
    work = Path(folder)
    known = triggers([work / f"{name}.jsonl" for name in SETS])
    any_trigger, long_trigger = pattern(known), pattern(each for each in known if len(each) > 1)
    lines = [line for line in (each.text.strip() for each in read_lines([corpus])) if SHORTEST <= len(line) <= LONGEST]
    random.Random(0).shuffle(lines)
    free = islice((line for line in lines if not any_trigger.search(line)), COUNT)
    unnamed = islice(without_names(line for line in lines if long_trigger.search(line)), COUNT)
    with (work / "none.jsonl").open("w", encoding="utf-8") as output:
        for text in (*free, *unnamed):
            output.write(json.dumps({"text": text, "events": []}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
