"""`nlpkit evaluate TASK`."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nlpkit.cli import options as opt
from nlpkit.core.io import OnError

if TYPE_CHECKING:  # it imports torch
    from nlpkit.core.model import Model

app = typer.Typer(no_args_is_help=True, help="Score a model on gold texts.", rich_markup_mode=None)


@app.command("ner")
def ner(
    files: opt.Gold,
    model: opt.ModelName = None,
    format: opt.NerFormat = "nlpkit",
    field: opt.GoldField = None,
    encoding: opt.Encoding = "utf-8",
    threshold: opt.Threshold = None,
    nested: Annotated[bool | None, typer.Option("--nested/--flat", help="In place of the model's own choice.")] = None,
    device: opt.DeviceName = "auto",
    dtype: opt.Dtype = "auto",
    on_error: opt.OnErrorPolicy = "fail",
) -> None:
    """Strict span precision, recall and F1, in all and per label; one JSON object.

    An entity counts when start, end and label are right, in offsets of the whole text. "misaligned" counts gold
    entities that do not fall on the tokenizer's boundaries, and so can never be found.

    \b
        nlpkit evaluate ner dev.jsonl --model my-model | jq '{f1, texts_per_second}'
    """
    from nlpkit.tasks.ner.formats import read_examples
    from nlpkit.tasks.ner.task import load

    errors = opt.error_policy(on_error)
    examples = list(read_examples(files, format, encoding, errors, field))
    _evaluate(lambda: load(model, device, dtype, threshold=threshold, nested=nested), examples, files, errors)


def _evaluate(load: Callable[[], "Model[Any]"], examples: list[Any], files: list[str], errors: OnError) -> None:
    """Loads the model, scores it on the examples that fit it, and prints the result with its number of weights."""
    from nlpkit.core.checkpoint import count_parameters
    from nlpkit.core.evaluate import evaluate
    from nlpkit.core.io import write_json
    from nlpkit.errors import DataError

    if not examples:
        raise DataError("no gold texts in it", ", ".join(files))
    model = load()
    fitting = []
    for example in examples:
        try:
            model.task.check(example)
        except DataError as error:
            errors(error)
        else:
            fitting.append(example)
    write_json(None, [evaluate(model, fitting) | {"parameters": count_parameters(model.network)}])
    opt.finish(errors)
