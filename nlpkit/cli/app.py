"""The command tree. Nothing here or in the modules it imports loads torch: commands import what they need inside."""

import typer

from nlpkit import __version__
from nlpkit.cli import convert, dictionary, doctor, evaluate, models
from nlpkit.cli.error_handling import Edge
from nlpkit.cli.tasks import drift, embed, event, graph, kgqa, ner, relation, search
from nlpkit.cli.train import commands as train
from nlpkit.cli.train import pretrain

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


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"nlpkit {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Chinese NLP for shell pipelines: text in, JSON Lines out."""


app.command("ner")(ner.ner)
app.add_typer(dictionary.app, name="dict")
app.command("relation")(relation.relation)
app.command("event")(event.event)
app.command("embed")(embed.embed)
app.command("similar")(embed.similar)
app.add_typer(search.app, name="search")
app.command("drift")(drift.drift)
app.add_typer(train.app, name="train")
app.add_typer(evaluate.app, name="evaluate")
app.command("kgqa")(kgqa.kgqa)
app.add_typer(graph.app, name="graph")
app.command("pretrain")(pretrain.pretrain)
app.command("convert")(convert.convert)
app.command("models")(models.models)
app.command("doctor")(doctor.doctor)
