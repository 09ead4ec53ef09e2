"""The tasks. To add one, write a package like `ner` and append its `TaskSpec` to `TASKS`.

Commands, the Python API and completion are made from this tuple. Nothing heavy is imported here: a spec names classes
and functions by import path.
"""

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from nlpkit.errors import UsageError


@dataclass(frozen=True, slots=True)
class TaskSpec:
    """The declaration of a task. Import paths are written `package.module:attribute`.

    Attributes:
        name: of the task and its command.
        help: one line on what it does.
        task: import path of the `core.model.task.Task`.
        loader: import path of the function that returns a predictor: `loader(model, device, dtype, **options)`.
        default_model: name of the embedded model.
    """

    name: str
    help: str
    task: str
    loader: str
    default_model: str


TASKS: tuple[TaskSpec, ...] = (
    TaskSpec(
        "ner",
        "Find named entities.",
        "nlpkit.tasks.ner.task:NerTask",
        "nlpkit.tasks.ner.task:load",
        "ner-cluener",
    ),
    TaskSpec(
        "relation",
        "Find relations between entities.",
        "nlpkit.tasks.relation.task:RelationTask",
        "nlpkit.tasks.relation.task:load",
        "relation-duie",
    ),
    TaskSpec(
        "event",
        "Find events, with their triggers and arguments.",
        "nlpkit.tasks.event.task:EventTask",
        "nlpkit.tasks.event.task:load",
        "event",
    ),
    TaskSpec(
        "embed",
        "Embed sentences.",
        "nlpkit.tasks.embed.task:EmbedTask",
        "nlpkit.tasks.embed.encoder.embedder:load",
        "embed-small",
    ),
    TaskSpec(
        "kgqa",
        "Answer questions from a knowledge graph.",
        "nlpkit.tasks.kgqa.task:KgqaTask",
        "nlpkit.tasks.kgqa.task:load",
        "kgqa",
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


def imported(path: str) -> Any:
    """Return what an import path names, `package.module:attribute`."""
    module, _, attribute = path.partition(":")
    return getattr(import_module(module), attribute)
