"""The command tree. Nothing here or in the modules it imports loads torch: commands import what they need inside."""

from typing import Any

import typer

from nlpkit.cli import convert, doctor, models
from nlpkit.cli.error_handling import Edge
from nlpkit.cli.localization.help import App
from nlpkit.cli.tasks import generic
from nlpkit.cli.train import curve, pretrain
from nlpkit.cli.train.options import flat
from nlpkit.tasks import TASKS, imported
from nlpkit.version import __version__

app = App(
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


train_app = App(no_args_is_help=True, help="Train a model.")
evaluate_app = App(no_args_is_help=True, help="Score a model on gold texts.")
_GROUPS = {"": app, "train": train_app, "evaluate": evaluate_app}


def _add(path: str, command: Any) -> None:
    """Add a command or a group of commands under a path such as `ner` or `train whitening`."""
    group, _, name = path.rpartition(" ")
    if isinstance(command, typer.Typer):
        _GROUPS[group].add_typer(command, name=name)
    else:
        _GROUPS[group].command(name)(command)


for task in TASKS:
    _add(task.name, generic.command(task, "predict"))
    _add(f"train {task.name}", generic.command(task, "train"))
    _add(f"evaluate {task.name}", generic.command(task, "evaluate"))
    for path, command in task.tools:
        _add(path, imported(command))
_add("train", train_app)
_add("train curve", curve.curve)
_add("evaluate", evaluate_app)
_add("pretrain", flat(pretrain.pretrain))
_add("convert", convert.convert)
_add("models", models.models)
_add("doctor", doctor.doctor)
