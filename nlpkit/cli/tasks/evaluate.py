"""`nlpkit evaluate TASK`."""

import typer

from nlpkit.cli.tasks import generic
from nlpkit.tasks import TASKS

app = typer.Typer(no_args_is_help=True, help="Score a model on gold texts.", rich_markup_mode=None)

for task in TASKS:
    app.command(task.name)(generic.command(task, "evaluate"))
