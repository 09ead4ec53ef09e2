"""Run a training job and print its outcome, for every `nlpkit train TASK`."""

import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import typer

from nlpkit.cli import options as opt
from nlpkit.cli.error_handling import message
from nlpkit.cli.gold import read_gold
from nlpkit.cli.train.options import TrainFlags
from nlpkit.tasks import imported, spec

if TYPE_CHECKING:  # it imports torch
    from nlpkit.core.model.task import Task


def train(
    task: "Task[Any, Any, Any]",
    train_set: list[Any],
    dev_set: list[Any] | None,
    flags: TrainFlags,
    fit: Callable[..., dict[str, Any]] | None = None,
) -> None:
    """Train as the options say and print the dev metrics, or, without a dev set, where the model is.

    Args:
        task: with its settings.
        train_set: its examples.
        dev_set: its examples.
        flags: options of the command.
        fit: trains; `core.training.job.fit` when None.
    """
    from nlpkit.cli.progress import training
    from nlpkit.cli.render.loss_chart import draw
    from nlpkit.core.io.records import write_json
    from nlpkit.core.model.manifest import LOG
    from nlpkit.core.training import job

    options = replace(flags.options, sources={"training": flags.files, "dev": flags.dev})
    with training(task.metric, flags.quiet) as report:
        metrics = (fit or job.fit)(task, train_set, dev_set, flags.output, flags.settings, options, report)
    if sys.stderr.isatty() and not flags.quiet and (flags.output / LOG).exists():
        typer.echo(draw(flags.output), err=True)
    if count := _in_both(task, train_set, dev_set or ()):
        message(
            f"check: {count} dev text(s) are also in the training set, so the dev metrics are too high; "
            "leave them out of one of the two"
        )
    write_json(None, [metrics or {"output": str(flags.output)}])


def _in_both(task: "Task[Any, Any, Any]", train_set: Iterable[Any], dev_set: Iterable[Any]) -> int:
    """Return the number of dev examples whose text, or what else the model reads, is also in the training set."""
    inputs = [task.input_of(example) for example in dev_set]
    shared = set(inputs).intersection(map(task.input_of, train_set))
    return sum(each in shared for each in inputs)


def train_on_gold(task: str, flags: TrainFlags, reading: dict[str, Any], **settings: Any) -> None:
    """Read the training set and the dev set, train, and print the outcome; exit with 3 if records were skipped.

    Args:
        task: name of the task.
        flags: options of the command.
        reading: as for `read_gold`.
        settings: of the network; see `Task.from_examples`.
    """
    errors = opt.error_policy(flags.on_error, flags.max_line)
    train_set, dev_set = (
        read_gold(task, files, flags.encoding, errors, **reading) for files in (flags.files, flags.dev)
    )
    task_type = imported(spec(task).task)
    train(task_type.from_examples(train_set, flags.files, **settings), train_set, dev_set, flags)
    opt.finish(errors)
