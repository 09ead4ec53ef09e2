"""The options that all training commands share, as one typed object."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nlpkit.cli import options as opt
from nlpkit.core.io.records import MAX_LINE
from nlpkit.errors import UsageError

if TYPE_CHECKING:  # they import torch
    from nlpkit.core.training.job import FitOptions
    from nlpkit.core.training.trainer import TrainSettings


def flat(command: Callable[..., None]) -> Callable[..., None]:
    """A command for typer in which a parameter that is a dataclass is spelled out: an option for each of its fields."""
    groups: dict[str, Any] = {}
    parameters: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        if is_dataclass(parameter.annotation):
            groups[name] = parameter.annotation
            parameters += inspect.signature(groups[name]).parameters.values()
        else:
            parameters.append(parameter)

    @wraps(command)
    def run(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{field: given.pop(field) for field in inspect.signature(group).parameters})
        command(**given)

    # What typer reads; by keyword only, so that those without a default may come after others.
    signature = inspect.Signature([parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in parameters])
    run.__signature__ = signature  # type: ignore[attr-defined]
    return run


def as_folder(path: Path) -> Path:
    """The path; refused, before anything is read or trained, where it cannot become a folder."""
    existing = next(part for part in (path, *path.parents) if part.exists())
    if not existing.is_dir():
        raise UsageError(f"--output {path}: {existing} is a file; name a folder")
    return path


def _threshold(text: str | float) -> float | None:
    """A probability (typer passes the default through here, too), or None for `auto`."""
    if text == "auto":
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1:
        raise UsageError(f"--threshold {text}: a number between 0 and 1, or auto")
    return value


Folder = Annotated[
    Path, typer.Option("--output", "-o", metavar="DIR", callback=as_folder, help="Checkpoint folder to write.")
]
BatchSize = Annotated[int, typer.Option(min=1, help="Sequences per batch.")]
Accumulate = Annotated[int, typer.Option(min=1, help="Batches per optimizer update.")]
Warmup = Annotated[
    float, typer.Option(min=0.0, max=0.9, help="Fraction of the run over which the learning rate rises.")
]
OptimizerName = Annotated[
    Literal["adamw", "muon"],
    typer.Option(help="Optimizer; muon trains the matrices of the backbone's layers, and AdamW the other weights."),
]
Seed = Annotated[int, typer.Option(help="Random seed (weights, order, dropout, masks).")]
Store = Annotated[
    Literal["fp32", "fp16", "int8"],
    typer.Option(help="Precision of the weights on disk; computations are in fp32 or bf16."),
]
Resume = Annotated[
    bool,
    typer.Option("--resume", help="Continue from the last state in the folder; the result is that of an unbroken run."),
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainFlags:
    """What every `nlpkit train TASK` takes; the help of each option says what it is."""

    files: opt.Gold
    dev: Annotated[
        list[str],
        typer.Option(metavar="FILE", help="Gold texts on which the best weights are selected; may be repeated."),
    ]
    output: Folder
    model: Annotated[
        str,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME|DIR|roformer_v2:LxD",
            help="Backbone: name of an embedded model, folder, hub name, or random weights of L layers and width D.",
        ),
    ] = "nlpkit-small"
    encoding: opt.Encoding = "utf-8"
    epochs: Annotated[int, typer.Option(min=1, help="Number of passes over the training set.")] = 10
    batch_size: BatchSize = 32
    max_length: Annotated[
        int, typer.Option(min=16, help="Maximum number of tokens per sequence; longer texts are cut into windows.")
    ] = 256
    join: Annotated[
        int,
        typer.Option(
            min=1, help="Also train on concatenations of up to N texts, so that the model handles longer inputs."
        ),
    ] = 1
    fold_mask: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Fold [MASK] into the embeddings of a backbone that was pretrained with this fraction masked.",
        ),
    ] = 0.0
    lr: Annotated[
        float | None,
        typer.Option(
            min=0.0, help="Peak learning rate (default: 5e-4 for backbones of width up to 512, 3e-5 for wider ones)."
        ),
    ] = None
    head_lr: Annotated[
        float | None, typer.Option(min=0.0, help="Learning rate of the task head (default: 2 × --lr, at least 1e-3).")
    ] = None
    layer_decay: Annotated[
        float, typer.Option(min=0.1, max=1.0, help="Learning rate of a layer relative to the layer above it.")
    ] = 1.0
    weight_decay: Annotated[float, typer.Option(min=0.0, help="Decoupled weight decay of matrices.")] = 0.01
    dropout: Annotated[
        float | None,
        typer.Option(
            min=0.0, max=0.9, help="Dropout rate in the backbone and before the head (default: 0; 0.1 for SimCSE)."
        ),
    ] = None
    warmup: Warmup = 0.1
    clip: Annotated[float, typer.Option(min=0.0, help="Maximum gradient norm (0: no clipping).")] = 1.0
    accumulate: Accumulate = 1
    fgm: Annotated[
        float,
        typer.Option(
            min=0.0, help="FGM adversarial training: L2 norm of the embedding perturbation (0: off; doubles the cost)."
        ),
    ] = 0.0
    optimizer: OptimizerName = "adamw"
    ema: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=0.99999,
            help="Decay of the exponential moving average of the weights, which is then saved (0: off).",
        ),
    ] = 0.0
    evaluations: Annotated[int, typer.Option(min=1, help="Number of evaluations on the dev set per epoch.")] = 1
    threshold: Annotated[
        float | None,
        typer.Option(
            parser=_threshold,
            metavar="P|auto",
            help="Decision threshold to store; auto selects the best one on the dev set.",
        ),
    ] = 0.5
    seed: Seed = 42
    device: opt.DeviceName = "auto"
    dtype: opt.Dtype = "auto"
    on_error: opt.OnErrorPolicy = "fail"
    max_line: opt.MaxLine = MAX_LINE
    store: Store = "fp32"
    resume: Resume = False
    quiet: opt.Quiet = False

    def settings(self) -> "TrainSettings":
        """For the loop."""
        from nlpkit.core.training.trainer import TrainSettings

        return TrainSettings(
            epochs=self.epochs,
            batch_size=self.batch_size,
            lr=self.lr,
            head_lr=self.head_lr,
            layer_decay=self.layer_decay,
            dropout=self.dropout or 0.0,
            weight_decay=self.weight_decay,
            warmup=self.warmup,
            clip=self.clip,
            accumulate=self.accumulate,
            fgm=self.fgm,
            ema=self.ema,
            seed=self.seed,
            optimizer=self.optimizer,
        )

    def options(self) -> "FitOptions":
        """For what is around the loop."""
        from nlpkit.core.training.job import FitOptions

        return FitOptions(
            backbone=self.model,
            max_length=self.max_length,
            fold_mask=self.fold_mask,
            join=self.join,
            device=self.device,
            dtype=self.dtype,
            threshold=self.threshold,
            store=self.store,
            resume=self.resume,
            evaluations=self.evaluations,
            sources={"training": self.files, "dev": self.dev or []},
        )
