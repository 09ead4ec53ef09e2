"""`nlpkit calibrate`."""

from typing import Annotated

import typer

from nlpkit.cli import options as opt
from nlpkit.cli.train.options import Folder, Without, flat


@flat
def calibrate(
    *,
    model: Annotated[
        str,
        typer.Option(
            "--model", "-m", metavar="NAME|DIR", help="Model to calibrate, of `ner`, `relation`, `event` or `classify`."
        ),
    ],
    output: Folder,
    keep_threshold: Annotated[
        bool,
        typer.Option(
            "--keep-threshold",
            help="Return the same results as before, with calibrated scores. By default, the best threshold is "
            "selected as well.",
        ),
    ] = False,
    format: Annotated[
        str,
        typer.Option("--format", "-f", metavar="NAME", help="Format of the data, as of `nlpkit evaluate`."),
    ] = "nlpkit",
    label: opt.LabelField = None,
    pair: opt.Pair = None,
    flags: Annotated[opt.EvaluateFlags, Without({"model", "threshold"})],
) -> None:
    """Fit the threshold and the scores of a trained model to gold texts; print its metrics as one JSON object.

    Of the results with a score of 0.8, eight in ten are then right in texts like these. "ece" says how far from that
    the scores are. The weights do not change; --output may be the folder of the model itself. Take texts that the model
    was not trained on.

    \b
        nlpkit calibrate dev.jsonl --model my-model --output my-model | jq '{f1, ece}'
    """
    from nlpkit.cli.gold import fitting, read_gold
    from nlpkit.core.io.records import write_json
    from nlpkit.core.model.manifest import check_model_folder, find, read_manifest
    from nlpkit.core.model.text_task import TextPredictor
    from nlpkit.core.training import calibrate as job
    from nlpkit.errors import DataError, UsageError
    from nlpkit.tasks import imported, spec

    task = spec(read_manifest(find(model)).task)
    if not issubclass(imported(task.task).predictor_type, TextPredictor):
        raise UsageError(f"--model {model}: a model for `nlpkit {task.name}`, which this command cannot calibrate")
    check_model_folder(output, task.name)
    errors = opt.error_policy(flags.on_error, flags.max_line)
    reading = {name: value for name, value in (("label", label), ("pair", pair)) if value is not None}
    if reading and task.name != "classify":
        name, value = next(iter(reading.items()))
        raise UsageError(f"--{name} {value}: only `nlpkit classify` has labelled texts and pairs; leave it out")
    examples = read_gold(task.name, flags.files, flags.encoding, errors, format=format, field=flags.field, **reading)
    predictor = imported(task.loader)(model, flags.device, flags.dtype, runtime=flags.runtime)
    examples = fitting(predictor.task, examples, errors)
    if not examples:
        raise DataError("no gold texts in it", ", ".join(flags.files))
    write_json(None, [job.calibrate(model, predictor, examples, output, flags.files, keep_threshold)])
    opt.finish(errors)
