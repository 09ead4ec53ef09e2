"""Postings on disk: those of a slow count, in runs of any size; what a build that fails leaves."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import texts

from nlpkit.tasks.embed.index import postings
from nlpkit.tasks.embed.index.postings import (
    BM25_FILES,
    COUNTS,
    LENGTHS,
    MAX_COUNT,
    ROWS,
    RUN_LENGTHS,
    RUN_STATE,
    RUN_TERMS,
    RUNS,
    STARTS,
    TERMS,
    write_bm25,
)
from nlpkit.tasks.embed.index.terms import terms


def read(folder):
    """Return the lengths, and the rows with their counts by term."""
    codes, starts, rows, counts, lengths = (
        np.load(folder / name).tolist() for name in (TERMS, STARTS, ROWS, COUNTS, LENGTHS)
    )
    assert codes == sorted(set(codes))
    assert len(starts) == len(codes) + 1
    assert starts[-1] == len(rows) == len(counts)
    bounds = zip(codes, starts, starts[1:], strict=False)
    return lengths, {code: list(zip(rows[a:b], counts[a:b], strict=True)) for code, a, b in bounds}


def counted(lines):
    """Return the same by a slow count."""
    postings = {}
    for row, text in enumerate(lines):
        for code, count in Counter(terms(text)).items():
            postings.setdefault(code, []).append((row, min(count, MAX_COUNT)))
    return [len(terms(text)) for text in lines], postings


@settings(max_examples=60)
@given(lines=st.lists(texts, min_size=1, max_size=12), run_terms=st.sampled_from([1, 2, 7, 40, RUN_TERMS]))
def test_postings_are_those_of_a_slow_count(tmp_path_factory, lines, run_terms):
    folder = tmp_path_factory.mktemp("bm25")
    write_bm25(folder, iter(lines), len(lines), run_terms=run_terms)
    assert read(folder) == counted(lines)
    assert sorted(path.name for path in folder.iterdir()) == sorted(BM25_FILES)


def test_a_term_that_is_in_every_text(tmp_path):
    lines = ["天"] * 500 + ["天 地"] * 500
    write_bm25(tmp_path, lines, len(lines), run_terms=90)
    assert read(tmp_path) == counted(lines)


def test_a_count_is_limited(tmp_path):
    write_bm25(tmp_path, ["a " * 300], 1)
    assert read(tmp_path) == ([300], {ord("a"): [(0, 255)]})


def test_texts_without_terms(tmp_path):
    write_bm25(tmp_path, ["，", "！"], 2)
    assert read(tmp_path) == ([0, 0], {})


def test_progress_is_in_texts(tmp_path):
    steps = []
    write_bm25(tmp_path, ["天"] * 5000, 5000, lambda *step: steps.append(step))
    assert steps == [("BM25", 4096, 5000), ("BM25", 5000, 5000)]


def test_a_build_that_fails_leaves_no_terms(tmp_path):
    def failing():
        yield "今天"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_bm25(tmp_path, failing(), 2)
    assert not (tmp_path / TERMS).exists()
    assert not (tmp_path / LENGTHS).exists()


def failing_after(lines):
    yield from lines
    raise KeyboardInterrupt


@pytest.mark.parametrize("damage", [None, RUNS, RUN_LENGTHS, RUN_STATE])
@pytest.mark.parametrize("read_before", [9, 20, 40])  # a run has 9 texts of 6 terms
def test_a_build_goes_on_behind_its_last_run(tmp_path, monkeypatch, read_before, damage):
    lines = [f"今天 天气 {number} 很好" for number in range(40)]
    with pytest.raises(KeyboardInterrupt):
        write_bm25(tmp_path, failing_after(lines[:read_before]), len(lines), run_terms=50)
    if damage:
        path = tmp_path / damage
        path.write_bytes(path.read_bytes()[:-3])
    else:
        with (tmp_path / RUNS).open("ab") as stream:  # half a run
            stream.write(b"x" * 17)
    counted_terms = []
    with monkeypatch.context() as context:
        context.setattr(postings, "terms", lambda text: counted_terms.append(text) or terms(text))
        write_bm25(tmp_path, lines, len(lines), run_terms=50)
    assert read(tmp_path) == counted(lines)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(BM25_FILES)
    assert len(counted_terms) == (40 if damage else 40 - read_before // 9 * 9)


@pytest.mark.parametrize("state", ['{"sizes": [-1], "rows": [1]}', '{"sizes": [0], "rows": [9]}', '{"sizes": 3}', "["])
def test_a_state_that_does_not_fit_is_ignored(tmp_path, state):
    (tmp_path / RUN_STATE).write_text(state, encoding="utf-8")
    for name in (RUNS, RUN_LENGTHS):
        (tmp_path / name).write_bytes(b"\0" * 100)
    write_bm25(tmp_path, ["今天", "天气"], 2)
    assert read(tmp_path) == counted(["今天", "天气"])
