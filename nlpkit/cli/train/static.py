"""`nlpkit train embed --method static`."""

from dataclasses import dataclass
from typing import Annotated

import typer

from nlpkit.cli import options as opt
from nlpkit.cli.train.embed import EmbedFlags


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticFlags:
    """What static vectors take besides."""

    tokens: Annotated[int, typer.Option(min=1000, help="Static: maximum number of characters and words.")] = 40_000
    lines: Annotated[
        int, typer.Option(min=100, help="Static: number of lines to learn from, sampled at random; pairs are added.")
    ] = 300_000
    smoothing: Annotated[
        float, typer.Option(min=1e-6, help="Static: smoothing a of the initial weights a / (a + p), p the frequency.")
    ] = 1e-3
    pair_weight: Annotated[
        float, typer.Option(min=0.0, help="Static: weight of scored pairs relative to the model's vectors.")
    ] = 0.03


def distil_static(flags: EmbedFlags, static: StaticFlags, dim: int | None, pooling: str, field: str | None) -> None:
    """Makes static vectors from a model and writes their folder."""
    from nlpkit.cli.progress import stages
    from nlpkit.core.io.records import write_json
    from nlpkit.core.model.manifest import check_model_folder
    from nlpkit.errors import UsageError
    from nlpkit.tasks.embed.data import read_pairs
    from nlpkit.tasks.embed.encoder.embedder import load
    from nlpkit.tasks.embed.sentence_transformers.reader import write_modules
    from nlpkit.tasks.embed.static import distil

    if not flags.files:
        raise UsageError("static vectors are learned from texts: name files, of sentences or of scored pairs")
    if flags.resume:
        raise UsageError("--resume: static vectors take minutes and are not saved in between; leave it out")
    check_model_folder(flags.output, "embed")
    errors = opt.error_policy(flags.on_error, flags.max_line)
    teacher = load(flags.model, flags.device, flags.dtype, pooling)
    settings = distil.DistilSettings(
        dim=dim or min(distil.DIM, teacher.dim), tokens=static.tokens, lines=static.lines,
        smoothing=static.smoothing, pair_weight=static.pair_weight, epochs=flags.epochs, seed=flags.seed,
        lr=distil.LR if flags.lr is None else flags.lr,
    )  # fmt: skip
    material = distil.read_material(flags.files, settings, field, flags.encoding, errors)
    dev = list(read_pairs(flags.dev or [], flags.encoding, errors))
    with stages(flags.quiet) as progress:
        made = distil.distil(teacher, material, settings, progress)
    sources = {"training": flags.files, "dev": flags.dev or []}
    metrics = distil.write(made, teacher, dev, flags.output, settings, flags.store, sources)
    write_modules(flags.output)
    write_json(None, [metrics])
    opt.finish(errors)
