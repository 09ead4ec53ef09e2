"""`nlpkit train embed`: its options, and the methods that fit a map behind an encoder instead of training one."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nlpkit.cli import options as opt
from nlpkit.cli.train.options import TrainFlags

if TYPE_CHECKING:  # it imports torch
    from nlpkit.tasks.embed.model import Method

SIMCSE_DROPOUT = 0.1  # without any, a sentence has no second version to be told from the others


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedFlags(TrainFlags):
    """`TrainFlags`, of which a whitening or projection needs fewer."""

    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILES…]", help="Texts, pairs, or .npy vectors (whitening).", show_default=False),
    ] = None  # type: ignore[assignment]
    dev: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE",
            help="Scored pairs on which the best weights are selected; may be repeated (default: keep the last "
            "weights).",
        ),
    ] = None  # type: ignore[assignment]
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="DIR|FILE", help="Model folder to write, or the file of a whitening."),
    ]
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME|DIR|roformer_v2:LxD",
            help="Model to train, or whose vectors to transform (default: the embedded model).",
        ),
    ] = None  # type: ignore[assignment]


@dataclass(frozen=True, slots=True, kw_only=True)
class MapFlags:
    """What a whitening or projection takes."""

    dim: Annotated[
        int | None,
        typer.Option(min=1, metavar="K", help="Number of dimensions of a whitening, projection or static vectors."),
    ] = None
    beta: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Whitening: fraction of the mean to subtract (default: 1; 0 for fine-tuned models).",
        ),
    ] = None
    gamma: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Whitening: exponent of the variance normalization (default: 1; 0, i.e. PCA, for fine-tuned models).",
        ),
    ] = None
    merge: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Whitening: file whose statistics the new texts are added to; its settings are kept."
        ),
    ] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LossFlags:
    """What SimCSE and CoSENT take."""

    scale: Annotated[float, typer.Option(min=0.1, help="Inverse temperature of the loss.")] = 20.0
    contrast: Annotated[
        float,
        typer.Option(
            min=0.0, help="CoSENT: weight of a contrastive loss of the best pairs against the rest of the batch."
        ),
    ] = 0.0
    r_drop: Annotated[
        float, typer.Option(min=0.0, help="R-Drop weight (0: off; needs --dropout, doubles the cost).")
    ] = 0.0


def fit_whitening(flags: EmbedFlags, maps: MapFlags, pooling: str, field: str | None) -> None:
    """Fits, merges and writes a whitening, and says what there is to know of it."""
    from nlpkit.cli.error_handling import message
    from nlpkit.cli.progress import reading
    from nlpkit.core.io.records import write_json
    from nlpkit.errors import UsageError
    from nlpkit.tasks.embed.encoder.embedder import load
    from nlpkit.tasks.embed.whitening import fit as fit_map

    paths = flags.files or []
    vectors = [path for path in paths if path.endswith(".npy")]
    if not paths or 0 < len(vectors) < len(paths):
        raise UsageError("a whitening is fitted on files of text, or on .npy files of vectors; name some of one kind")
    if vectors and flags.model is not None:
        raise UsageError("--model: vectors are what they are, and .npy.json says of which model; leave it out")
    errors = opt.error_policy(flags.on_error, flags.max_line)
    embedder = None if vectors else load(flags.model, flags.device, flags.dtype, pooling)
    if embedder is not None and maps.dim is not None and maps.dim > embedder.width:
        raise UsageError(f"--dim {maps.dim}: the vectors of {embedder.name} have {embedder.width} dimensions")
    identity = fit_map.identity_of(vectors[0]) if embedder is None else embedder.raw_identity
    fit_map.target(flags.output, identity)  # what cannot be should be known before a long pass
    before = None if maps.merge is None else fit_map.read_whitening(maps.merge, identity)
    with reading(paths, flags.quiet) as advance:
        if embedder is None:
            fitted = fit_map.whitening_of_vectors(vectors, advance)
        else:
            fitted = fit_map.whitening_of_texts(paths, embedder, field, flags.encoding, errors, advance)
    if before is not None:
        fitted = fit_map.merged(fitted, before)
    fitted = fit_map.configured(fitted, maps.beta, maps.gamma, maps.dim, ", ".join(paths))
    for warning in fit_map.warnings(fitted):
        message(f"warning: {warning}")
    path = fit_map.store(fitted, flags.output)
    write_json(None, [{"output": str(path), **fitted.identity, **fitted.settings, "dim": fitted.dim}])
    opt.finish(errors)


def make_projection(flags: EmbedFlags, maps: MapFlags, pooling: str) -> None:
    """Makes and writes a random projection."""
    from nlpkit.core.io.records import write_json
    from nlpkit.errors import UsageError
    from nlpkit.tasks.embed.encoder.embedder import load
    from nlpkit.tasks.embed.whitening import fit as fit_map
    from nlpkit.tasks.embed.whitening.whitening import Projection

    if maps.dim is None:
        raise UsageError("a projection needs --dim K")
    embedder = load(flags.model, flags.device, flags.dtype, pooling)
    if maps.dim > embedder.width:
        raise UsageError(f"--dim {maps.dim}: the vectors of {embedder.name} have {embedder.width} dimensions")
    made = Projection.random(embedder.width, maps.dim, flags.seed, embedder.raw_identity)
    write_json(None, [{"output": str(fit_map.store(made, flags.output)), **made.identity, "dim": made.dim}])


def train_encoder(
    flags: EmbedFlags,
    losses: LossFlags,
    method: "Method",
    pooling: str,
    field: str | None,
    train: Callable[..., None],
) -> None:
    """SimCSE or CoSENT through the loop of every task; the folder is then one of sentence-transformers as well."""
    from nlpkit.core.model.manifest import check_model_folder
    from nlpkit.errors import DataError, UsageError
    from nlpkit.tasks import default_model
    from nlpkit.tasks.embed.data import read_pairs, read_versions
    from nlpkit.tasks.embed.metric import pair_scores
    from nlpkit.tasks.embed.sentence_transformers.reader import write_modules
    from nlpkit.tasks.embed.task import EmbedSettings, EmbedTask, trained_pooling

    if not flags.files:
        raise UsageError(f"--method {method} needs files to learn from")
    if field is not None and method == "cosent":
        raise UsageError("--field: pairs have fields of their own, sentence1, sentence2 and score; leave it out")
    dropout = SIMCSE_DROPOUT if method == "simcse" and flags.dropout is None else flags.dropout
    if losses.r_drop and not dropout:
        raise UsageError("--r-drop compares two passes under different dropout: give --dropout P")
    check_model_folder(flags.output, "embed")
    errors = opt.error_policy(flags.on_error, flags.max_line)
    if method == "simcse":
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
    model = flags.model or default_model("embed")
    contrast = losses.contrast if method == "cosent" else 0.0
    task = EmbedTask(EmbedSettings(method, trained_pooling(pooling, model), losses.scale, contrast, losses.r_drop))
    train(task, train_set, dev_set, replace(flags, model=model, dropout=dropout))
    write_modules(flags.output)
    opt.finish(errors)
