"""The tasks. To add one, write a package like `ner` and append its `TaskSpec` to `TASKS`.

Commands, the Python API and completion are made from this tuple. Nothing heavy is imported here: a spec names classes
and functions by import path.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any, NamedTuple

from nlpkit.errors import UsageError


class Tool(NamedTuple):
    """A further command of a task.

    Attributes:
        path: `name`, or `train name`.
        command: import path of a function or a typer app.
        help: what it does, a sentence.
    """

    path: str
    command: str
    help: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskSpec:
    """The declaration of a task. Import paths are written `package.module` or `package.module:attribute`.

    Attributes:
        name: of the task and its command.
        help: what it does, a sentence.
        task: import path of the `core.model.task.Task`.
        loader: import path of the function that returns a predictor: `loader(model, device, dtype, **options)`.
        default_model: name of the embedded model; a task without one needs a model by name.
        formats: import path of the module with `FORMATS` and `read_examples`; with `LAYER`, where `nlpkit convert`
            knows the annotation of the task.
        renderer: import path of the function that returns the spans to mark in a text, from the output fields.
        cli: import path of a module with commands of the task's own: any of `predict`, `train` and `evaluate`. What it
            lacks is made from this declaration.
        tools: further commands.
    """

    name: str
    help: str
    task: str
    loader: str
    default_model: str | None = None
    formats: str
    renderer: str | None = None
    cli: str | None = None
    tools: tuple[Tool, ...] = ()


TASKS: tuple[TaskSpec, ...] = (
    TaskSpec(
        name="ner",
        help="Find named entities.",
        task="nlpkit.tasks.ner.task:NerTask",
        loader="nlpkit.tasks.ner.task:load",
        default_model="ner-cluener",
        formats="nlpkit.tasks.ner.formats",
        cli="nlpkit.cli.tasks.ner",
        tools=(Tool("dict", "nlpkit.cli.tasks.dictionary:app", "Make dictionaries for `nlpkit ner --dict`."),),
    ),
    TaskSpec(
        name="relation",
        help="Find relations between entities.",
        task="nlpkit.tasks.relation.task:RelationTask",
        loader="nlpkit.tasks.relation.task:load",
        default_model="relation-duie",
        formats="nlpkit.tasks.relation.formats",
        cli="nlpkit.cli.tasks.relation",
    ),
    TaskSpec(
        name="event",
        help="Find events, with their triggers and arguments.",
        task="nlpkit.tasks.event.task:EventTask",
        loader="nlpkit.tasks.event.task:load",
        default_model="event",
        formats="nlpkit.tasks.event.formats",
        cli="nlpkit.cli.tasks.event",
    ),
    TaskSpec(
        name="classify",
        help="Classify texts.",
        task="nlpkit.tasks.classify.task:ClassifyTask",
        loader="nlpkit.tasks.classify.loading:load",
        default_model="sentiment",
        formats="nlpkit.tasks.classify.formats",
        cli="nlpkit.cli.tasks.classify",
    ),
    TaskSpec(
        name="embed",
        help="Embed sentences.",
        task="nlpkit.tasks.embed.task:EmbedTask",
        loader="nlpkit.tasks.embed.loading:load",
        default_model="embed-base",
        formats="nlpkit.tasks.embed.data",
        cli="nlpkit.cli.tasks.embed",
        tools=(
            Tool("train whitening", "nlpkit.cli.train.whitening:whitening", "Fit a whitening of a model's vectors."),
            Tool("train projection", "nlpkit.cli.train.whitening:projection", "Make a random projection of vectors."),
            Tool("train static", "nlpkit.cli.train.static:static", "Distil static vectors from a sentence encoder."),
            Tool("similar", "nlpkit.cli.tasks.embed:similar", "Compare two files line by line."),
            Tool("search", "nlpkit.cli.tasks.search:app", "Search texts by words and meaning."),
            Tool("drift", "nlpkit.cli.tasks.drift:drift", "Measure the distance between two corpora."),
        ),
    ),
    TaskSpec(
        name="kgqa",
        help="Answer questions from a knowledge graph.",
        task="nlpkit.tasks.kgqa.task:KgqaTask",
        loader="nlpkit.tasks.kgqa.task:load",
        default_model="kgqa",
        formats="nlpkit.tasks.kgqa.formats",
        cli="nlpkit.cli.tasks.kgqa",
        tools=(Tool("graph", "nlpkit.cli.tasks.graph:app", "Make and read graph files for `nlpkit kgqa`."),),
    ),
)


def spec(name: str) -> TaskSpec:
    """Return the declaration of a task.

    Raises:
        UsageError: there is no task of this name.
    """
    for task in TASKS:
        if task.name == name:
            return task
    raise UsageError(f"no task {name!r}; there are: {', '.join(task.name for task in TASKS)}")


def default_model(name: str) -> str:
    """Return the name of the embedded model of a task.

    Raises:
        UsageError: the task has none.
    """
    model = spec(name).default_model
    if model is None:
        raise UsageError(f"{name} has no embedded model; name one with --model")
    return model


def imported(path: str) -> Any:
    """Return what an import path names."""
    module, _, attribute = path.partition(":")
    return getattr(import_module(module), attribute) if attribute else import_module(module)
