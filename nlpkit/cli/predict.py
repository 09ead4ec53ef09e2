"""Texts through a model to JSON Lines, a terminal or a web page: what every prediction command does."""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import Any

from nlpkit.cli.options import PredictFlags
from nlpkit.cli.progress import reading
from nlpkit.cli.render.text import Mark, Page, Table, show
from nlpkit.core.io.records import ErrorPolicy, combined, dump_line, open_output, read_records, without_clashes
from nlpkit.core.io.stream import in_chunks
from nlpkit.core.model.predictor import Annotator
from nlpkit.errors import UsageError


def annotate(
    model: Annotator,
    flags: PredictFlags,
    paths: list[str],
    errors: ErrorPolicy,
    to_marks: Callable[[dict[str, Any]], list[Mark]],
    to_tables: Callable[[dict[str, Any]], list[Table]] = lambda found: [],
    *,
    adds: Sequence[str] | None = None,
    to_fields: Callable[[str, Any], dict[str, Any]] | None = None,
    usual_field: str = "text",
    dump: Callable[[dict[str, Any]], bytes] | None = None,
    second_field: str | None = None,
) -> None:
    """Read files, predict chunk by chunk, and write in input order.

    Each chunk of records is flushed when it is done, so a live pipe moves. On a terminal the text is shown with its
    marks in colour instead of JSON.

    Args:
        model: predicts.
        flags: options of the command.
        paths: the files to read.
        errors: counts bad records.
        to_marks: the added fields -> the spans to mark in the text.
        to_tables: the added fields -> what to show under the text.
        adds: the fields that the output adds to those of the input; the task's by default.
        to_fields: (text, answer) -> these fields; the task's by default.
        usual_field: name of the field with the text, where the command names none.
        dump: writes the added fields in another way than as JSON, also on a terminal.
        second_field: field of the second text, where the model reads pairs (text, second text).

    Raises:
        DataError: a field of the input has the name of an added one; see `core.io.records.without_clashes`.
        UsageError: the page and the output are one file.
    """
    if flags.html and flags.output and os.path.realpath(flags.html) == os.path.realpath(flags.output):
        raise UsageError("--html and --output name the same file; give each its own")
    added: Callable[[str, Any], dict[str, Any]] = to_fields or model.to_fields

    def write(fields: dict[str, Any], found: dict[str, Any]) -> bytes:
        return dump(found) if dump else dump_line(combined(fields, found, flags.nest))

    on_terminal = flags.output is None and sys.stdout.isatty() and dump is None
    with ExitStack() as stack:
        advance = stack.enter_context(reading(paths, flags.quiet or on_terminal))
        page = stack.enter_context(Page.open(flags.html)) if flags.html else None
        stream = stack.enter_context(open_output(flags.output))
        records = read_records(paths, flags.field, flags.encoding, errors, usual_field, second_field)
        if dump is None and not on_terminal:
            records = without_clashes(records, (*(adds or model.output_fields), "windows"), flags.nest, errors)
        for chunk in in_chunks(records, lambda record: len(record.text)):
            texts: list[Any] = [r.text if r.second is None else (r.text, r.second) for r in chunk]
            for record, prediction in zip(chunk, model.predictions(texts), strict=True):
                found = added(record.text, prediction.answer)
                if on_terminal:
                    show(record.text, to_marks(found), to_tables(found))
                else:
                    windows = {"windows": prediction.windows} if prediction.windows > 1 else {}
                    stream.write(write(record.fields, found | windows))
                if page:
                    page.add(record.text, to_marks(found), to_tables(found))
            stream.flush()
            advance(len(chunk), sum(record.line.size for record in chunk))
