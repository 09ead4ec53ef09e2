"""`nlpkit event`."""

from typing import Annotated, Any, Literal

import typer

from nlpkit.cli import options as opt
from nlpkit.cli.gold import evaluate_on_gold
from nlpkit.cli.train.job import train_on_gold
from nlpkit.cli.train.options import TrainFlags, flat
from nlpkit.tasks.event.formats import FORMATS

Format = Annotated[str, opt.format_option(FORMATS)]


@flat
def predict(
    ctx: typer.Context,
    *,
    format: Annotated[
        Literal["json", "dot", "mermaid"],
        typer.Option("--format", "-f", help="json, or the graph of each text's events for Graphviz or Mermaid."),
    ] = "json",
    schema: opt.Schema = None,
    all_cliques: opt.AllCliques = False,
    flags: opt.PredictFlags,
) -> None:
    """Find events, with their triggers and arguments: one line of text in, one JSON line out.

    Offsets are characters of the text as it was given: text[start:end] is the trigger or argument. A text longer than
    the model is read in overlapping windows, and "windows" says how many; an event that was put together from several
    of them says of how many "parts".

    \b
        cat news.txt | nlpkit event | jq -r '.events[] | [.type, .trigger.text, .arguments[].text] | @tsv'
    """
    from nlpkit.cli.predict import annotating
    from nlpkit.cli.predict import predict as run
    from nlpkit.cli.render.event_graph import GRAPHS, event_marks, event_tables
    from nlpkit.core.pipeline.processor import Processor
    from nlpkit.tasks.event.task import load

    settings: dict[str, Any] = {"threshold": flags.threshold, "schema": schema, "all_cliques": all_cliques}
    dump = GRAPHS.get(format)

    def make(device: str) -> Processor:
        loaded = load(flags.model, device, flags.dtype, runtime=flags.runtime, **settings)
        return annotating(loaded, flags, event_marks, event_tables, dump=dump)

    run(ctx, flags, make, on_terminal=dump is None)


@flat
def train(flags: TrainFlags, format: Format = "nlpkit", field: opt.GoldField = None) -> None:
    """Train an event model on annotated texts; print the dev metrics as one JSON object.

    The data has the format of `nlpkit event`'s output, so a corrected output trains the next model. If every event of
    the training set has a trigger, the model returns no events without one.

    \b
        nlpkit train event train.jsonl --dev dev.jsonl --output my-model && nlpkit event --model my-model news.txt
    """
    train_on_gold("event", flags, {"format": format, "field": field})


@flat
def evaluate(
    *,
    format: Format = "nlpkit",
    schema: opt.Schema = None,
    all_cliques: opt.AllCliques = False,
    breakdown: Annotated[
        bool,
        typer.Option("--errors", help="Also count the kinds of errors: missed triggers, wrong roles, broken links."),
    ] = False,
    flags: opt.EvaluateFlags,
) -> None:
    """Report precision, recall and F1 of triggers, arguments, whole events and characters as one JSON object.

    Triggers and arguments are scored as spans (identification) and with type and role (classification); "event" is
    strict: type, trigger and all arguments right; "argument_characters" is DuEE's. "f1" is that of
    "argument_classification". "misaligned" counts gold spans that do not begin and end at token boundaries.

    "ece" is the expected calibration error of the scores of triggers and arguments: the mean difference of score and
    precision, over ten bins of equal width; "event_ece" is that of whole events.

    \b
        nlpkit evaluate event dev.jsonl --model my-model --errors | jq '{f1, event, errors}'
    """
    from nlpkit.tasks.event.metric import errors as count_errors
    from nlpkit.tasks.event.task import load

    errors = opt.error_policy(flags.on_error, flags.max_line)
    more = (lambda pairs: {"errors": count_errors(pairs)}) if breakdown else None
    evaluate_on_gold("event", load, flags, errors, {"format": format}, more, schema=schema, all_cliques=all_cliques)
