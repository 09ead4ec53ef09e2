"""The command tree. A command's module is imported when the command is called, and loads torch only when it runs."""

from collections.abc import Callable
from functools import partial
from typing import Any

import typer

from nlpkit.cli.error_handling import Edge
from nlpkit.cli.lazy import LazyApp
from nlpkit.tasks import TASKS, TaskSpec, imported
from nlpkit.version import __version__

app = LazyApp(
    cls=Edge,
    name="nlpkit",
    help="Chinese NLP for shell pipelines: text in, JSON Lines out.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(is_set: bool) -> None:
    if is_set:
        typer.echo(f"nlpkit {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(False, "--version", callback=_print_version, is_eager=True, help="Print the version."),
) -> None:
    """Chinese NLP for shell pipelines: text in, JSON Lines out."""


def _task_command(task: TaskSpec, kind: str) -> Callable[..., Any]:
    from nlpkit.cli.tasks import generic

    return generic.command(task, kind)


train_app = LazyApp(no_args_is_help=True, help="Train a model.")
evaluate_app = LazyApp(no_args_is_help=True, help="Score a model on gold texts.")
_GROUPS = {"": app, "train": train_app, "evaluate": evaluate_app}


def _add(path: str, summary: str, load: Callable[[], Any]) -> None:
    """Add a command under a path such as `ner` or `train whitening`."""
    group, _, name = path.rpartition(" ")
    _GROUPS[group].add(name, summary, load)


for task in TASKS:
    for kind, path in (("predict", task.name), ("train", f"train {task.name}"), ("evaluate", f"evaluate {task.name}")):
        _add(path, task.help, partial(_task_command, task, kind))
    for tool in task.tools:
        _add(tool.path, tool.help, partial(imported, tool.command))
app.add_typer(train_app, name="train")
app.add_typer(evaluate_app, name="evaluate")
for path, command, summary in (
    ("train curve", "nlpkit.cli.train.curve:curve", "Plot the loss and the dev metric of a training run."),
    ("summarize", "nlpkit.cli.tasks.summarize:summarize", "Summarize texts by their most central sentences."),
    ("evaluate summarize", "nlpkit.cli.tasks.summarize:evaluate", "Summarize texts by their most central sentences."),
    ("train summarize", "nlpkit.cli.train.summarize:summarize", "Summarize texts by their most central sentences."),
    ("pretrain", "nlpkit.cli.train.pretrain:pretrain", "Pretrain a backbone on plain text."),
    ("calibrate", "nlpkit.cli.train.calibrate:calibrate", "Fit the threshold and the scores of a model to gold texts."),
    ("export", "nlpkit.cli.train.export:export", "Write a model with its encoder as an ONNX file."),
    ("convert", "nlpkit.cli.convert:convert", "Convert annotated texts from one format to another."),
    ("models", "nlpkit.cli.models:models", "List the embedded models, or show the card of one."),
    ("serve", "nlpkit.cli.serve:serve", "Serve the models over HTTP."),
    ("doctor", "nlpkit.cli.doctor:doctor", "Show the device, precision and versions that nlpkit uses here."),
):
    _add(path, summary, partial(imported, command))
