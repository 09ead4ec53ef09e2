"""Write the training data of the first stage: FewFC, DuEE and its annotated sentences, and three other data sets.

    python recipes/event/first_stage.py WORK

WORK has `first.jsonl` and `second.jsonl` (second_stage.py), `duee-train.jsonl`, `silver-2.jsonl`, `fin.jsonl`
(DuEE-fin), and the folder `event` of more.tar.xz. Its `mixture.jsonl` gets the records in random order.

The types of the other sets have a prefix, and count as annotated in their own records only. They are:

- DuEE-fin: sentences with the trigger of an event, and the arguments in them.
- eet_open: events of politics and society.
- iFLYTEK 2020: events without types. The two rounds of the contest differ in what subject and object are, so they are
  two types. Of the first round, whose annotation has no offsets, every second record is enough.
"""

import json
import random
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from nlpkit.core.formats.gold import occurrences

LONGEST = 250  # characters, as in FewFC
FINANCE, POLITICS, ROUND_1, ROUND_2 = "金融-", "时政-", "事件-乙", "事件-甲"
SENTENCE_END = re.compile(r"[。\n！？]")
ROLES = ("object", "subject", "time", "location")  # of the first round

Record = dict[str, Any]


def read(path: Path) -> list[Record]:
    """Return the records of a file."""
    with path.open(encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def located(start: int, part: str, **fields: str) -> Record:
    """Return a span of a record."""
    return {**fields, "start": start, "end": start + len(part), "text": part}


def span(text: str, start: int, part: str, **fields: str) -> Record | None:
    """Return a span of a record, or None if the text does not have the part there."""
    return located(start, part, **fields) if part and start >= 0 and text.startswith(part, start) else None


def event(type: str, trigger: Record, arguments: Iterable[Record | None]) -> Record:
    """Return an event of a record."""
    return {"type": type, "trigger": trigger, "arguments": [argument for argument in arguments if argument]}


def moved(part: Record, start: int) -> Record:
    """Return a span as it is in the text from a character on."""
    return {**part, "start": part["start"] - start, "end": part["end"] - start}


def finance(record: Record) -> Iterator[Record]:
    """Yield the sentences of a document that have a trigger."""
    text: str = record["text"]
    starts = [0, *(match.end() for match in SENTENCE_END.finditer(text) if match.end() < len(text))]
    for start, end in zip(starts, [*starts[1:], len(text)], strict=True):
        events = [
            event(
                FINANCE + each["type"],
                moved(each["trigger"], start),
                [moved(part, start) for part in each["arguments"] if start <= part["start"] and part["end"] <= end],
            )
            for each in record["events"]
            if each["trigger"] and start <= each["trigger"]["start"] < end
        ]
        if events and end - start <= LONGEST:
            yield {"text": text[start:end].rstrip("\n"), "events": events}


def politics(row: Record) -> Record:
    """Return a record of eet_open; arguments without a place in the text are left out."""
    text, events = row["text"], []
    for each in row["event_list"]:
        trigger = span(text, each["trigger_start_index"], each["trigger"])
        arguments = (
            span(text, part["argument_start_index"], part["argument"], role=part["role"]) for part in each["arguments"]
        )
        if trigger:
            events.append(event(POLITICS + each["event_type"], trigger, arguments))
    return {"text": text, "events": events}


def second_round(row: Record) -> Record:
    """Return a record of iFLYTEK's second round, whose offsets are wrong by one at times."""
    text, events = row["sentence"], []

    def near(part: Record, **fields: str) -> Record | None:
        places = (span(text, part["offset"] + shift, part["text"], **fields) for shift in (0, -1, 1))
        return next(filter(None, places), None)

    for each in row["events"]:
        if trigger := near(each["trigger"]):
            arguments = (near(part, role=part["role"]) for part in each["arguments"])
            events.append(event(ROUND_2, trigger, arguments))
    return {"text": text, "events": events}


def first_round(row: Record) -> Record:
    """Return a record of iFLYTEK's first round, without events if a trigger occurs several times.

    Arguments are the occurrences that are closest to the trigger.
    """
    text, events = row["text"], []
    for each in row["labels"]:
        triggers = occurrences(text, each["trigger"])
        if len(triggers) != 1:
            return {"text": text, "events": []}
        start = triggers[0]
        arguments = []
        for role in ROLES:
            places = occurrences(text, each[role]) if each[role] else []
            if places:
                closest = min(places, key=lambda place: abs(place - start))
                arguments.append(located(closest, each[role], role=role))
        events.append(event(ROUND_1, located(start, each["trigger"]), arguments))
    return {"text": text, "events": events}


def annotated(records: Iterable[Record]) -> list[Record]:
    """Return the records that have events and are short, as annotated with all types of these events only."""
    kept = [record for record in records if record["events"] and len(record["text"]) <= LONGEST]
    types = sorted({each["type"] for record in kept for each in record["events"]})
    return [record | {"types": types} for record in kept]


def main(folder: str) -> None:
    """Write the file."""
    work = Path(folder)
    first, second, duee = (read(work / f"{name}.jsonl") for name in ("first", "second", "duee-train"))
    own = sorted({*duee[0]["types"], *(each["type"] for record in first + second for each in record["events"])})
    fewfc = [record | {"types": own} for record in first * 2 + second * 3]
    fin = annotated(sentence for record in read(work / "fin.jsonl") for sentence in finance(record))
    eet = annotated(map(politics, read(work / "event/eet_open/train.jsonl")))
    final = annotated(map(second_round, read(work / "event/ifly2020/final_stack.jsonl")))
    rows = read(work / "event/ifly2020/preliminary_stack.jsonl")
    preliminary = annotated(first_round(row) for row in rows if row["id"] % 2)
    records = fewfc + duee * 3 + read(work / "silver-2.jsonl") + fin * 2 + eet + final + preliminary
    random.Random(0).shuffle(records)
    with (work / "mixture.jsonl").open("w", encoding="utf-8") as stream:
        stream.writelines(json.dumps(record, ensure_ascii=False) + "\n" for record in records)


if __name__ == "__main__":
    main(*sys.argv[1:])
