"""`nlpkit event`."""

from typing import Annotated, Any, Literal

import typer

from nlpkit.cli import options as opt
from nlpkit.core.io.records import MAX_LINE


def event(
    ctx: typer.Context,
    files: opt.Files = None,
    model: opt.ModelName = None,
    field: opt.TextField = None,
    encoding: opt.Encoding = "utf-8",
    output: opt.Output = None,
    format: Annotated[
        Literal["json", "dot", "mermaid"],
        typer.Option("--format", "-f", help="json, or the graph of each text's events for Graphviz or Mermaid."),
    ] = "json",
    html: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", callback=opt.page_file, help="Also write a web page with the events marked in the text."
        ),
    ] = None,
    threshold: opt.Threshold = None,
    schema: opt.Schema = None,
    all_cliques: opt.AllCliques = False,
    device: opt.DeviceName = "auto",
    dtype: opt.Dtype = "auto",
    nest: opt.Nest = None,
    on_error: opt.OnErrorPolicy = "fail",
    max_line: opt.MaxLine = MAX_LINE,
    quiet: opt.Quiet = False,
) -> None:
    """Find events, with their triggers and arguments: one line of text in, one JSON line out.

    Offsets are characters of the text as it was given: text[start:end] is the trigger or argument. A text longer than
    the model is read in overlapping windows, and "windows" says how many; an event that was put together from several
    of them says of how many "parts".

    \b
        cat news.txt | nlpkit event | jq -r '.events[] | [.type, .trigger.text, .arguments[].text] | @tsv'
    """
    paths = opt.input_files(ctx, files)

    from nlpkit.cli.predict import Streams, annotate
    from nlpkit.cli.render.event_graph import GRAPHS, event_marks, event_tables
    from nlpkit.tasks.event.data import Event, to_record
    from nlpkit.tasks.event.task import load

    streams = Streams(paths, field, encoding, output, html, on_error, quiet, max_line, nest)
    loaded = load(model, device, dtype, threshold=threshold, schema=schema, all_cliques=all_cliques)

    def to_fields(text: str, answer: list[Event]) -> dict[str, Any]:
        return to_record(text, answer, fields={}, scores=True)

    annotate(loaded, streams, ("events",), to_fields, event_marks, event_tables, GRAPHS.get(format))
