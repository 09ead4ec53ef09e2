"""A lack of memory halves what is processed at once, and changes nothing else."""

from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pipeline_support import made, numbered, to_lines

from nlpkit.core.pipeline.memory import Halving, is_out_of_memory
from nlpkit.core.pipeline.processor import Piece
from nlpkit.errors import DataError


class OutOfMemoryError(RuntimeError):
    """As torch's for CUDA."""


RuntimeException = type("RuntimeException", (Exception,), {"__module__": "onnxruntime.capi.onnxruntime_pybind11_state"})
ALLOCATION = "Failed to allocate memory for requested buffer of size 4294967296"
LACKS = [
    MemoryError(),
    OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:117] err == 0. DefaultCPUAllocator: can't allocate memory: you tried"),
    RuntimeError("MPS backend out of memory"),
    RuntimeError("std::bad_alloc"),
    RuntimeException(f"[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : Non-zero status code; bfc_arena.cc {ALLOCATION}"),
]
OTHERS = [
    RuntimeError("expected scalar type Half"), ValueError("out of memory"), KeyError("x"), OSError(12, "out of memory"),
    DataError("out of memory"), RuntimeException("Invalid rank for input"), KeyboardInterrupt(),
]  # fmt: skip


@pytest.mark.parametrize("error", LACKS, ids=str)
def test_what_is_a_lack_of_memory(error):
    assert is_out_of_memory(error)


@pytest.mark.parametrize("error", OTHERS, ids=repr)
def test_what_is_none(error):
    assert not is_out_of_memory(error)


class Small:
    """Processes at most a number of records at once."""

    def __init__(self, most, error=None):
        self.most, self.error = most, error or MemoryError()
        self.sizes = []

    def __call__(self, records):
        self.sizes.append(len(records))
        if len(records) > self.most:
            raise self.error
        data, page, counts = to_lines(records)
        return Piece(data, page + b"<p>" * len(records), counts)


@pytest.mark.parametrize("error", LACKS, ids=str)
def test_halves_until_it_fits_and_stays_there(error):
    messages = []
    process, records = Small(3, error), numbered(10)
    halving = Halving(process, messages.append)
    assert halving(records) == Piece(to_lines(records).data, b"<p>" * 10, {"count": 10})
    assert process.sizes == [10, 5, 2, 2, 2, 2, 2]
    assert messages == [f"out of memory; continuing with {size} texts at a time" for size in (5, 2)]
    assert halving(records[:3]).counts == {"count": 3}
    assert process.sizes[7:] == [2, 1]
    assert len(messages) == 2


@given(st.integers(1, 9), st.lists(st.integers(1, 20), max_size=5))
def test_results_and_counts_do_not_depend_on_the_memory(most, sizes):
    halving, process = Halving(Small(most), lambda message: None), Small(10**9)
    with mock.patch("gc.collect"):  # which takes long
        for size in sizes:
            assert halving(numbered(size)) == process(numbered(size))


def test_without_a_lack_a_chunk_is_processed_as_it_is():
    process = Small(99)
    chunk = numbered(50)
    assert Halving(process, pytest.fail)(chunk).data == to_lines(chunk).data
    assert process.sizes == [50]


@pytest.mark.parametrize("error", OTHERS[:-1], ids=repr)
def test_another_error_is_raised_at_once(error):
    process = Small(3, error)
    with pytest.raises(type(error)) as found:
        Halving(process, pytest.fail)(numbered(10))
    assert found.value is error
    assert process.sizes == [10]


def test_a_record_that_does_not_fit_is_named():
    chunk = made(["短", "长" * 12345, "短"], "long.txt")

    def process(records):
        if any(len(record.text) > 9 for record in records):
            raise MemoryError
        return to_lines(records)

    with pytest.raises(DataError) as found:
        Halving(process, lambda message: None)(chunk)
    assert str(found.value).startswith("long.txt:2: out of memory for a text of 12,345 characters; split it")
    assert (found.value.source, found.value.line) == ("long.txt", 2)
