"""Write texts without events: lines of the corpus in which no trigger of the training data occurs.

    python recipes/event/no_events.py CORPUS WORK

CORPUS is a file of the corpus, compressed by xz. The triggers are those of WORK's `fewfc-train.jsonl`,
`duee-train.jsonl`, `silver-2.jsonl` and `fin.jsonl`. WORK's `none.jsonl` gets `COUNT` records, in which all types
count as annotated, and `none-held-out.txt` gets other such lines, on which no event should be found.

All sentences of the data sets have events. A model that is trained on them alone finds some in any text.
"""

import json
import lzma
import random
import sys
from pathlib import Path

SHORTEST, LONGEST = 30, 250  # characters
COUNT, HELD_OUT = 2000, 1000  # lines
SETS = ("fewfc-train", "duee-train", "silver-2", "fin")


def triggers(path: Path) -> set[str]:
    """Return the strings of the triggers in a file."""
    with path.open(encoding="utf-8") as stream:
        events = [event for line in stream for event in json.loads(line)["events"]]
    return {event["trigger"]["text"] for event in events if event["trigger"]}


def main(corpus: str, folder: str) -> None:
    """Write the files."""
    work = Path(folder)
    known = set().union(*(triggers(work / f"{name}.jsonl") for name in SETS))
    with lzma.open(corpus, "rt", encoding="utf-8") as stream:
        lines = [line.strip() for line in stream]
    free = [line for line in lines if SHORTEST <= len(line) <= LONGEST and not any(each in line for each in known)]
    random.Random(0).shuffle(free)
    with (work / "none.jsonl").open("w", encoding="utf-8") as output:
        for text in free[:COUNT]:
            output.write(json.dumps({"text": text, "events": []}, ensure_ascii=False) + "\n")
    held_out = free[COUNT : COUNT + HELD_OUT]
    (work / "none-held-out.txt").write_text("".join(line + "\n" for line in held_out), encoding="utf-8")
    print(f"{len(known):,} triggers; {len(free):,} of {len(lines):,} lines have none of them")


if __name__ == "__main__":
    main(*sys.argv[1:])
