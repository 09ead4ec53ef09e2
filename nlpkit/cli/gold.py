"""Gold annotation: reading it, and scoring a model on it."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from nlpkit.cli import options as opt
from nlpkit.core.io.records import ErrorPolicy
from nlpkit.errors import DataError
from nlpkit.tasks import default_model, imported, spec

if TYPE_CHECKING:  # they import torch
    from nlpkit.core.model.predictor import Metrics, Predictor
    from nlpkit.core.model.task import Task


def read_gold(task: str, files: Sequence[str], encoding: str, errors: ErrorPolicy, **reading: Any) -> list[Any]:
    """Return the examples in files of a task's formats; what is dropped or repaired is counted on stderr.

    Args:
        task: name of the task.
        files: to read; none for no examples.
        encoding: of the files.
        errors: counts bad records.
        reading: `format`, `field` and what else the reader of the task takes.
    """
    read = imported(f"{spec(task).formats}:read_examples")
    with opt.reported() as tally:
        return list(read(files, encoding=encoding, on_error=errors, tally=tally, **reading))


def fitting(task: "Task[Any, Any, Any]", examples: Sequence[Any], errors: ErrorPolicy) -> list[Any]:
    """Return the examples on which a model can be scored; the others, e.g. with an unknown label, are bad records."""
    result = []
    for example in examples:
        try:
            task.validate(example)
        except DataError as error:
            errors(error)
        else:
            result.append(example)
    return result


def evaluate_on_gold(
    task: str,
    load: Callable[..., "Predictor[Any, Any]"],
    flags: opt.EvaluateFlags,
    errors: ErrorPolicy,
    reading: dict[str, Any],
    more: "Metrics | None" = None,
    **settings: Any,
) -> None:
    """Score a model on gold texts that fit it and print the result; exit with 3 if records were skipped.

    Args:
        task: name of the task.
        load: loads the model; see `TaskSpec.loader`.
        flags: options of the command.
        errors: counts bad records.
        reading: as for `read_gold`.
        more: returns further metrics of (prediction, gold) pairs.
        settings: of the task, for `load`.
    """
    from nlpkit.core.io.records import write_json

    examples = read_gold(task, flags.files, flags.encoding, errors, **{"field": flags.field, **reading})
    if not examples:
        raise DataError("no gold texts in it", ", ".join(flags.files))
    name = flags.model or default_model(task)
    model = load(name, flags.device, flags.dtype, runtime=flags.runtime, threshold=flags.threshold, **settings)
    result = model.evaluate(fitting(model.task, examples, errors), more) | {"parameters": model.runner.parameters}
    write_json(None, [result])
    opt.finish(errors)
