"""Plots of two clouds: on a terminal, as SVG and as a page."""

import html
import re
import xml.etree.ElementTree as ElementTree
from itertools import pairwise
from math import cos, hypot, radians, sin

import numpy as np
import pytest

from nlpkit.cli.render.drift_plot import HEIGHT, MARGIN, SIZE, WIDTH, Scatter

LEFT, RIGHT = ([[x + dx, y] for x in range(10) for y in range(10)] for dx in (0, 30))
SVG = "{http://www.w3.org/2000/svg}"


def scatter(first=LEFT, second=RIGHT, names=("one.npy", "two.npy")):
    return Scatter(((names[0], first), (names[1], second)), (0.75, 0.2))


def lines_of(plot):
    head, *lines = plot.text().split("\n")
    assert len(lines) == HEIGHT
    assert all(len(line) <= WIDTH and line == line.rstrip() for line in lines)
    return head, [line.ljust(WIDTH) for line in lines]


def test_a_terminal_shows_each_cloud_where_it_is():
    head, lines = lines_of(scatter())
    assert head == "a: one.npy   b: two.npy   75% of the variance across, 20% up"
    assert {cell for line in lines for cell in line[: WIDTH // 2]} == {"a", " "}
    assert {cell for line in lines for cell in line[WIDTH // 2 :]} == {"b", " "}
    drawn = "".join(lines)
    assert drawn.count("a") == drawn.count("b") > 40


def test_the_corners_are_at_the_edges():
    """The first axis goes to the right, the second one up."""
    _, lines = lines_of(scatter([[0, 0]], [[5, 7]]))
    assert (lines[-1][0], lines[0][-1]) == ("a", "b")


@pytest.mark.parametrize(
    ("first", "second", "letter"), [(4, 1, "a"), (2, 1, "#"), (3, 3, "#"), (1, 2, "#"), (1, 3, "b")]
)
def test_a_cell_shows_which_cloud_prevails(first, second, letter):
    corners = [[0.0, 0.0], [1.0, 1.0]]
    _, lines = lines_of(scatter([[0.5, 0.5]] * first + corners, [[0.5, 0.5]] * second + corners))
    assert lines[HEIGHT // 2][WIDTH // 2] == letter


def test_points_at_one_place():
    assert "#" in Scatter((("one", [[1, 1]]), ("two", [[1, 1]])), (0.0, 0.0)).text()


def parsed(plot):
    root = ElementTree.fromstring(plot.svg())
    return root, root.findall(f"{SVG}path"), root.findall(f"{SVG}ellipse")


def places(path):
    return [tuple(map(float, place)) for place in re.findall(r"M(\S+) (\S+?)h0", path.attrib["d"])]


def test_every_point_is_in_the_picture_at_a_true_distance():
    root, paths, _ = parsed(scatter())
    assert (root.attrib["width"], root.attrib["height"]) == (str(SIZE), str(SIZE))
    for path, points in zip(paths, (LEFT, RIGHT), strict=True):
        placed = places(path)
        assert len(placed) == len(points)
        assert all(MARGIN <= value <= SIZE - MARGIN for place in placed for value in place)
    drawn, given = (places(paths[0]) + places(paths[1])), LEFT + RIGHT
    scale = (SIZE - 4 * MARGIN) / 39  # the clouds are 39 wide
    for (p, q), (a, b) in zip(pairwise(drawn), pairwise(given), strict=True):
        assert hypot(q[0] - p[0], q[1] - p[1]) == pytest.approx(scale * hypot(b[0] - a[0], b[1] - a[1]), abs=0.2)


def test_an_ellipse_is_that_of_two_standard_deviations():
    """Its axes are the eigenvectors of the covariance of the drawn points."""
    random = np.random.default_rng(0)
    cloud = (random.standard_normal((300, 2)) @ [[3, 1], [0, 0.5]]).tolist()
    _, paths, ellipses = parsed(scatter(cloud))
    placed = np.array(places(paths[0]))
    values, vectors = np.linalg.eigh(np.cov(placed.T, bias=True))
    found = ellipses[0].attrib
    radii = float(found["rx"]), float(found["ry"])
    assert radii == pytest.approx((2 * values[1] ** 0.5, 2 * values[0] ** 0.5), rel=0.02)
    x, y, angle = map(float, re.findall(r"-?[\d.]+", found["transform"]))
    assert (x, y) == pytest.approx(tuple(placed.mean(0)), abs=0.1)
    assert abs(np.array([cos(radians(angle)), sin(radians(angle))]) @ vectors[:, 1]) == pytest.approx(1, abs=1e-3)


def test_names_are_escaped_and_the_page_needs_nothing_else():
    plot = scatter(names=("<a>&.npy", '"b".npy'))
    root, _, _ = parsed(plot)
    assert [text.text for text in root.findall(f"{SVG}text")][:2] == ["<a>&.npy", '"b".npy']
    page = plot.page({"w2": 1234567.25, "<kl>": 0.5})
    assert page.startswith("<!doctype html>")
    assert plot.svg() in page
    assert f"<tr><td>w2</td><td>{1234567.25:,g}</td></tr>" in page
    assert f"<td>{html.escape('<kl>')}</td><td>0.5</td>" in page
    assert "http" not in page.replace("http://www.w3.org/2000/svg", "")
