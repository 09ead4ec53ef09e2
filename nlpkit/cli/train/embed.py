"""`nlpkit train embed`."""

from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

import typer

from nlpkit.cli import options as opt
from nlpkit.cli.train.job import train
from nlpkit.cli.train.options import TrainFlags, Without
from nlpkit.core.training.settings import DROPOUT, FitOptions, TrainSettings
from nlpkit.tasks import default_model
from nlpkit.tasks.embed.settings import EmbedSettings

SIMCSE_DROPOUT = 0.1  # the two versions of a sentence differ by dropout alone


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedFlags(TrainFlags):
    """The options of `nlpkit train embed`: those of every task that apply to sentences."""

    files: Annotated[
        list[str],
        typer.Argument(metavar="FILES…", help="Sentences (simcse) or scored pairs.", show_default=False),
    ]
    dev: Annotated[
        list[str],
        typer.Option(
            metavar="FILE",
            help="Scored pairs on which the best weights are selected; may be repeated (default: keep the last "
            "weights).",
        ),
    ] = field(default_factory=list)
    options: Annotated[FitOptions, Without({"join", "threshold"})] = FitOptions(backbone=default_model("embed"))
    settings: Annotated[TrainSettings, Without({"decay", "compile", "dropout"})] = TrainSettings()
    dropout: Annotated[float | None, replace(DROPOUT, none="0; 0.1 for simcse")] = None


def embed(
    settings: EmbedSettings,
    flags: EmbedFlags,
    pooling: Annotated[
        Literal["auto", "cls", "mean", "first-last"],
        typer.Option(help="Pooling of the hidden states; auto uses the model's own, or mean."),
    ] = "auto",
    field: opt.TextField = None,
) -> None:
    """Train a sentence encoder with SimCSE or CoSENT; print the dev metrics as one JSON object.

    simcse reads one sentence per line, or files of pairs (.tsv, .jsonl), of which those with the highest score are
    positive pairs. cosent reads scored pairs; scores are compared within a file only. --batch-size counts pairs.

    To transform the vectors of a model, see `nlpkit train whitening` and `nlpkit train projection`; for fast vectors
    without a network, `nlpkit train static`.

    \b
        nlpkit train embed --method cosent pairs.tsv --dev dev.tsv -m backbone -o my-model && nlpkit embed -m my-model
    """
    from nlpkit.core.model.manifest import check_model_folder
    from nlpkit.errors import DataError, UsageError
    from nlpkit.tasks.embed.data import read_pairs, read_versions
    from nlpkit.tasks.embed.metric import pair_scores
    from nlpkit.tasks.embed.sentence_transformers.reader import write_modules
    from nlpkit.tasks.embed.task import EmbedTask, trained_pooling

    if field is not None and settings.method == "cosent":
        raise UsageError("--field: pairs have fields of their own, sentence1, sentence2 and score; leave it out")
    if settings.contrast and settings.method == "simcse":
        raise UsageError("--contrast: SimCSE is contrastive itself; leave it out, or pass --method cosent")
    dropout = flags.dropout
    if dropout is None:
        dropout = SIMCSE_DROPOUT if settings.method == "simcse" else 0.0
    if settings.r_drop and not dropout:
        raise UsageError("--r-drop compares two passes under different dropout: give --dropout P")
    check_model_folder(flags.output, "embed")
    errors = opt.error_policy(flags.on_error, flags.max_line)
    if settings.method == "simcse":
        train_set = list(read_versions(flags.files, flags.encoding, errors, field))
        if train_set and len({text for pair in train_set for text in (pair.first, pair.second)}) == 1:
            alike = f"all {len(train_set)} sentences are the same; SimCSE learns to tell some apart"
            raise DataError(alike, ", ".join(flags.files))
    else:
        train_set = list(read_pairs(flags.files, flags.encoding, errors))
    dev_set = None
    if flags.dev:
        dev_set = list(read_pairs(flags.dev, flags.encoding, errors))
        pair_scores((pair, 0.0) for pair in dev_set)  # refuses a file that can choose nothing, before any training
    task = EmbedTask(replace(settings, pooling=trained_pooling(pooling, flags.options.backbone)))
    train(task, train_set, dev_set, replace(flags, settings=replace(flags.settings, dropout=dropout)))
    write_modules(flags.output)
    opt.finish(errors)
