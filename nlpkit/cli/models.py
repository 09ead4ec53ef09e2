"""`nlpkit models`."""

from typing import Annotated, Any

import typer

POINTS = 32  # of a curve on a card


def models(
    name: Annotated[
        str | None,
        typer.Argument(metavar="[NAME|DIR]", help="Name of a model, to show its whole card.", show_default=False),
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Read the vocabulary and the weights, and compare the checksums.")
    ] = False,
) -> None:
    """List the embedded models, or show the card of one: task, size, training data, licence and scores.

    \b
        nlpkit models | jq -r '[.name, .task, .mebibytes] | @tsv'
        nlpkit models my-model --check | jq .task
    """
    import sys
    from dataclasses import asdict
    from pathlib import Path

    from nlpkit.cli.render.loss_chart import averaged, curves
    from nlpkit.core.io.records import write_json
    from nlpkit.core.model.manifest import LOG, embedded_names, find_local, read_card, read_manifest

    def verify(folder: Path) -> None:
        from nlpkit.core.model import checkpoint

        checkpoint.verify(folder, read_manifest(folder))

    def summary(folder: Path) -> dict[str, Any]:
        manifest = read_manifest(folder)
        size = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
        score = {
            split: {key: value for key, value in metrics.items() if key != "labels"}
            for split, metrics in manifest.metrics.items()
        }
        return {
            "name": folder.name,
            "task": manifest.task,
            "parameters": manifest.training.get("parameters"),
            "mebibytes": round(size / 2**20, 1),
            "metric": manifest.training.get("metric", "f1"),
            "scores": score,
            **{key: value for key, value in read_card(folder).items() if key != "sources"},  # dozens
        }

    if name is not None:
        folder = find_local(name)
        if check:
            verify(folder)
        found = {"folder": str(folder), **summary(folder), **read_card(folder), **asdict(read_manifest(folder))}
        if (folder / LOG).exists():
            found["curves"] = {curve: averaged(points, POINTS) for curve, points in curves(folder).items()}
        write_json(None, [found])
        return
    for embedded in embedded_names():
        if check:
            verify(find_local(embedded))
        found = summary(find_local(embedded))
        if sys.stdout.isatty():
            typer.echo(_row(found))
        else:
            write_json(None, [found])


def _row(found: dict[str, Any]) -> str:
    name = found["metric"]
    scores = ", ".join(
        f"{split} {name} {metrics[name]:.3f}" for split, metrics in found["scores"].items() if name in metrics
    )
    parameters = f"{found['parameters'] / 1e6:.1f}M" if found["parameters"] else "?"
    size = f"{found['mebibytes']} MiB"
    return f"{found['name']:<16} {found['task']:<8} {parameters:>7} {size:>9}  {scores}  ({found.get('licence', '?')})"
