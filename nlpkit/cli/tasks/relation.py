"""`nlpkit relation`."""

from typing import Annotated, Any

import typer

from nlpkit.cli import options as opt
from nlpkit.core.io.records import MAX_LINE


def relation(
    ctx: typer.Context,
    files: opt.Files = None,
    model: opt.ModelName = None,
    field: opt.TextField = None,
    encoding: opt.Encoding = "utf-8",
    output: opt.Output = None,
    html: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", callback=opt.page_file, help="Also write a web page with the relations marked in the text."
        ),
    ] = None,
    threshold: opt.Threshold = None,
    schema: opt.Schema = None,
    device: opt.DeviceName = "auto",
    dtype: opt.Dtype = "auto",
    nest: opt.Nest = None,
    on_error: opt.OnErrorPolicy = "fail",
    max_line: opt.MaxLine = MAX_LINE,
    quiet: opt.Quiet = False,
) -> None:
    """Find relations between entities: one line of text in, one JSON line out.

    Offsets count characters of the text as given: text[start:end] is the subject or object. A text longer than the
    model's maximum length is processed in overlapping windows ("windows": n); a relation is inside one of them.

    \b
        cat news.txt | nlpkit relation | jq -r '.relations[] | [.subject.text, .predicate, .object.text] | @tsv'
    """
    paths = opt.input_files(ctx, files)

    from nlpkit.cli.predict import Streams, annotate
    from nlpkit.cli.render.event_graph import relation_marks, relation_tables
    from nlpkit.tasks.relation.data import Relation, to_record
    from nlpkit.tasks.relation.task import load

    streams = Streams(paths, field, encoding, output, html, on_error, quiet, max_line, nest)
    loaded = load(model, device, dtype, threshold=threshold, schema=schema)

    def to_fields(text: str, answer: list[Relation]) -> dict[str, Any]:
        return to_record(text, answer, fields={}, scores=True)

    annotate(loaded, streams, ("relations",), to_fields, relation_marks, relation_tables)
