"""Add the event types of a data set to its records, as `types`, so that types of other sets are not negatives in them.

    python recipes/event/mark_types.py ALL < RECORDS > OUTPUT

ALL is the file with all records of the set, from which the types are taken.
"""

import json
import sys

from nlpkit.tasks.event.formats import read_examples


def main(path: str) -> None:
    """Write the records of stdin with `types`."""
    types = sorted({event.type for example in read_examples([path]) for event in example.events})
    for line in sys.stdin:
        print(json.dumps(json.loads(line) | {"types": types}, ensure_ascii=False))


if __name__ == "__main__":
    main(*sys.argv[1:])
