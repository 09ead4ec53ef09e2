"""Write the training data of the second stage, in which the second part of FewFC has a greater weight.

    python recipes/event/second_stage.py WORK

The second part has events of five types (RARE) that have at most 200 sentences each; its guidelines differ from those
of the first one, where an acquisition (收购) is an investment. The parts of WORK's `fewfc-train.jsonl` become
`first.jsonl` and `second.jsonl`; `other.jsonl` are the records of `duee-train.jsonl` and a sample of those of
`silver-2.jsonl`; and `selection.jsonl` has 300 sentences of `fewfc-dev.jsonl`, of both parts, and those of
`duee-dev.jsonl`.

In a sentence of DuEE that has no event of FINANCE, events of FewFC's types are wrong, as it is
about something else, such as a wedding or a match.
"""

import json
import random
import sys
from pathlib import Path
from typing import Any

RARE = {"收购", "判决", "签署合同", "担保", "中标"}
FINANCE = ("财经/交易", "司法行为")  # classes of DuEE's types that overlap with FewFC's
SILVER, SELECTION = 1500, 300  # sentences


def with_types(record: dict[str, Any], others: set[str]) -> dict[str, Any]:
    """Return a record of DuEE as annotated with the other types, too, unless it may have events of them."""
    if any(event["type"].startswith(FINANCE) for event in record["events"]):
        return record
    return record | {"types": sorted({*record["types"], *others})}


def main(folder: str) -> None:
    """Write the files."""
    work = Path(folder)
    random.seed(0)

    def lines(name: str) -> list[str]:
        with (work / f"{name}.jsonl").open(encoding="utf-8") as stream:
            return stream.readlines()

    def write(name: str, records: list[str]) -> None:
        (work / f"{name}.jsonl").write_text("".join(records), encoding="utf-8")

    first, second = [], []
    types: set[str] = set()
    for line in lines("fewfc-train"):
        found = {event["type"] for event in json.loads(line)["events"]}
        types |= found
        (second if found & RARE else first).append(line)
    silver, dev = lines("silver-2"), lines("fewfc-dev")
    random.shuffle(silver)
    random.shuffle(dev)
    write("first", first)
    write("second", second)
    other = [with_types(json.loads(line), types) for line in lines("duee-train") + silver[:SILVER]]
    write("other", [json.dumps(record, ensure_ascii=False) + "\n" for record in other])
    write("selection", dev[:SELECTION] + lines("duee-dev"))


if __name__ == "__main__":
    main(*sys.argv[1:])
