"""Charts of a training run, from its log."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpkit.cli.render.loss_chart import averaged, chart, draw
from nlpkit.core.model.manifest import LOG
from nlpkit.errors import ModelError


@pytest.mark.parametrize("points", [[(1, 0.5)], [(1, 0.5), (2, 0.5)], [(i, 100 / i) for i in range(1, 500)]])
def test_charts(points):
    title, *rows = chart("loss", points).splitlines()
    assert title.startswith(f"loss: step 1 … {points[-1][0]}, last ")
    assert len(rows) == 10
    assert {len(row) for row in rows} == {11 + min(72, len(points))}


def test_a_chart_falls_from_left_to_right():
    rows = chart("loss", [(i, 10 - i) for i in range(10)]).splitlines()[1:]
    heights = [sum(row[11 + column] != " " for row in rows) for column in range(10)]
    assert heights == sorted(heights, reverse=True)
    assert (heights[0], heights[-1]) == (10, 1)


def test_the_metric_that_chooses_is_drawn(tmp_path):
    (tmp_path / "training").mkdir()
    lines = [
        {"step": 1, "loss": 2.0},
        {"step": 2, "dev": {"loss": 9.0, "spearman": 0.25, "labels": {}}, "metric": "spearman"},
        {"step": 4, "dev": {"loss": 8.0, "spearman": 0.5, "labels": {}}, "metric": "spearman"},
    ]
    (tmp_path / LOG).write_text("".join(json.dumps(line) + "\n" for line in lines))
    loss, metric = draw(tmp_path).split("\n\n")
    assert loss.startswith("loss: step 1 … 1, last 2\n")
    assert metric.startswith("spearman: step 2 … 4, last 0.5\n")


def test_points_are_averaged():
    assert averaged([(1, 4.0), (2, 2.0), (3, 1.0), (4, 0.0)], 2) == [(2, 3.0), (4, 0.5)]
    assert averaged([(1, 4.0), (2, 2.0)], 8) == [(1, 4.0), (2, 2.0)]
    assert averaged([], 8) == []


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=200), st.integers(1, 100))
def test_an_average_keeps_every_point_once(values, most):
    points = list(enumerate(values))
    found = averaged(points, most)
    assert len(found) == min(most, len(points))
    ends = [step for step, _ in found]
    assert ends == sorted(set(ends))
    assert ends[-1] == len(points) - 1
    start = 0
    for end, mean in found:
        assert mean == pytest.approx(sum(values[start : end + 1]) / (end + 1 - start))
        start = end + 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"loss": 1.0}', "no field step"),
        ('{"step": 1.5}', "step must be a whole number"),
        ('{"step": 1, "loss": "x"}', "loss must be"),
        ('{"step": 1, "dev": {"f1": 0.5}}', "no 'metric'"),
        ('{"step": 1, "dev": {"f1": 0.5}, "metric": "em"}', "no 'em'"),
        ('{"step": 1, "dev": {"f1": []}, "metric": "f1"}', "float"),
        ("[1]", "it must be an object, not a list"),
    ],
)
def test_a_log_of_other_things(tmp_path, line, message):
    (tmp_path / "training").mkdir()
    (tmp_path / LOG).write_text(line + "\n")
    with pytest.raises(ModelError, match=rf"log\.jsonl: broken \(.*{message}.*; delete it, or train again") as caught:
        draw(tmp_path)
    assert len(str(caught.value).splitlines()) == 1


def test_a_folder_without_a_log(tmp_path):
    with pytest.raises(ModelError, match=r"no training/log\.jsonl there; name the --output of a training run"):
        draw(tmp_path)


def test_a_log_that_is_being_written(tmp_path):
    (tmp_path / "training").mkdir()
    (tmp_path / LOG).write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "lo')
    assert draw(tmp_path).startswith("loss: step 1 … 1, last 2")
    (tmp_path / LOG).write_text('{"step": 1, "lo\n{"step": 2, "loss": 2.0}\n')
    with pytest.raises(ModelError, match=r"log\.jsonl: broken"):
        draw(tmp_path)
    (tmp_path / LOG).write_text("")
    assert draw(tmp_path).endswith("nothing logged yet")
