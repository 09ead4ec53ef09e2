"""`nlpkit pretrain`."""

from typing import Annotated

import typer

from nlpkit.cli import options as opt
from nlpkit.cli.train.options import Folder, Without, flat
from nlpkit.core.io.records import MAX_LINE
from nlpkit.core.training.settings import TrainSettings
from nlpkit.tasks.pretrain.settings import DEFAULTS, PretrainOptions


@flat
def pretrain(
    files: Annotated[
        list[str],
        typer.Argument(metavar="CORPUS…", callback=opt.text_files, help="Plain text files: .txt, .gz, .xz or .zst."),
    ],
    output: Folder,
    options: PretrainOptions = PretrainOptions(),
    settings: Annotated[
        TrainSettings, Without({"epochs", "head_lr", "layer_decay", "freeze_layers", "clip", "fgm", "ema"})
    ] = DEFAULTS,
    on_error: opt.OnErrorPolicy = "fail",
    max_line: opt.MaxLine = MAX_LINE,
    quiet: opt.Quiet = False,
) -> None:
    """Pretrain a backbone on plain text by masked language modeling.

    Prints loss and accuracy on masked tokens of held-out text. Any task can be trained on the result. Several GPUs
    train together under `torchrun --nproc-per-node N -m nlpkit pretrain …`.

    \b
        nlpkit pretrain corpus/*.txt.xz --output my-backbone --minutes 600 && nlpkit train ner … --model my-backbone
    """
    import os

    from nlpkit.cli.progress import stages, training
    from nlpkit.core.io.records import write_json
    from nlpkit.tasks.pretrain.train import pretrain

    errors = opt.error_policy(on_error, max_line)
    # Of the processes that torchrun starts, one speaks.
    first = "TORCHELASTIC_RUN_ID" not in os.environ or os.environ["RANK"] == "0"
    quiet = quiet or not first
    with training("accuracy", quiet) as report, stages(quiet) as progress:
        metrics = pretrain(files, output, settings, options, errors, report, progress)
    if first:
        write_json(None, [metrics])
    opt.finish(errors)
