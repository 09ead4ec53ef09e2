"""`nlpkit drift`."""

from typing import Annotated

import typer

from nlpkit.cli import options as opt


def drift(
    first: Annotated[str, typer.Argument(metavar="A.npy", help="Vectors made by `nlpkit embed`.", show_default=False)],
    second: Annotated[str, typer.Argument(metavar="B.npy", help="Vectors of the other corpus.", show_default=False)],
    shrinkage: Annotated[
        float,
        typer.Option(
            min=0.0,
            max=1.0,
            help="Covariance shrinkage towards a multiple of the identity, for KL and Bhattacharyya (0: off).",
        ),
    ] = 1e-3,
    html: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            callback=opt.page_file,
            help="Also plot both sets of vectors in a web page, or in an .svg file.",
        ),
    ] = None,
    output: opt.Output = None,
    quiet: opt.Quiet = False,
) -> None:
    """Measure the distance between the embeddings of two corpora; print one JSON object.

    KL divergence in both directions, Bhattacharyya and W2 distance of the Gaussians fitted to them. On a terminal, both
    sets are also plotted in the two directions in which they differ most.

    \b
        nlpkit embed may.txt -o may.npy && nlpkit embed june.txt -o june.npy && nlpkit drift may.npy june.npy
    """
    import sys
    from dataclasses import asdict

    from nlpkit.cli.error_handling import message
    from nlpkit.cli.render.drift_plot import Scatter
    from nlpkit.core.io.printable import one_line
    from nlpkit.core.io.records import open_output, write_json
    from nlpkit.tasks.embed.drift import drift as measure
    from nlpkit.tasks.embed.drift import principal_plane, read_cloud, size_warnings

    clouds = [read_cloud(first), read_cloud(second)]
    distances = measure(clouds[0], clouds[1], shrinkage)
    for cloud in clouds:
        for warning in size_warnings(cloud):
            message(f"warning: {warning}")
    counts = {"a": clouds[0].moments.count, "b": clouds[1].moments.count, "dim": len(clouds[0].moments.mean)}
    result = {name: round(value, 6) for name, value in asdict(distances).items()} | {"shrinkage": shrinkage, **counts}
    show = sys.stderr is not None and sys.stderr.isatty() and not quiet
    if html or show:
        points_a, points_b, variances = principal_plane(clouds[0], clouds[1])
        named = ((one_line(first), points_a.tolist()), (one_line(second), points_b.tolist()))
        picture = Scatter(named, (variances[0], variances[1]))
        if html:
            with open_output(html) as stream:
                stream.write((picture.svg() if html.endswith(".svg") else picture.page(result)).encode())
        if show:
            typer.echo(picture.text(), err=True)
    write_json(output, [result])
