"""Records through a processor to outputs: in order, in chunks that depend on them alone, and alive on request."""

import queue
import threading
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline_support import InterruptedRunError, made, numbered, to_lines

from nlpkit.core.io.stream import CHUNK_SIZE, CHUNK_WEIGHT
from nlpkit.core.pipeline.processor import Processor
from nlpkit.core.pipeline.runner import run
from nlpkit.errors import DataError, OutputError

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")  # Python 3.12


class Kept:
    """An output that keeps what it gets."""

    def __init__(self):
        self.chunks, self.data = [], b""

    def write(self, records, piece):
        self.chunks.append(list(records))
        self.data += piece.data

    @property
    def records(self):
        return [record for chunk in self.chunks for record in chunk]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("count", [0, 1, 5000])
def test_all_records_come_to_all_outputs_in_order(workers, count):
    records, outputs, advanced = numbered(count), (Kept(), Kept()), []
    run(records, Processor(to_lines), outputs, workers=workers, advance=lambda *done: advanced.append(done))
    for output in outputs:
        assert output.records == records
        assert output.data == to_lines(records).data
    assert sum(number for number, _ in advanced) == count
    assert sum(size for _, size in advanced) == sum(record.line.size for record in records)


@given(st.lists(st.integers(0, CHUNK_WEIGHT // 4), max_size=12))
@settings(max_examples=30)
def test_chunks_depend_on_the_records_alone(sizes):
    """Also where a run is continued: the chunks behind the end of one are the same."""
    records = [replace(record, text="长" * size) for record, size in zip(numbered(12), sizes, strict=False)]
    whole, rest = Kept(), Kept()
    run(records, Processor(to_lines), [whole])
    assert all(len(chunk) <= CHUNK_SIZE // 4 for chunk in whole.chunks)
    weights = [sum(len(record.text) for record in chunk[:-1]) for chunk in whole.chunks]
    assert all(weight < CHUNK_WEIGHT // 4 for weight in weights)
    if whole.chunks:
        run(records[len(whole.chunks[0]) :], Processor(to_lines), [rest])
        assert rest.chunks == whole.chunks[1:]


def source(waiting):
    """Records that come one by one, until None."""
    while (record := waiting.get(timeout=60)) is not None:
        yield record


@pytest.mark.parametrize("workers", [1, 2])
def test_a_live_run_answers_before_the_next_record_comes(workers):
    waiting, answered = queue.Queue(), queue.Queue()

    class Answers:
        def write(self, records, piece):
            answered.put(piece.data)

    options = {"workers": workers, "live": True}
    thread = threading.Thread(target=run, args=(source(waiting), Processor(to_lines), [Answers()]), kwargs=options)
    thread.start()
    for record in numbered(3):
        waiting.put(record)
        assert answered.get(timeout=60) == to_lines([record]).data
    waiting.put(None)
    thread.join()
    assert answered.empty()


def failing(records):
    if any("坏" in record.text for record in records):
        raise records[-1].line.error("is bad")
    return to_lines(records)


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_comes_after_the_chunks_before_it(workers):
    records, output = made(["好"] * 1600 + ["坏"] + ["好"] * 3000), Kept()
    with pytest.raises(DataError, match=r"^in\.txt:\d+: is bad$") as found:
        run(records, Processor(failing), [output], workers=workers)
    assert found.value.message == "is bad"
    assert len(output.records) == 1536  # whole chunks


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(("live", "count"), [(True, 700), (False, 512)])
def test_an_error_of_the_input_comes_after_what_was_read_before(workers, live, count):
    """Without the chunk that it cut short, as a run that is continued would have other chunks then."""

    def read():
        yield from numbered(700)
        raise DataError("cannot be read further", "in.txt", 701)

    output = Kept()
    with pytest.raises(DataError, match=r"^in\.txt:701: cannot be read further$"):
        run(read(), Processor(to_lines), [output], workers=workers, live=live)
    assert output.records == numbered(count)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("error", [OutputError("out: cannot be written"), InterruptedRunError(), KeyboardInterrupt()])
def test_an_output_that_fails_ends_the_run(workers, error):
    class Fails:
        def write(self, records, piece):
            raise error

    with pytest.raises(type(error)):
        run(numbered(5000), Processor(to_lines), [Fails()], workers=workers)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_lack_of_memory_changes_nothing(workers):
    def process(records):
        if len(records) > 100:
            raise MemoryError
        return to_lines(records)

    output, messages = Kept(), []
    run(numbered(2000), Processor(process), [output], workers=workers, report=messages.append)
    assert output.data == to_lines(numbered(2000)).data
    if workers == 1:
        assert messages == [f"out of memory; continuing with {size} texts at a time" for size in (256, 128, 64)]
