"""`nlpkit pretrain`."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from nlpkit.cli import options as opt
from nlpkit.cli.train import options as flags
from nlpkit.core.io.records import MAX_LINE


def pretrain(
    files: Annotated[list[str], typer.Argument(metavar="CORPUS…", help="Plain text files: .txt, .gz, .xz or .zst.")],
    output: flags.Folder,
    config: Annotated[
        str,
        typer.Option(
            metavar="small|LxD|FILE",
            help="Size of the backbone: small (6x384), LxD for L layers of width D, or a JSON file.",
        ),
    ] = "small",
    arch: Annotated[
        Literal["roformer_v2", "gau_alpha"], typer.Option(help="Architecture; gau_alpha has two layers for each of L.")
    ] = "roformer_v2",
    tokens: Annotated[
        float | None,
        typer.Option(min=1, help="Number of tokens to train on, e.g. 150e6 (default: one epoch, or --minutes)."),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(min=0.01, help="Training time in minutes; the learning rate decays towards its end.")
    ] = None,
    length: Annotated[int, typer.Option(min=16, help="Tokens per sequence, packed without padding.")] = 128,
    batch_size: flags.BatchSize = 64,
    accumulate: flags.Accumulate = 1,
    lr: Annotated[float, typer.Option(min=0.0, help="Peak learning rate.")] = 1e-3,
    optimizer: flags.OptimizerName = "muon",
    weight_decay: Annotated[
        float,
        typer.Option(
            min=0.0,
            help="Decoupled weight decay of matrices; weights grow without bound under Muon if this is too small.",
        ),
    ] = 0.1,
    warmup: flags.Warmup = 0.02,
    decay: Annotated[
        float,
        typer.Option(
            min=0.0, max=1.0, help="Fraction of the run, at its end, over which the learning rate decays to 0."
        ),
    ] = 0.98,
    dropout: Annotated[
        float, typer.Option(min=0.0, max=0.9, help="Dropout rate; 0 unless training for many epochs.")
    ] = 0.0,
    whole_word: Annotated[
        bool, typer.Option("--whole-word/--characters", help="Mask whole words (jieba's), or single tokens.")
    ] = True,
    vocabulary: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Vocabulary file, vocab.txt (default: built from the corpus).")
    ] = None,
    deep_norm: Annotated[
        bool, typer.Option("--deep-norm", help="Initialize the weights as DeepNet does, for very deep models.")
    ] = False,
    init_from: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Checkpoint whose weights to begin with.")
    ] = None,
    grow: Annotated[
        list[str] | None,
        typer.Option(
            metavar="width=2|depth=2",
            help="Enlarge that checkpoint first: width keeps its function, depth repeats its layers.",
        ),
    ] = None,
    corpus: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Folder for the tokenized text (default: OUTPUT/corpus)."),
    ] = None,
    encoding: opt.Encoding = "utf-8",
    device: opt.DeviceName = "auto",
    dtype: opt.Dtype = "auto",
    seed: flags.Seed = 42,
    on_error: opt.OnErrorPolicy = "fail",
    max_line: opt.MaxLine = MAX_LINE,
    store: flags.Store = "fp32",
    compile: Annotated[bool, typer.Option("--compile", help="Use torch.compile, for long runs on a GPU.")] = False,
    resume: flags.Resume = False,
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
    from nlpkit.core.training.trainer import TrainSettings
    from nlpkit.tasks.pretrain.train import PretrainOptions, pretrain

    errors = opt.error_policy(on_error, max_line)
    # Of the processes that torchrun starts, one speaks.
    first = "TORCHELASTIC_RUN_ID" not in os.environ or os.environ["RANK"] == "0"
    quiet = quiet or not first
    settings = TrainSettings(
        epochs=1, batch_size=batch_size, lr=lr, head_lr=lr, dropout=dropout, weight_decay=weight_decay,
        warmup=warmup, decay=decay, accumulate=accumulate, seed=seed, optimizer=optimizer, compile=compile,
    )  # fmt: skip
    options = PretrainOptions(
        backbone=_sizes(config, arch),
        length=length,
        tokens=None if tokens is None else int(tokens),
        minutes=minutes,
        whole_word=whole_word,
        vocabulary=vocabulary,
        deep_norm=deep_norm,
        init_from=init_from,
        grow=_growth(grow, init_from),
        corpus=corpus,
        encoding=encoding,
        device=device,
        dtype=dtype,
        resume=resume,
        store=store,
    )
    with training("accuracy", quiet) as report, stages(quiet) as progress:
        metrics = pretrain(files, output, settings, options, errors, report, progress)
    if first:
        write_json(None, [metrics])
    opt.finish(errors)


def _sizes(config: str, arch: str) -> dict[str, Any]:
    """A backbone's description from --config and --arch."""
    import json
    import re

    from nlpkit.core.model.pretrained import sizes
    from nlpkit.errors import UsageError

    match = re.fullmatch(r"(\d+)x(\d+)", "6x384" if config == "small" else config)
    if match:
        return sizes(arch, int(match.group(1)), int(match.group(2)))
    try:
        described: dict[str, Any] = json.loads(Path(config).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UsageError(f"--config {config}: neither small, LxD nor a readable JSON file ({error})") from None
    return {"type": arch, **described}


def _growth(grow: list[str] | None, init_from: Path | None) -> tuple[tuple[str, int], ...]:
    """(direction, factor) of each --grow."""
    import re

    from nlpkit.errors import UsageError

    if grow and init_from is None:
        raise UsageError("--grow enlarges a checkpoint: name it with --init-from DIR")
    pairs = []
    for text in grow or ():
        match = re.fullmatch(r"(width|depth)=([2-9])", text)
        if match is None:
            raise UsageError(f"--grow {text}: one of width=2, depth=2 (or another small factor)")
        pairs.append((match.group(1), int(match.group(2))))
    return tuple(pairs)
