"""Columns, dtypes and permutations of the external sort; the sort itself is tested with the build."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpkit.tasks.kgqa.graph.sorted_runs import Column, inverse, smallest_dtype


@pytest.mark.parametrize(
    ("largest", "dtype"), [(0, np.uint32), (2**32 - 1, np.uint32), (2**32, np.uint64), (2**40, np.uint64)]
)
def test_the_smallest_dtype(largest, dtype):
    values = smallest_dtype(np.array([1, largest]))
    assert values.dtype == dtype
    assert values.tolist() == [1, largest]
    assert smallest_dtype(np.array([], dtype=np.int64)).dtype == np.uint32


@given(st.permutations(range(20)))
def test_an_inverse_undoes_its_permutation(permutation):
    assert inverse(np.array(permutation))[permutation].tolist() == list(range(20))


@pytest.mark.parametrize("width", [None, 3])
def test_a_column_grows(tmp_path, width):
    column = Column(tmp_path / "x.npy", np.dtype("<u4"), width)
    shape = (-1,) if width is None else (-1, width)
    pieces = [np.arange(n).reshape(shape) for n in (0, 3, 300, 0, 30_000)]
    for piece in pieces:
        column.append(piece)
    column.close()
    loaded = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert loaded.dtype == np.uint32
    assert np.array_equal(loaded, np.concatenate(pieces))
