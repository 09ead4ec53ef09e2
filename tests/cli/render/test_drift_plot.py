"""Plots of two clouds: on a terminal, as SVG and as a page."""

from nlpkit.cli.render.drift_plot import HEIGHT, WIDTH, Scatter


def test_the_terminal_shows_both_clouds():
    left, right = ([[x + dx, y] for x in range(10) for y in range(10)] for dx in (0, 30))
    lines = Scatter((("one.npy", left), ("two.npy", right)), (0.75, 0.2)).text().split("\n")
    assert lines[0] == "a: one.npy   b: two.npy   75% of the variance across, 20% up"
    assert len(lines) == HEIGHT + 1
    assert all(len(line) <= WIDTH for line in lines[1:])
    drawn = "".join(line.ljust(WIDTH) for line in lines[1:])
    halves = ["".join(line.ljust(WIDTH)[start : start + WIDTH // 2] for line in lines[1:]) for start in (0, WIDTH // 2)]
    assert set(halves[0]) == {"a", " "}
    assert set(halves[1]) == {"b", " "}
    both = Scatter((("one", left), ("two", left)), (1.0, 0.0)).text().split("\n")[1:]
    assert set("".join(both)) == {"#", " "}
    assert drawn.count("a") == drawn.count("b") > 40
    assert "#" in Scatter((("one", [[1, 1]]), ("two", [[1, 1]])), (0.0, 0.0)).text()
