"""A run's loss and dev metric, drawn with block characters from its log."""

from pathlib import Path
from typing import Any

import orjson
from typing_extensions import NotRequired, TypedDict

from nlpkit.core.io.json_shapes import Count, conform
from nlpkit.core.model.manifest import LOG, reader, reason
from nlpkit.errors import ModelError

WIDTH, HEIGHT = 72, 10
_BLOCKS = " ▁▂▃▄▅▆▇█"


def draw(folder: Path) -> str:
    """Two charts over the steps: the training loss, and the dev metric that chooses the best weights.

    Raises:
        ModelError: the folder has no log.
    """
    charts = [chart(name, points) for name, points in curves(folder).items()]
    return "\n\n".join(charts) or f"{folder}: nothing logged yet"


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """What `draw` draws, by name: points (step, value).

    Raises:
        ModelError: the folder has no log, or a broken one.
    """
    try:
        written = reader((folder / LOG).parent).read((folder / LOG).name).split(b"\n")
    except FileNotFoundError:
        raise ModelError(f"{folder}: no {LOG} there; name the --output of a training run") from None
    try:
        # What comes last is empty, or not yet a whole line.
        lines = [conform(orjson.loads(line), _LogLine) for line in written[:-1]]
        found: dict[str, list[tuple[int, float]]] = {}
        for line in lines:
            if "loss" in line:
                found.setdefault("loss", []).append((line["step"], line["loss"]))
            if "dev" in line:
                found.setdefault(line["metric"], []).append((line["step"], float(line["dev"][line["metric"]])))
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{folder / LOG}: broken ({reason(error)}); delete it, or train again") from None
    return found


class _LogLine(TypedDict):
    step: Count
    loss: NotRequired[float]
    dev: NotRequired[dict[str, Any]]
    metric: NotRequired[str]


def averaged(points: list[tuple[int, float]], most: int) -> list[tuple[int, float]]:
    """At most so many points, each the last step and the mean value of those that it stands for."""
    count = min(most, len(points))
    parts = [points[i * len(points) // count : (i + 1) * len(points) // count] for i in range(count)]
    return [(part[-1][0], sum(value for _, value in part) / len(part)) for part in parts]


def chart(name: str, points: list[tuple[int, float]]) -> str:
    """A bar chart: points (x, y) averaged into columns, y from its least to its greatest value."""
    values = [value for _, value in averaged(points, WIDTH)]
    low, high = min(values), max(values)
    levels = [1 + (value - low) / (high - low or 1) * (HEIGHT * 8 - 1) for value in values]
    rows = []
    for row in range(HEIGHT - 1, -1, -1):
        cells = "".join(_BLOCKS[max(0, min(8, round(level - row * 8)))] for level in levels)
        edge = f"{high:.4g}" if row == HEIGHT - 1 else f"{low:.4g}" if row == 0 else ""
        rows.append(f"{edge:>9} │{cells}")
    span = f"step {points[0][0]} … {points[-1][0]}, last {points[-1][1]:.4g}"
    return "\n".join([f"{name}: {span}", *rows])
