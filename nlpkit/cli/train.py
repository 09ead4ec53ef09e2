"""`nlpkit train TASK`: the options that all tasks share, and a command per task."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from nlpkit.cli import options as opt

app = typer.Typer(no_args_is_help=True, help="Train a model.", rich_markup_mode=None)

Dev = Annotated[
    list[str],
    typer.Option(metavar="FILE", help="Gold texts that choose the best weights; may be given again."),
]
Folder = Annotated[Path, typer.Option("--output", "-o", metavar="DIR", help="The checkpoint folder to write.")]
Backbone = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME|DIR|roformer_v2:LxD",
        help="Backbone: embedded, a folder, a hub name, or random weights of L layers and width D.",
    ),
]
Format = Annotated[
    str,
    typer.Option("--format", "-f", metavar="NAME", help="Format of the data; nlpkit's own JSON Lines when left out."),
]
Epochs = Annotated[int, typer.Option(min=1, help="Passes over the training set.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Rows in a batch.")]
MaxLength = Annotated[int, typer.Option(min=16, help="Units in a row; longer texts are cut into windows.")]
Join = Annotated[
    int, typer.Option(min=1, help="Train also on texts joined of up to so many, for models that will read longer ones.")
]
Rate = Annotated[
    float | None,
    typer.Option("--lr", help="Peak learning rate; 5e-4 for backbones up to 512 wide, 3e-5 above, when left out."),
]
HeadRate = Annotated[
    float | None,
    typer.Option("--head-lr", help="Of what is not backbone; twice --lr, at least 1e-3, when left out."),
]
LayerDecay = Annotated[float, typer.Option(min=0.1, max=1.0, help="Rate of a layer relative to the one above it.")]
Dropout = Annotated[float, typer.Option(min=0.0, max=0.9, help="In the backbone and before the head.")]
WeightDecay = Annotated[float, typer.Option(min=0.0, help="Decoupled, of matrices only.")]
Warmup = Annotated[float, typer.Option(min=0.0, max=0.9, help="Share of the run in which the rate rises.")]
Clip = Annotated[float, typer.Option(min=0.0, help="Greatest gradient norm.")]
Accumulate = Annotated[int, typer.Option(min=1, help="Batches per update.")]
Ema = Annotated[
    float, typer.Option(min=0.0, max=0.99999, help="Decay of the averaged weights that are kept; 0 for none.")
]
Evaluations = Annotated[int, typer.Option(min=1, help="Evaluations on dev per epoch.")]
Seed = Annotated[int, typer.Option(help="Of weights, order and dropout.")]
Choice = Annotated[
    str, typer.Option(metavar="P|auto", help="Decision threshold to store; auto finds the best one on dev.")
]
Store = Annotated[
    Literal["fp32", "fp16", "int8"],
    typer.Option(help="Precision of the weights on disk; they are computed with in fp32 or bf16 anyway."),
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Go on from the last state in the folder, with the same result as an unbroken run."),
]


@app.command("ner")
def ner(
    files: opt.Gold,
    dev: Dev,
    output: Folder,
    model: Backbone = "roformer_v2:4x256",
    format: Format = "nlpkit",
    encoding: opt.Encoding = "utf-8",
    head: Annotated[Literal["efficient", "global"], typer.Option(help="Kind of pointer.")] = "efficient",
    nested: Annotated[bool, typer.Option("--nested/--flat", help="Whether entities may overlap.")] = False,
    epochs: Epochs = 10,
    batch_size: BatchSize = 32,
    max_length: MaxLength = 256,
    join: Join = 1,
    lr: Rate = None,
    head_lr: HeadRate = None,
    layer_decay: LayerDecay = 1.0,
    weight_decay: WeightDecay = 0.01,
    dropout: Dropout = 0.1,
    warmup: Warmup = 0.1,
    clip: Clip = 1.0,
    accumulate: Accumulate = 1,
    ema: Ema = 0.0,
    evaluations: Evaluations = 1,
    threshold: Choice = "0.5",
    seed: Seed = 42,
    device: opt.DeviceName = "auto",
    dtype: opt.Dtype = "auto",
    on_error: opt.OnErrorPolicy = "fail",
    store: Store = "fp32",
    resume: Resume = False,
    quiet: opt.Quiet = False,
) -> None:
    """Train an NER model on gold texts; prints the dev metrics as one JSON object.

    The data is what `nlpkit ner` gives, so a corrected output trains the next model.

    \b
        nlpkit train ner train.jsonl --dev dev.jsonl --output my-model && nlpkit ner --model my-model news.txt
    """
    from nlpkit.tasks.ner.data import labels_of
    from nlpkit.tasks.ner.formats import read_examples
    from nlpkit.tasks.ner.task import NerTask

    errors = opt.error_policy(on_error)
    train_set = list(read_examples(files, format, encoding, errors))
    dev_set = list(read_examples(dev, format, encoding, errors))
    task = NerTask(labels_of(train_set, files), head, nested=nested)
    _train(task, train_set, dev_set, output, locals())
    opt.finish(errors)


@app.command("curve")
def curve(
    folder: Annotated[Path, typer.Argument(metavar="DIR", help="A folder that a run has written or is writing.")],
) -> None:
    """Draw the loss and the dev metric of a run in the terminal.

    \b
        nlpkit train curve my-model
    """
    from nlpkit.cli.curve import draw

    typer.echo(draw(folder))


def _train(task: Any, train: list[Any], dev: list[Any], folder: Path, given: dict[str, Any]) -> None:
    """Runs `core.fit` with the shared options of a command (its locals) and shows the outcome."""
    import sys

    from nlpkit.cli.curve import draw
    from nlpkit.cli.progress import training
    from nlpkit.core.fit import FitOptions, fit
    from nlpkit.core.io import write_json
    from nlpkit.core.train import TrainSettings

    names = (
        "epochs",
        "batch_size",
        "lr",
        "head_lr",
        "layer_decay",
        "dropout",
        "weight_decay",
        "warmup",
        "clip",
        "accumulate",
        "ema",
        "seed",
    )
    settings = TrainSettings(**{name: given[name] for name in names})
    options = FitOptions(
        backbone=given["model"],
        max_length=given["max_length"],
        join=given["join"],
        device=given["device"],
        dtype=given["dtype"],
        threshold=_probability(given["threshold"]),
        store=given["store"],
        resume=given["resume"],
        evaluations=given["evaluations"],
        sources={"training": given["files"], "dev": given["dev"]},
    )
    with training(task.metric, given["quiet"]) as report:
        metrics = fit(task, train, dev, folder, settings, options, report)
    if sys.stderr.isatty() and not given["quiet"]:
        typer.echo(draw(folder), err=True)
    write_json(None, [metrics])


def _probability(text: str) -> float | None:
    """A threshold, or None for `auto`."""
    from nlpkit.errors import UsageError

    if text == "auto":
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise UsageError(f"--threshold {text}: a number between 0 and 1, or auto")
    return value
