"""`nlpkit train curve`."""

from pathlib import Path
from typing import Annotated

import typer


def curve(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a training run, finished or not.")],
) -> None:
    """Plot the loss and the dev metric of a training run in the terminal.

    \b
        nlpkit train curve my-model
    """
    from nlpkit.cli.render.loss_chart import draw

    typer.echo(draw(folder))
