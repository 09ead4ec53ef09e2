"""`nlpkit train TASK`: a command per task, each with its own options and `TrainFlags`."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nlpkit.cli import options as opt
from nlpkit.cli.flags import TrainFlags, flat

if TYPE_CHECKING:  # it imports torch
    from nlpkit.core.task import Task

app = typer.Typer(no_args_is_help=True, help="Train a model.", rich_markup_mode=None)


@app.command("ner")
@flat
def ner(
    flags: TrainFlags,
    format: opt.NerFormat = "nlpkit",
    field: opt.GoldField = None,
    head: Annotated[Literal["efficient", "global"], typer.Option(help="Kind of pointer.")] = "efficient",
    nested: Annotated[bool, typer.Option("--nested/--flat", help="Whether entities may overlap.")] = False,
) -> None:
    """Train an NER model on gold texts; prints the dev metrics as one JSON object.

    The data is what `nlpkit ner` gives, so a corrected output trains the next model.

    \b
        nlpkit train ner train.jsonl --dev dev.jsonl --output my-model && nlpkit ner --model my-model news.txt
    """
    from nlpkit.tasks.ner.data import labels_of
    from nlpkit.tasks.ner.formats import read_examples
    from nlpkit.tasks.ner.task import NerTask

    errors = opt.error_policy(flags.on_error)
    train_set = list(read_examples(flags.files, format, flags.encoding, errors, field))
    dev_set = list(read_examples(flags.dev, format, flags.encoding, errors, field))
    task = NerTask(labels_of(train_set, flags.files), head, nested=nested)
    _train(task, train_set, dev_set, flags)
    opt.finish(errors)


@app.command("curve")
def curve(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that a run has written or is writing.")],
) -> None:
    """Draw the loss and the dev metric of a run in the terminal.

    \b
        nlpkit train curve my-model
    """
    from nlpkit.cli.curve import draw

    typer.echo(draw(folder))


def _train(task: "Task[Any, Any]", train: list[Any], dev: list[Any], flags: TrainFlags) -> None:
    """Runs `core.fit` as the flags say and shows the outcome."""
    import sys

    from nlpkit.cli.curve import draw
    from nlpkit.cli.progress import training
    from nlpkit.core.fit import fit
    from nlpkit.core.io import write_json

    with training(task.metric, flags.quiet) as report:
        metrics = fit(task, train, dev, flags.output, flags.settings(), flags.options(), report)
    if sys.stderr.isatty() and not flags.quiet:
        typer.echo(draw(flags.output), err=True)
    write_json(None, [metrics])
