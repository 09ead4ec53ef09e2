"""The rank correlation against SciPy's, and the scores of files."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpkit.errors import DataError
from nlpkit.tasks.embed.data import read_pairs
from nlpkit.tasks.embed.metric import pair_scores, ranks, spearman


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(-1, 1, width=16)), min_size=2))
def test_spearman_equals_scipy(values):
    stats = pytest.importorskip("scipy.stats")
    x, y = zip(*values, strict=True)
    assert np.array_equal(ranks(x), stats.rankdata(x))
    if len(set(x)) > 1 and len(set(y)) > 1:
        assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-9)
    else:
        assert spearman(x, y) == 0


def test_files_are_scored_each_on_its_own_scale(tmp_path):
    first = write(tmp_path / "a.tsv", "甲\t乙\t0\n丙\t丁\t1\n")
    second = write(tmp_path / "b.tsv", "甲\t乙\t5\n丙\t丁\t1\n戊\t己\t3\n")
    pairs = list(read_pairs([str(first), str(second)]))
    found = pair_scores(zip(pairs, [0.1, 0.2, 0.3, 0.5, 0.4], strict=True))
    assert found == {
        "files": {str(first): pytest.approx(100), str(second): pytest.approx(-100)},
        "mean": pytest.approx(0),
    }


def test_a_file_with_one_score_is_refused(tmp_path):
    pairs = list(read_pairs([str(write(tmp_path / "a.tsv", "甲\t乙\t1\n丙\t丁\t1\n"))]))
    with pytest.raises(DataError, match=r"a\.tsv: all 2 scores are 1; a rank correlation needs scores that differ"):
        pair_scores((pair, 0.5) for pair in pairs)
