"""`nlpkit train whitening` and `nlpkit train projection`: linear maps of the vectors of a model."""

from pathlib import Path
from typing import Annotated

import typer

from nlpkit.cli import options as opt
from nlpkit.core.io.records import MAX_LINE

MapFile = Annotated[
    Path,
    typer.Option("--output", "-o", metavar="FILE|DIR", help="File to write, or the folder of the model itself."),
]


def whitening(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILES…", callback=opt.text_files, help="Texts, or .npy files of vectors.", show_default=False
        ),
    ],
    output: MapFile,
    model: opt.ModelName = None,
    pooling: opt.Pooling = "auto",
    field: opt.TextField = None,
    input_format: opt.InputFormat = None,
    dim: Annotated[int | None, typer.Option(min=1, metavar="K", help="Number of dimensions (default: all).")] = None,
    beta: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Fraction of the mean to subtract (default: 1; use 0 for trained models)."),
    ] = None,
    gamma: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Exponent of the variance normalization (default: 1; use 0, i.e. PCA, for trained models).",
        ),
    ] = None,
    merge: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Whitening whose statistics the new texts are added to, and whose --dim, --beta and --gamma are kept.",
        ),
    ] = None,
    encoding: opt.Encoding = "utf-8",
    device: opt.DeviceName = "auto",
    dtype: opt.Dtype = "auto",
    on_error: opt.OnErrorPolicy = "fail",
    max_line: opt.MaxLine = MAX_LINE,
    quiet: opt.Quiet = False,
) -> None:
    """Fit a whitening (or PCA) of the vectors of a model; print one JSON object.

    Reads any number of texts, or of vectors that `nlpkit embed --raw` wrote, in one pass. Apply it with `nlpkit embed
    --whiten FILE`, or, if --output is the folder of the model, with `--whiten stored`.

    \b
        nlpkit train whitening corpus.txt --dim 128 -o w.safetensors && nlpkit embed --whiten w.safetensors corpus.txt
    """
    from nlpkit.cli.error_handling import message
    from nlpkit.cli.progress import reading
    from nlpkit.core.io.records import write_json
    from nlpkit.errors import UsageError
    from nlpkit.tasks.embed.loading import load
    from nlpkit.tasks.embed.whitening import fit

    vectors = [path for path in files if path.endswith(".npy")]
    if 0 < len(vectors) < len(files):
        raise UsageError("a whitening is fitted on files of text, or on .npy files of vectors; name some of one kind")
    if vectors:
        options = {"--model": model is not None, "--pooling": pooling != "auto", "--field": field is not None}
        for name in (name for name, given in options.items() if given):
            raise UsageError(f"{name}: does not apply to .npy files of vectors; leave it out")
    errors = opt.error_policy(on_error, max_line)
    embedder = None if vectors else load(model, device, dtype, pooling)
    if embedder is not None and dim is not None and dim > embedder.width:
        raise UsageError(f"--dim {dim}: the vectors of {embedder.name} have {embedder.width} dimensions")
    provenance = fit.vectors_provenance(vectors[0]) if embedder is None else embedder.raw_provenance
    fit.output_path(output, provenance)  # what cannot be should be known before a long pass
    before = None if merge is None else fit.read_whitening(merge, provenance)
    with reading(files, quiet) as advance:
        if embedder is None:
            fitted = fit.fit_on_vectors(vectors, advance)
        else:
            fitted = fit.fit_on_texts(files, embedder, field, encoding, errors, advance, format=input_format)
    if before is not None:
        fitted = fit.merge(fitted, before)
    fitted = fit.with_settings(fitted, beta, gamma, dim, ", ".join(files))
    for warning in fit.rank_warnings(fitted):
        message(f"warning: {warning}")
    path = fit.write_map(fitted, output)
    write_json(None, [{"output": str(path), **fitted.provenance, **fitted.settings, "dim": fitted.dim}])
    opt.finish(errors)


def projection(
    output: MapFile,
    dim: Annotated[int, typer.Option(min=1, metavar="K", help="Number of dimensions.")],
    model: opt.ModelName = None,
    pooling: opt.Pooling = "auto",
    seed: Annotated[int, typer.Option(help="Random seed.")] = 42,
) -> None:
    """Make a random projection (Johnson-Lindenstrauss) of the vectors of a model; print one JSON object.

    It needs no texts. Apply it with `nlpkit embed --whiten FILE`.

    \b
        nlpkit train projection --dim 128 -o jl.safetensors && nlpkit embed --whiten jl.safetensors corpus.txt
    """
    from nlpkit.core.io.records import write_json
    from nlpkit.errors import UsageError
    from nlpkit.tasks.embed.encoder.linear_map import Projection
    from nlpkit.tasks.embed.loading import load
    from nlpkit.tasks.embed.whitening import fit

    embedder = load(model, "cpu", "fp32", pooling)  # only its width and identity are needed
    if dim > embedder.width:
        raise UsageError(f"--dim {dim}: the vectors of {embedder.name} have {embedder.width} dimensions")
    made = Projection.random(embedder.width, dim, seed, embedder.raw_provenance)
    write_json(None, [{"output": str(fit.write_map(made, output)), **made.provenance, "dim": made.dim}])
