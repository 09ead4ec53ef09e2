"""Charts of a training run, drawn with block characters from its log."""

from pathlib import Path
from typing import Any, NotRequired

import orjson
from typing_extensions import TypedDict

from nlpkit.core.io.json_shapes import Count, conform
from nlpkit.core.model.manifest import LOG, reader, reason
from nlpkit.errors import ModelError

WIDTH, HEIGHT = 72, 10
_BLOCKS = " ▁▂▃▄▅▆▇█"


def draw(folder: Path) -> str:
    """Return two charts over the steps: the training loss, and the dev metric that selects the best weights.

    Raises:
        ModelError: the folder has no log.
    """
    charts = [chart(name, points) for name, points in curves(folder).items()]
    return "\n\n".join(charts) or f"{folder}: nothing logged yet"


def curves(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Return the curves that `draw` shows, by name: points (step, value).

    Raises:
        ModelError: the folder has no log, or a broken one.
    """
    try:
        written = reader((folder / LOG).parent).read((folder / LOG).name).split(b"\n")
    except FileNotFoundError:
        raise ModelError(f"{folder}: no {LOG} there; name the --output of a training run") from None
    try:
        # The last line is empty, or not complete yet.
        lines = [conform(orjson.loads(line), _LogLine) for line in written[:-1]]
        points: dict[str, list[tuple[int, float]]] = {}
        for line in lines:
            if "loss" in line:
                points.setdefault("loss", []).append((line["step"], line["loss"]))
            if "dev" in line:
                points.setdefault(line["metric"], []).append((line["step"], float(line["dev"][line["metric"]])))
    except (ValueError, TypeError, KeyError) as error:
        raise ModelError(f"{folder / LOG}: broken ({reason(error)}); delete it, or train again") from None
    return points


class _LogLine(TypedDict):
    step: Count
    loss: NotRequired[float]
    dev: NotRequired[dict[str, Any]]
    metric: NotRequired[str]


def averaged(points: list[tuple[int, float]], max_points: int) -> list[tuple[int, float]]:
    """Return at most `max_points` points; each has the last step and the mean value of the points that it replaces."""
    count = min(max_points, len(points))
    groups = [points[i * len(points) // count : (i + 1) * len(points) // count] for i in range(count)]
    return [(group[-1][0], sum(value for _, value in group) / len(group)) for group in groups]


def chart(name: str, points: list[tuple[int, float]]) -> str:
    """Return a bar chart: points (x, y) averaged into columns, y from its minimum to its maximum."""
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
