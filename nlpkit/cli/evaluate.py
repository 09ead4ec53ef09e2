"""`nlpkit evaluate TASK`: what the commands of all tasks share."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from nlpkit.cli import options as opt
from nlpkit.core.io.records import ErrorPolicy

if TYPE_CHECKING:  # they import torch
    from nlpkit.core.model.predictor import Metrics, Predictor


def report(
    load: Callable[[], "Predictor[Any, Any]"],
    examples: list[Any],
    files: list[str],
    errors: ErrorPolicy,
    more: "Metrics | None" = None,
    unit: str = "texts",
) -> None:
    """Loads the model, scores it on the examples that fit it, and prints the result with its number of weights."""
    from nlpkit.core.io.records import write_json
    from nlpkit.core.model.checkpoint import count_parameters
    from nlpkit.errors import DataError

    if not examples:
        raise DataError("no gold texts in it", ", ".join(files))
    model = load()
    fitting = []
    for example in examples:
        try:
            model.task.validate(example)
        except DataError as error:
            errors(error)
        else:
            fitting.append(example)
    result = model.evaluate(fitting, more) | {"parameters": count_parameters(model.network)}
    write_json(None, [{name.replace("texts", unit): value for name, value in result.items()}])
    opt.finish(errors)
