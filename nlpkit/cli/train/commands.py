"""`nlpkit train TASK`: a command per task, each with its own options and `TrainFlags`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from nlpkit.cli import options as opt
from nlpkit.cli.tasks.event import Format as EventFormat
from nlpkit.cli.tasks.kgqa import KgqaFlags, KgqaFormat, QuestionField
from nlpkit.cli.tasks.ner import Format as NerFormat
from nlpkit.cli.tasks.relation import Format as RelationFormat
from nlpkit.cli.train.embed import embed
from nlpkit.cli.train.job import train
from nlpkit.cli.train.options import TrainFlags, flat
from nlpkit.cli.train.static import static
from nlpkit.cli.train.whitening import projection, whitening
from nlpkit.errors import UsageError

app = typer.Typer(no_args_is_help=True, help="Train a model.", rich_markup_mode=None)


@app.command("ner")
@flat
def ner(
    flags: TrainFlags,
    format: NerFormat = "nlpkit",
    field: opt.GoldField = None,
    annotator: opt.Annotator = None,
    offsets: opt.Offsets = None,
    head: Annotated[
        Literal["efficient", "global"],
        typer.Option(help="Head: efficient (Efficient GlobalPointer) or global (GlobalPointer)."),
    ] = "efficient",
    nested: Annotated[bool, typer.Option("--nested/--flat", help="Whether entities may overlap.")] = False,
) -> None:
    """Train an NER model on annotated texts; print the dev metrics as one JSON object.

    The data has the format of `nlpkit ner`'s output, so a corrected output trains the next model.

    \b
        nlpkit train ner train.jsonl --dev dev.jsonl --output my-model && nlpkit ner --model my-model news.txt
    """
    from nlpkit.tasks.ner.data import labels_of
    from nlpkit.tasks.ner.formats import read_examples
    from nlpkit.tasks.ner.task import NerSettings, NerTask

    errors = opt.error_policy(flags.on_error, flags.max_line)
    options = {"annotator": annotator, "offsets": offsets}
    with opt.reported() as tally:
        train_set = list(read_examples(flags.files, format, flags.encoding, errors, field, **options, tally=tally))
        dev_set = list(read_examples(flags.dev, format, flags.encoding, errors, field, **options, tally=tally))
    task = NerTask(NerSettings(labels_of(train_set, flags.files), head, nested=nested))
    train(task, train_set, dev_set, flags)
    opt.finish(errors)


@app.command("relation")
@flat
def relation(
    flags: TrainFlags,
    format: RelationFormat = "nlpkit",
    field: opt.GoldField = None,
    annotator: opt.Annotator = None,
    offsets: opt.Offsets = None,
) -> None:
    """Train a relation model on annotated texts; print the dev metrics as one JSON object.

    The data has the format of `nlpkit relation`'s output, so a corrected output trains the next model.

    \b
        nlpkit train relation train.jsonl --dev dev.jsonl --output my-model && nlpkit relation --model my-model news.txt
    """
    from nlpkit.tasks.relation.data import predicates_of
    from nlpkit.tasks.relation.formats import read_examples
    from nlpkit.tasks.relation.task import RelationSettings, RelationTask

    errors = opt.error_policy(flags.on_error, flags.max_line)
    options = {"annotator": annotator, "offsets": offsets}
    with opt.reported() as tally:
        train_set = list(read_examples(flags.files, format, flags.encoding, errors, field, **options, tally=tally))
        dev_set = list(read_examples(flags.dev, format, flags.encoding, errors, field, **options, tally=tally))
    train(RelationTask(RelationSettings(predicates_of(train_set, flags.files))), train_set, dev_set, flags)
    opt.finish(errors)


@app.command("event")
@flat
def event(flags: TrainFlags, format: EventFormat = "nlpkit", field: opt.GoldField = None) -> None:
    """Train an event model on annotated texts; print the dev metrics as one JSON object.

    The data has the format of `nlpkit event`'s output, so a corrected output trains the next model. If every event of
    the training set has a trigger, the model returns no events without one.

    \b
        nlpkit train event train.jsonl --dev dev.jsonl --output my-model && nlpkit event --model my-model news.txt
    """
    from nlpkit.tasks.event.data import labels_of
    from nlpkit.tasks.event.formats import read_examples
    from nlpkit.tasks.event.task import EventSettings, EventTask

    errors = opt.error_policy(flags.on_error, flags.max_line)
    with opt.reported() as tally:
        train_set = list(read_examples(flags.files, format, flags.encoding, errors, field, tally=tally))
        dev_set = list(read_examples(flags.dev, format, flags.encoding, errors, field, tally=tally))
    triggered = all(event.trigger for example in train_set for event in example.events)
    train(EventTask(EventSettings(labels_of(train_set, flags.files), triggered=triggered)), train_set, dev_set, flags)
    opt.finish(errors)


@app.command("kgqa")
@flat
def kgqa(
    flags: KgqaFlags,
    graph: Annotated[
        str | None, typer.Option("--graph", metavar="G.kg", help="Graph folder (default: that of --synthesize).")
    ] = None,
    synthesize: Annotated[
        str | None,
        typer.Option(
            metavar="G.kg", help="Graph from whose triples questions are synthesized, with or without training files."
        ),
    ] = None,
    synthetic: Annotated[int, typer.Option(min=1, help="Number of synthesized questions.")] = 8000,
    format: KgqaFormat = "nlpkit",
    field: QuestionField = None,
    ranker: Annotated[float, typer.Option(min=0.0, help="Weight of the ranking loss.")] = 1.0,
    generator: Annotated[float, typer.Option(min=0.0, help="Weight of the language-model loss.")] = 0.1,
    tree: Annotated[float, typer.Option(min=0.0, help="Weight of the tree-constrained language-model loss.")] = 0.1,
    absence: Annotated[float, typer.Option(min=0.0, help="Weight of the loss on unanswerable questions.")] = 0.2,
) -> None:
    """Train a question answering model for a graph; print the dev metrics as one JSON object.

    The data has the format of `nlpkit kgqa`'s output, so a corrected output trains the next model. --synthesize alone
    adapts the model to a graph of your own, without any annotated questions.

    \b
        nlpkit train kgqa --synthesize G.kg --output my-model && nlpkit kgqa --graph G.kg --model my-model questions.txt
    """
    from nlpkit.tasks.kgqa.formats import read_examples
    from nlpkit.tasks.kgqa.graph.graph import Graph
    from nlpkit.tasks.kgqa.settings import KgqaSettings
    from nlpkit.tasks.kgqa.task import KgqaTask
    from nlpkit.tasks.kgqa.training.synthesize import training_sets

    errors = opt.error_policy(flags.on_error, flags.max_line)
    train_set = list(read_examples(flags.files, format, flags.encoding, errors, field))
    dev_set = list(read_examples(flags.dev, format, flags.encoding, errors, field))
    train_set, dev_set = training_sets(train_set, dev_set, synthesize, synthetic, flags.settings.seed)
    name = graph or synthesize
    if name is None:
        raise UsageError("no graph; name one with --graph or --synthesize")
    settings = KgqaSettings(ranker=ranker, generator=generator, tree=tree, absence=absence)
    train(KgqaTask(settings, Graph.open(name)), train_set, dev_set, flags)
    opt.finish(errors)


app.command("embed")(flat(embed))
app.command("whitening")(whitening)
app.command("projection")(projection)
app.command("static")(flat(static))


@app.command("curve")
def curve(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a training run, finished or not.")],
) -> None:
    """Plot the loss and the dev metric of a training run in the terminal.

    \b
        nlpkit train curve my-model
    """
    from nlpkit.cli.render.loss_chart import draw

    typer.echo(draw(folder))
