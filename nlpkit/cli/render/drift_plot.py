"""Plots of two clouds of points: for the terminal, as SVG, or as a web page."""

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import atan2, degrees, sqrt

WIDTH, HEIGHT = 72, 24  # characters
SIZE, MARGIN = 640, 24  # pixels
COLOURS = ("#2563eb", "#dc2626")
Points = Sequence[Sequence[float]]

_STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.6 system-ui, "PingFang SC", "Noto Sans CJK SC", "Microsoft YaHei", sans-serif;
       max-width: 48em; margin: 2em auto; padding: 0 1em }
td { padding: 0 1.2em 0 0; font-variant-numeric: tabular-nums }
svg { max-width: 100%; height: auto }
"""


@dataclass(frozen=True, slots=True)
class Scatter:
    """A plot of two clouds.

    Attributes:
        clouds: name and points (x, y) of each.
        variances: fraction of the variance along each axis.
    """

    clouds: tuple[tuple[str, Points], tuple[str, Points]]
    variances: tuple[float, float]

    def text(self) -> str:
        """Return the plot as text: `a` where the first cloud prevails, `b` the second, `#` where both are as dense."""
        (low_x, high_x), (low_y, high_y) = self._range(0), self._range(1)
        cells = [[[0, 0] for _ in range(WIDTH)] for _ in range(HEIGHT)]
        for which, (_, points) in enumerate(self.clouds):
            for x, y in points:
                column = min(WIDTH - 1, int((x - low_x) / (high_x - low_x) * WIDTH))
                row = min(HEIGHT - 1, int((high_y - y) / (high_y - low_y) * HEIGHT))
                cells[row][column][which] += 1
        rows = ["".join(_letter(*cell) for cell in row).rstrip() for row in cells]
        return "\n".join([f"a: {self.clouds[0][0]}   b: {self.clouds[1][0]}   {self._axes()}", *rows])

    def svg(self) -> str:
        """Return the plot as SVG, with the ellipse of two standard deviations around each cloud."""
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {SIZE} {SIZE}" width="{SIZE}" height="{SIZE}"'
            ' font-family="sans-serif" font-size="13">'
        ]
        for which, (name, points) in enumerate(self.clouds):
            placed = [self._place(point) for point in points]
            dots = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in placed)
            colour = COLOURS[which]
            parts += [
                f'<path d="{dots}" stroke="{colour}" stroke-width="3" stroke-linecap="round" stroke-opacity=".35"/>',
                _ellipse(placed, colour),
                f'<text x="{MARGIN}" y="{MARGIN + 18 * which}" fill="{colour}">{html.escape(name)}</text>',
            ]
        parts.append(f'<text x="{MARGIN}" y="{SIZE - 6}" fill="#888">{self._axes()}</text></svg>')
        return "\n".join(parts) + "\n"

    def page(self, figures: Mapping[str, float]) -> str:
        """Return a self-contained web page with the plot and a table of figures."""
        rows = "".join(f"<tr><td>{html.escape(name)}</td><td>{value:,g}</td></tr>\n" for name, value in figures.items())
        return (
            f'<!doctype html><html lang="en"><meta charset="utf-8"><title>nlpkit drift</title><style>{_STYLE}</style>'
            f"<body>\n{self.svg()}<table>\n{rows}</table></body></html>\n"
        )

    def _axes(self) -> str:
        return f"{self.variances[0]:.0%} of the variance across, {self.variances[1]:.0%} up"

    def _range(self, axis: int) -> tuple[float, float]:
        """Return the minimum and maximum coordinate; they always differ."""
        values = [point[axis] for _, points in self.clouds for point in points]
        low, high = min(values), max(values)
        return (low, high) if high > low else (low - 0.5, high + 0.5)

    def _place(self, point: Sequence[float]) -> tuple[float, float]:
        """Return the pixels of a point; both axes have the same scale, so that distances are true."""
        (low_x, high_x), (low_y, high_y) = self._range(0), self._range(1)
        scale = (SIZE - 4 * MARGIN) / max(high_x - low_x, high_y - low_y)
        x = SIZE / 2 + (point[0] - (low_x + high_x) / 2) * scale
        return x, SIZE / 2 - (point[1] - (low_y + high_y) / 2) * scale


def _letter(first: int, second: int) -> str:
    if not first and not second:
        return " "
    if min(first, second) * 2 >= max(first, second):
        return "#"
    return "a" if first > second else "b"


def _ellipse(points: Points, colour: str) -> str:
    """Return the ellipse of two standard deviations around the mean, along the axes of the covariance."""
    number = len(points)
    mean_x, mean_y = (sum(point[axis] for point in points) / number for axis in (0, 1))
    xx = sum((x - mean_x) ** 2 for x, _ in points) / number
    yy = sum((y - mean_y) ** 2 for _, y in points) / number
    xy = sum((x - mean_x) * (y - mean_y) for x, y in points) / number
    mean, spread = (xx + yy) / 2, sqrt(((xx - yy) / 2) ** 2 + xy**2)  # eigenvalues are mean ± spread
    long, short = (2 * sqrt(max(0.0, value)) for value in (mean + spread, mean - spread))
    angle = degrees(atan2(2 * xy, xx - yy)) / 2
    return (
        f'<ellipse rx="{long:.1f}" ry="{short:.1f}" fill="none" stroke="{colour}" stroke-width="2"'
        f' transform="translate({mean_x:.1f} {mean_y:.1f}) rotate({angle:.1f})"/>'
    )
