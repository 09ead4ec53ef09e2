"""Texts through a model to JSON Lines, a terminal or a web page: what every prediction command does."""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal

from nlpkit.cli.options import error_policy, finish
from nlpkit.cli.progress import reading
from nlpkit.cli.render.text import Mark, Page, Table, show
from nlpkit.core.io.records import ErrorPolicy, combined, dump_line, open_output, read_records, unclashing
from nlpkit.core.io.stream import in_chunks
from nlpkit.core.model.predictor import Predictor
from nlpkit.errors import UsageError


@dataclass(frozen=True, slots=True)
class Streams:
    """Where a prediction command reads and writes, as its options say.

    Attributes:
        errors: counts bad records together with those that were skipped before; made from `on_error` when None.
    """

    paths: list[str]
    field: str | None
    encoding: str
    output: str | None
    html: str | None
    on_error: Literal["fail", "skip"]
    quiet: bool
    max_line: int
    nest: str | None
    usual_field: str = "text"
    errors: ErrorPolicy | None = None


def annotate(
    model: Predictor[Any, Any],
    streams: Streams,
    adds: Sequence[str],
    to_fields: Callable[[str, Any], dict[str, Any]],
    to_marks: Callable[[dict[str, Any]], list[Mark]],
    to_tables: Callable[[dict[str, Any]], list[Table]] = lambda found: [],
    dump: Callable[[dict[str, Any]], bytes] | None = None,
) -> None:
    """Reads the files, predicts chunk by chunk, and writes in input order.

    Each chunk of records is flushed when it is done, so a live pipe moves. On a terminal the text is shown with its
    marks in colour instead of JSON.

    Args:
        model: predicts.
        streams: see there.
        adds: the fields that `to_fields` may add.
        to_fields: (text, answer) -> what the output adds to the fields of the input.
        to_marks: the added fields -> the spans to mark in the text.
        to_tables: the added fields -> what to show under the text.
        dump: writes the added fields in another way than as JSON, also on a terminal.

    Raises:
        DataError: a field of the input has the name of an added one; see `core.io.records.unclashing`.
        UsageError: the page and the output are one file.
    """
    on_error = streams.errors or error_policy(streams.on_error, streams.max_line)
    if streams.html and streams.output and os.path.realpath(streams.html) == os.path.realpath(streams.output):
        raise UsageError("--html and --output name the same file; give each its own")

    def write(fields: dict[str, Any], found: dict[str, Any]) -> bytes:
        return dump(found) if dump else dump_line(combined(fields, found, streams.nest))

    on_terminal = streams.output is None and sys.stdout.isatty() and dump is None
    with ExitStack() as stack:
        advance = stack.enter_context(reading(streams.paths, streams.quiet or on_terminal))
        page = stack.enter_context(Page.open(streams.html)) if streams.html else None
        stream = stack.enter_context(open_output(streams.output))
        records = read_records(streams.paths, streams.field, streams.encoding, on_error, streams.usual_field)
        if dump is None and not on_terminal:
            records = unclashing(records, (*adds, "windows"), streams.nest, on_error)
        for chunk in in_chunks(records, lambda record: len(record.text)):
            for record, prediction in zip(chunk, model.predictions([record.text for record in chunk]), strict=True):
                found = to_fields(record.text, prediction.answer)
                if on_terminal:
                    show(record.text, to_marks(found), to_tables(found))
                else:
                    windows = {"windows": prediction.windows} if prediction.windows > 1 else {}
                    stream.write(write(record.fields, found | windows))
                if page:
                    page.add(record.text, to_marks(found), to_tables(found))
            stream.flush()
            advance(len(chunk), sum(record.line.size for record in chunk))
    finish(on_error)
