"""Annotate sentences whose event types are known with the triggers and arguments that a model finds.

    python recipes/event/silver.py MODEL TYPES GOLD OUTPUT

TYPES is DuEE's `train_event_types.txt`: JSON Lines with `text1` and its event types, `label`. Events of these types are
found with a low threshold, and those of other types are left out, as they are wrong. A type that is there and was not
found counts as not annotated. Of frequent types `CAP` sentences are enough. Sentences of GOLD are left out.
"""

import json
import random
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

from nlpkit.tasks.event.data import to_record
from nlpkit.tasks.event.formats import read_examples
from nlpkit.tasks.event.task import load

THRESHOLD = 0.1
CAP = 150  # sentences of a type; more come along with rarer types
LONGEST = 250  # characters, as in FewFC
CHUNK = 256  # sentences


def sample(rows: Iterable[tuple[str, list[str]]], cap: int) -> Iterator[tuple[str, list[str]]]:
    """Yield the rows (text, types) that have a type of which there were fewer than `cap`."""
    counts: Counter[str] = Counter()
    for text, types in rows:
        if any(counts[type] < cap for type in types):
            counts.update(types)
            yield text, types


def main(model: str, types: str, gold: str, output: str) -> None:
    """Write the records of the sentences in which an event is found."""
    examples = list(read_examples([gold]))
    known = {example.text for example in examples}
    all_types = {event.type for example in examples for event in example.events}
    with Path(types).open(encoding="utf-8") as stream:
        read = [(row["text1"], row["label"]) for row in map(json.loads, stream)]
    rows = [row for row in read if row[0] not in known and len(row[0]) <= LONGEST]
    random.Random(0).shuffle(rows)
    chosen = list(sample(rows, CAP))
    predictor = load(model, "cpu", "fp32", runtime="torch").changed(threshold=THRESHOLD)
    kept = 0
    with Path(output).open("w", encoding="utf-8") as stream:
        for start in range(0, len(chosen), CHUNK):
            part = chosen[start : start + CHUNK]
            for (text, labels), answer in zip(part, predictor.predict([text for text, _ in part]), strict=True):
                events = [event for event in answer if event.type in labels]
                if events:
                    missed = set(labels) - {event.type for event in events}
                    record = to_record(text, events) | {"types": sorted(all_types - missed)}
                    stream.write(json.dumps(record, ensure_ascii=False) + "\n")
                    kept += 1
    print(f"{len(read):,} sentences: {len(chosen):,} chosen, {kept:,} with an event")


if __name__ == "__main__":
    main(*sys.argv[1:])
