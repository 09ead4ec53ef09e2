"""`nlpkit models`."""

from typing import Annotated, Any

import typer

MAX_POINTS = 32  # of a curve on a card


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
    from nlpkit.core.model.manifest import EMBEDDED, LOG, embedded_names, find_local, read_card, read_manifest
    from nlpkit.tasks import TASKS

    defaults = [task.default_model for task in TASKS]

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
            "default": folder.name in defaults and folder.parent == EMBEDDED,
            "parameters": manifest.training.get("parameters"),
            "mebibytes": round(size / 2**20, 1),
            "metric": manifest.training.get("metric", "f1"),
            "scores": score,
            **{key: value for key, value in read_card(folder).items() if key != "sources"},  # too many for a list
        }

    if name is not None:
        folder = find_local(name)
        if check:
            verify(folder)
        card = {"folder": str(folder), **summary(folder), **read_card(folder), **asdict(read_manifest(folder))}
        if (folder / LOG).exists():
            card["curves"] = {curve: averaged(points, MAX_POINTS) for curve, points in curves(folder).items()}
        write_json(None, [card])
        return
    for embedded in embedded_names():
        if check:
            verify(find_local(embedded))
        row = summary(find_local(embedded))
        if sys.stdout.isatty():
            typer.echo(_format_row(row))
        else:
            write_json(None, [row])


def _format_row(row: dict[str, Any]) -> str:
    """Return the summary of a model as a line of a table."""
    name = row["metric"]
    scores = ", ".join(
        f"{split} {name} {metrics[name]:.3f}" for split, metrics in row["scores"].items() if name in metrics
    )
    parameters = f"{row['parameters'] / 1e6:.1f}M" if row["parameters"] else "?"
    size = f"{row['mebibytes']} MiB"
    return f"{row['name']:<16} {row['task']:<8} {parameters:>7} {size:>9}  {scores}  ({row.get('licence', '?')})"
