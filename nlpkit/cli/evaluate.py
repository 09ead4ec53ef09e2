"""`nlpkit evaluate TASK`."""

from typing import Annotated

import typer

from nlpkit.cli import options as opt

app = typer.Typer(no_args_is_help=True, help="Score a model on gold texts.", rich_markup_mode=None)


@app.command("ner")
def ner(
    files: opt.Gold,
    model: opt.ModelName = None,
    format: Annotated[
        str,
        typer.Option("--format", "-f", metavar="NAME", help="Format of the data; nlpkit's own when left out."),
    ] = "nlpkit",
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
    from nlpkit.core.checkpoint import count_parameters
    from nlpkit.core.evaluate import evaluate
    from nlpkit.core.io import write_json
    from nlpkit.errors import DataError
    from nlpkit.tasks.ner.formats import read_examples
    from nlpkit.tasks.ner.task import load

    errors = opt.error_policy(on_error)
    examples = list(read_examples(files, format, encoding, errors))
    if not examples:
        raise DataError("no gold texts in it", ", ".join(files))
    loaded = load(model, device, dtype, threshold=threshold, nested=nested)
    known = []
    for example in examples:
        strange = {entity.label for entity in example.entities} - set(loaded.task.labels)
        if strange:
            reason = f"the model has no label {', '.join(sorted(strange))}; it has: {', '.join(loaded.task.labels)}"
            errors(example.line.error(reason))
        else:
            known.append(example)
    result = evaluate(loaded, known)
    write_json(None, [result | {"parameters": count_parameters(loaded.network)}])
    opt.finish(errors)
