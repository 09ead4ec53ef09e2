"""The command tree. Nothing here or in the modules it imports loads torch: commands import what they need inside."""

from typing import Any

import typer

from nlpkit.cli import convert, doctor, models
from nlpkit.cli.error_handling import Edge
from nlpkit.cli.tasks import evaluate, generic
from nlpkit.cli.train import commands as train
from nlpkit.cli.train import pretrain
from nlpkit.cli.train.options import flat
from nlpkit.tasks import TASKS, imported
from nlpkit.version import __version__

app = typer.Typer(
    cls=Edge,
    name="nlpkit",
    help="Chinese NLP for shell pipelines: text in, JSON Lines out.",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
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


def _add(name: str, command: Any) -> None:
    if isinstance(command, typer.Typer):
        app.add_typer(command, name=name)
    else:
        app.command(name)(command)


for task in TASKS:
    _add(task.name, generic.command(task, "predict"))
    for name, path in task.tools:
        _add(name, imported(path))
    if not task.cli:
        train.app.command(task.name)(generic.command(task, "train"))
_add("train", train.app)
_add("evaluate", evaluate.app)
_add("pretrain", flat(pretrain.pretrain))
_add("convert", convert.convert)
_add("models", models.models)
_add("doctor", doctor.doctor)
