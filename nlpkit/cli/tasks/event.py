"""`nlpkit event`."""

from typing import Annotated, Any, Literal

import typer

from nlpkit.cli import options as opt
from nlpkit.cli.gold import read_gold, report
from nlpkit.cli.train.job import train_on_gold
from nlpkit.cli.train.options import TrainFlags, flat
from nlpkit.core.io.records import MAX_LINE
from nlpkit.tasks.event.formats import FORMATS

Format = Annotated[str, opt.format_option(FORMATS)]


def predict(
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
    html: Annotated[str | None, opt.html_option("events")] = None,
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
    from nlpkit.tasks.event.task import load

    streams = Streams(paths, field, encoding, output, html, on_error, quiet, max_line, nest)
    loaded = load(model, device, dtype, threshold=threshold, schema=schema, all_cliques=all_cliques)

    annotate(
        loaded, streams, loaded.task.output_fields, loaded.task.to_fields, event_marks, event_tables, GRAPHS.get(format)
    )


@flat
def train(flags: TrainFlags, format: Format = "nlpkit", field: opt.GoldField = None) -> None:
    """Train an event model on annotated texts; print the dev metrics as one JSON object.

    The data has the format of `nlpkit event`'s output, so a corrected output trains the next model. If every event of
    the training set has a trigger, the model returns no events without one.

    \b
        nlpkit train event train.jsonl --dev dev.jsonl --output my-model && nlpkit event --model my-model news.txt
    """
    train_on_gold("event", flags, {"format": format, "field": field})


def evaluate(
    files: opt.Gold,
    model: opt.ModelName = None,
    format: Format = "nlpkit",
    field: opt.GoldField = None,
    encoding: opt.Encoding = "utf-8",
    threshold: opt.Threshold = None,
    schema: opt.Schema = None,
    all_cliques: opt.AllCliques = False,
    breakdown: Annotated[
        bool,
        typer.Option("--errors", help="Also count the kinds of errors: missed triggers, wrong roles, broken links."),
    ] = False,
    device: opt.DeviceName = "auto",
    dtype: opt.Dtype = "auto",
    on_error: opt.OnErrorPolicy = "fail",
    max_line: opt.MaxLine = MAX_LINE,
) -> None:
    """Report precision, recall and F1 of triggers, arguments, whole events and characters as one JSON object.

    Triggers and arguments are scored as spans (identification) and with type and role (classification); "event" is
    strict: type, trigger and all arguments right; "argument_characters" is DuEE's. "f1" is that of
    "argument_classification". "misaligned" counts gold spans that do not begin and end at token boundaries.

    \b
        nlpkit evaluate event dev.jsonl --model my-model --errors | jq '{f1, event, errors}'
    """
    from nlpkit.tasks.event.metric import errors as count_errors
    from nlpkit.tasks.event.task import load

    errors = opt.error_policy(on_error, max_line)
    examples = read_gold("event", files, encoding, errors, format=format, field=field)
    more = (lambda pairs: {"errors": count_errors(pairs)}) if breakdown else None
    settings: dict[str, Any] = {"threshold": threshold, "schema": schema, "all_cliques": all_cliques}
    report(lambda: load(model, device, dtype, **settings), examples, files, errors, more)
