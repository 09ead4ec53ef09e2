"""The commands of a task that has no options of its own, made from its `TaskSpec`."""

from collections.abc import Callable
from typing import Annotated, Any

import typer

from nlpkit.cli import options as opt
from nlpkit.cli.gold import evaluate_on_gold
from nlpkit.cli.train.job import train_on_gold
from nlpkit.cli.train.options import TrainFlags, flat
from nlpkit.tasks import TaskSpec, default_model, imported


def predict_command(task: TaskSpec) -> Callable[..., None]:
    """Return the command `nlpkit TASK`."""

    def predict(
        ctx: typer.Context,
        flags: opt.PredictFlags,
    ) -> None:
        from nlpkit.cli.predict import annotating
        from nlpkit.cli.predict import predict as run
        from nlpkit.core.pipeline.processor import Processor

        name = flags.model or default_model(task.name)
        to_marks = imported(task.renderer) if task.renderer else lambda fields: []

        def make(device: str) -> Processor:
            loaded = imported(task.loader)(name, device, flags.dtype, runtime=flags.runtime, threshold=flags.threshold)
            return annotating(loaded, flags, to_marks)

        run(ctx, flags, make)

    predict.__doc__ = (
        f"{task.help} One line of text in, one JSON line out.\n\n\\b\n    cat news.txt | nlpkit {task.name} | jq -c ."
    )
    return flat(predict)


def evaluate_command(task: TaskSpec) -> Callable[..., None]:
    """Return the command `nlpkit evaluate TASK`."""
    format_type = Annotated[str, opt.format_option(imported(f"{task.formats}:FORMATS"))]

    def evaluate(
        flags: opt.EvaluateFlags,
        format: format_type = "nlpkit",
    ) -> None:
        errors = opt.error_policy(flags.on_error, flags.max_line)
        evaluate_on_gold(task.name, imported(task.loader), flags, errors, {"format": format})

    evaluate.__doc__ = (
        f"Report the metrics of a {task.name} model on gold texts as one JSON object.\n\n"
        f"\\b\n    nlpkit evaluate {task.name} dev.jsonl --model my-model | jq -c ."
    )
    return flat(evaluate)


def train_command(task: TaskSpec) -> Callable[..., None]:
    """Return the command `nlpkit train TASK`."""
    format_type = Annotated[str, opt.format_option(imported(f"{task.formats}:FORMATS"))]

    def train(
        flags: TrainFlags,
        format: format_type = "nlpkit",
        field: opt.GoldField = None,
    ) -> None:
        train_on_gold(task.name, flags, {"format": format, "field": field})

    train.__doc__ = (
        f"Train a {task.name} model on annotated texts; print the dev metrics as one JSON object.\n\n"
        f"The data has the format of `nlpkit {task.name}`'s output, so a corrected output trains the next model.\n\n"
        f"\\b\n    nlpkit train {task.name} train.jsonl --dev dev.jsonl --output my-model"
    )
    return flat(train)


_GENERIC = {"predict": predict_command, "evaluate": evaluate_command, "train": train_command}


def command(task: TaskSpec, kind: str) -> Callable[..., Any]:
    """Return a command of a task: that of its own module where it has one, else the generic one.

    Args:
        task: the task.
        kind: `predict`, `evaluate` or `train`.
    """
    own = getattr(imported(task.cli), kind, None) if task.cli else None
    return own or _GENERIC[kind](task)
