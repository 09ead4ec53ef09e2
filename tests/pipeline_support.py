"""What the tests of the pipeline share: numbered records, and an output that is written chunk by chunk."""

import os

from nlpkit.core.io.progress import silent
from nlpkit.core.io.records import Line, Record, dump_line
from nlpkit.core.pipeline.journal import Journal
from nlpkit.core.pipeline.processor import LINES, Piece

JOB = {"command": "ner", "--model": "m", "--labels": ["a", "b"]}


class InterruptedRunError(Exception):
    """Ends a run in the middle."""


def made(texts, source="in.txt"):
    """Records of lines of plain text."""
    return [
        Record(text, {"text": text}, Line(text, source, number, len(text.encode()) + 1))
        for number, text in enumerate(texts, 1)
    ]


def numbered(count):
    """Records whose texts say their numbers."""
    return made([f"第{number}行" for number in range(1, count + 1)])


def to_lines(records):
    """JSON Lines of records, and how many there are."""
    return Piece(b"".join(dump_line({**record.fields, "length": len(record.text)}) for record in records),
                 counts={"count": len(records)})  # fmt: skip


def write(
    path, records, *, process=to_lines, job=JOB, layout=LINES, size=2, stop=None, advance=silent, save_every=0.0,
    **options,
):  # fmt: skip
    """Write records in chunks of a size, saving after each; raise `InterruptedRunError` before the chunk `stop`."""
    with Journal(path, lambda: job, layout, save_every=save_every, **options) as journal:
        chunk = []
        for number, record in enumerate(journal.remaining(records, advance)):
            if number // size == stop:
                raise InterruptedRunError
            chunk.append(record)
            if len(chunk) == size:
                journal.write(chunk, process(chunk))
                chunk = []
        if chunk:
            journal.write(chunk, process(chunk))


def listed(folder):
    """Names of what is in a folder."""
    return sorted(os.listdir(folder))  # noqa: PTH208
