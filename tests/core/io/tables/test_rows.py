"""CSV with quotes, and quotes that are never closed."""

import csv
import io

import pytest
from graph_support import read_skipping, read_triples
from hypothesis import given
from hypothesis import strategies as st

from nlpkit.core.io.records import ErrorPolicy, Line
from nlpkit.core.io.tables.rows import read_rows
from nlpkit.errors import DataError

HEAD = "subject,predicate,object\n"
ROWS = [f"城市{number},人口,{number}万\n" for number in range(40)]
cells = st.text(st.sampled_from('长江 a,"\n，'), min_size=1, max_size=6)


@pytest.mark.parametrize(
    ("bad", "behind", "said"),
    [
        ('长江,别名,"扬子江\n', "", "a quote opens here and is not closed in the 40 line(s) up to the end"),
        ('长江,"别名,扬子江\n', "", "is not closed in the 40 line(s) up to the end"),
        ('"长江,别名,扬子江\n', '黄河,别名,"河"\n', "is closed 41 line(s) below, where text follows it"),
        ('长江,别名,"扬子江\n', '黄河,别名,河"\n', "includes the next 41 line(s), which look like rows of their own"),
        ('长江,"别\n名",x"y,"扬\n', "", "is not closed in the 40 line(s) up to the end"),
    ],
)
def test_a_quote_that_is_never_closed_costs_its_own_line(tmp_path, bad, behind, said):
    content = HEAD + ROWS[0] + bad + "".join(ROWS) + behind
    opening = 2 + bad.count("\n")
    expected = read_triples(tmp_path / "good.csv", HEAD + ROWS[0] + "".join(ROWS) + behind.replace('"河"', "河"))
    triples, numbers, (message,) = read_skipping(tmp_path / "a.csv", content)
    assert (triples, numbers) == (expected, [opening])
    assert said in message
    with pytest.raises(DataError, match=rf"a\.csv:{opening}: not valid CSV: a quote"):
        read_triples(tmp_path / "a.csv", content)


def test_a_quote_that_is_closed_too_far_away(tmp_path):
    rows = [f"城市{number},人口,{number}万\n" for number in range(20_000)]
    triples, numbers, (message,) = read_skipping(tmp_path / "a.csv", HEAD + '长江,别名,"扬子江\n' + "".join(rows))
    assert (len(triples), numbers) == (20_000, [2])
    assert "is not closed within 131,072 characters" in message


def test_a_field_of_several_lines_stays_one(tmp_path):
    poem = "床前明月光，\n疑是地上霜。\n\n举头望明月,\n低头思故乡。"
    assert read_triples(tmp_path / "a.csv", f'{HEAD}静夜思,原文,"{poem}"\n静夜思,作者,"李""白"\n') == [
        ("静夜思", "原文", poem), ("静夜思", "作者", '李"白'),
    ]  # fmt: skip


@given(st.lists(st.tuples(cells, cells, cells), max_size=6))
def test_rows_are_those_of_the_csv_module(rows):
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([("a", "b", "c"), *rows])
    lines = [Line(text, "a.csv", number) for number, text in enumerate(stream.getvalue().split("\n")[:-1], 1)]
    bad = []
    found = [tuple(row) for _, row in read_rows(lines, ErrorPolicy("skip", report=bad.append))]
    if not bad:  # a field of several lines that look like rows is refused
        assert found == [("a", "b", "c"), *rows]
    else:
        assert "look like rows of their own" in str(bad[0])
