"""Texts through a model to JSON Lines, a terminal or a web page: what every prediction command does."""

import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any, Literal

from nlpkit.cli.options import error_policy, finish
from nlpkit.cli.progress import reading
from nlpkit.cli.render import Mark, Page, Table, show
from nlpkit.core.io import dump_line, open_output, read_records
from nlpkit.core.model import Model
from nlpkit.core.stream import in_windows


@dataclass(frozen=True, slots=True)
class Streams:
    """Where a prediction command reads and writes, as its options say."""

    paths: list[str]
    field: str | None
    encoding: str
    output: str | None
    html: str | None
    on_error: Literal["fail", "skip"]
    quiet: bool
    usual_field: str = "text"


def annotate(
    model: Model[Any],
    streams: Streams,
    to_fields: Callable[[str, Any], dict[str, Any]],
    to_marks: Callable[[dict[str, Any]], list[Mark]],
    to_tables: Callable[[dict[str, Any]], list[Table]] = lambda found: [],
    dump: Callable[[dict[str, Any]], bytes] | None = None,
) -> None:
    """Reads the files, predicts window by window, and writes in input order.

    Each window of records is flushed when it is done, so a live pipe moves. On a terminal the text is shown with its
    marks in colour instead of JSON.

    Args:
        model: predicts.
        streams: see there.
        to_fields: (text, answer) -> what the output adds to the fields of the input.
        to_marks: the added fields -> the spans to mark in the text.
        to_tables: the added fields -> what to show under the text.
        dump: writes a record in another way than as JSON, also on a terminal.
    """
    on_error = error_policy(streams.on_error)
    on_terminal = streams.output is None and sys.stdout.isatty() and dump is None
    with ExitStack() as stack:
        advance = stack.enter_context(reading(streams.paths, streams.quiet or on_terminal))
        page = stack.enter_context(Page.open(streams.html)) if streams.html else None
        stream = stack.enter_context(open_output(streams.output))
        records = read_records(streams.paths, streams.field, streams.encoding, on_error, streams.usual_field)
        for window in in_windows(records, lambda record: len(record.text)):
            for record, prediction in zip(window, model.predict([record.text for record in window]), strict=True):
                found = to_fields(record.text, prediction.answer)
                if on_terminal:
                    show(record.text, to_marks(found), to_tables(found))
                else:
                    result = {**record.fields, **found, "windows": prediction.windows}
                    if prediction.windows == 1:
                        del result["windows"]
                    stream.write((dump or dump_line)(result))
                if page:
                    page.add(record.text, to_marks(found), to_tables(found))
            stream.flush()
            advance(len(window), sum(record.line.size for record in window))
    finish(on_error)
