"""Chunks of a stream: order, bounded reading ahead, live pipes; and batches under a budget."""

import threading
import time

import pytest

from nlpkit.core.io.stream import READ_AHEAD, in_chunks


def counted(number, counter):
    for item in range(number):
        counter.append(item)
        yield item


@pytest.mark.parametrize(("number", "size"), [(0, 3), (1, 3), (3, 3), (7, 3), (1000, 64), (5, 1)])
def test_chunks_hold_everything_in_order(number, size):
    chunks = list(in_chunks(range(number), size=size))
    assert [item for chunk in chunks for item in chunk] == list(range(number))
    assert [len(chunk) for chunk in chunks[:-1]] == [size] * (len(chunks) - 1)


def test_heavy_items_fill_a_chunk_sooner():
    chunks = in_chunks([3, 3, 9, 1, 1, 1, 1], lambda item: item, size=3, weight=5)
    assert list(chunks) == [[3, 3], [9], [1, 1, 1], [1]]


def test_reading_ahead_is_bounded():
    counter = []
    chunks = in_chunks(counted(1000, counter), size=10)
    next(chunks)
    time.sleep(0.1)
    assert 10 <= len(counter) <= 10 + READ_AHEAD + 1
    chunks.close()
    time.sleep(0.05)
    assert len(counter) <= 10 + READ_AHEAD + 2


def test_heavy_items_are_not_read_ahead():
    counter = []
    chunks = in_chunks(counted(1000, counter), lambda item: 100, size=10, weight=300)
    assert next(chunks) == [0, 1, 2]
    time.sleep(0.1)
    assert 3 <= len(counter) <= 3 + 4 + 2
    assert [item for chunk in chunks for item in chunk] == list(range(3, 1000))


def test_a_live_pipe_moves():
    more = threading.Event()

    def pipe():
        yield from "ab"
        assert more.wait(10)
        yield "c"

    chunks = in_chunks(pipe(), size=100, wait=0.05)
    start = time.monotonic()
    assert next(chunks) == ["a", "b"]
    assert time.monotonic() - start < 1
    more.set()
    assert list(chunks) == [["c"]]


def test_an_error_comes_after_what_was_read_before_it():
    def items():
        yield from range(5)
        raise ValueError("broken")

    chunks = in_chunks(items(), size=3)
    assert [next(chunks), next(chunks)] == [[0, 1, 2], [3, 4]]
    with pytest.raises(ValueError, match="broken"):
        next(chunks)


def test_the_reading_thread_ends_with_its_reader():
    before = threading.active_count()
    chunks = in_chunks(iter(int, 1), size=4)
    next(chunks)
    chunks.close()
    deadline = time.monotonic() + 5
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert threading.active_count() <= before


@pytest.mark.parametrize(("wait", "expected"), [(0.1, [[0, 1, 2], [3, 4]]), (None, [[0, 1, 2]])])
def test_an_incomplete_chunk_before_an_error_is_for_live_pipes(wait, expected):
    def items():
        yield from range(5)
        raise ValueError("the end")

    found = []
    with pytest.raises(ValueError, match="the end"):
        found.extend(in_chunks(items(), size=3, wait=wait))
    assert found == [] or found == expected
    chunks = in_chunks(items(), size=3, wait=wait)
    assert [next(chunks) for _ in expected] == expected


def test_without_a_wait_a_chunk_is_incomplete_at_the_end_only():
    def items():
        for item in range(7):
            time.sleep(0.02)
            yield item

    assert list(in_chunks(items(), size=3, wait=None)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert len(list(in_chunks(items(), size=3, wait=0.001))) > 3
