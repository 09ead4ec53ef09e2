"""A pool of forked processes: order, errors, and what comes of the processes; those of a command are elsewhere."""

import gc
import itertools
import multiprocessing
import os
import pickle
import signal
import time
import traceback
from multiprocessing.connection import Connection

import orjson
import pytest
from pipeline_support import made

from nlpkit.core.pipeline.workers import WorkerError, Workers, frozen_objects
from nlpkit.errors import DataError, ModelError, NlpkitError, UsageError

pytestmark = pytest.mark.filterwarnings("ignore:.*use of fork:DeprecationWarning")  # Python 3.12
SECONDS = 60  # nothing takes as long, unless it hangs


def ended(number):
    """Whether a process has ended, or does so in time."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.01)
    return False


def test_results_come_in_the_order_of_the_items():
    def slow(number):
        time.sleep(0.03 if number % 3 == 0 else 0)
        return number * number

    with Workers(slow, 3) as workers:
        assert list(workers.map(range(40))) == [(number, number * number) for number in range(40)]
        assert list(workers.map([])) == []


def test_the_work_is_done_in_other_processes_that_end_with_it():
    with Workers(lambda _: (time.sleep(0.01), os.getpid())[1], 2) as workers:
        numbers = {number for _, number in workers.map(range(40))}
    assert len(numbers) == 2
    assert os.getpid() not in numbers
    assert all(map(ended, numbers))


def test_what_the_function_holds_is_shared_and_not_pickled():
    held = [lambda: "cannot be pickled"]
    with Workers(lambda number: held[number](), 2) as workers:
        assert list(workers.map([0, 0])) == [(0, "cannot be pickled")] * 2


def test_garbage_of_the_parent_is_not_freed_in_a_worker(tmp_path):
    """Freeing it may stop threads, such as those of an ONNX Runtime session, and they are not there."""

    class Garbage:
        def __init__(self):
            self.itself = self

        def __del__(self):
            (tmp_path / str(os.getpid())).touch()

    gc.disable()
    try:
        Garbage()
        with Workers(lambda number: gc.collect() and number, 2) as workers:
            list(workers.map(range(4)))
    finally:
        gc.enable()
    assert list(tmp_path.iterdir()) == []
    gc.collect()
    assert [path.name for path in tmp_path.iterdir()] == [str(os.getpid())]  # it is freed here


def test_items_are_read_a_few_ahead_only():
    read = []

    def items():
        for number in itertools.count():
            read.append(number)
            yield number

    with Workers(abs, 2) as workers:
        results = workers.map(items())
        assert [next(results) for _ in range(5)] == [(number, number) for number in range(5)]
        time.sleep(0.2)
        assert len(read) <= 5 + 2 * 2 + 2
        results.close()


@pytest.mark.parametrize(
    "error",
    [DataError("is bad", "in.txt", 7, "the record"), ModelError("m: damaged"), UsageError("x"), KeyError("x"),
     MemoryError("x"), OSError(28, "No space left on device")],
    ids=repr,
)  # fmt: skip
def test_an_error_of_the_function_passes_through(error):
    def fail(number):
        if number == 3:
            raise error
        return number

    found = []
    with Workers(fail, 2) as workers, pytest.raises(type(error)) as raised:
        found.extend(workers.map(range(1000)))
    assert found == [] or found == [(0, 0), (1, 1), (2, 2)]
    assert str(raised.value) == str(error)
    if isinstance(error, DataError):
        places = [(each.message, each.source, each.line, each.record) for each in (raised.value, error)]
        assert places[0] == places[1]


def test_an_error_of_the_items_comes_after_the_results_before_it():
    def items():
        yield from range(10)
        raise DataError("is bad", "in.txt", 11)

    found = []
    with Workers(abs, 2) as workers, pytest.raises(DataError, match=r"^in\.txt:11: is bad$"):
        found.extend(workers.map(items()))
    assert found == [(number, number) for number in range(10)]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_process_that_is_ended_is_one_error(number):
    def end(item):
        if item == 5:
            os.kill(os.getpid(), number)
        return item

    with Workers(end, 2) as workers, pytest.raises(WorkerError) as found:
        list(workers.map(range(100)))
    assert isinstance(found.value, NlpkitError)
    assert str(found.value).startswith("a worker process was ended, perhaps for lack of memory; continue with --resume")


def test_a_process_that_is_killed_in_the_middle_of_a_result_is_one_error(monkeypatch):
    """The others go on writing, and nobody waits for the rest."""
    send = Connection._send

    def killed(connection, data, *rest):
        if len(data) > 100_000:
            os.write(connection.fileno(), data[:50_000])
            os.kill(os.getpid(), signal.SIGKILL)
        send(connection, data, *rest)

    monkeypatch.setattr(Connection, "_send", killed)
    found = []
    with Workers(lambda number: bytes(200_000 if number == 5 else 0), 3) as workers, pytest.raises(WorkerError):
        found.extend(workers.map(range(30)))
    assert [number for number, _ in found] == [0, 1, 2, 3, 4]


def test_an_answer_that_cannot_be_pickled_is_an_error():
    class LocalError(Exception):
        pass

    def fail(number):
        if number:
            raise LocalError
        return lambda: None

    for number in range(2):
        with Workers(fail, 2) as workers, pytest.raises((pickle.PicklingError, AttributeError), match="pickle"):
            list(workers.map([number]))


def test_an_error_shows_where_it_was_raised():
    def fail(number):
        return [][number]

    with Workers(fail, 2) as workers, pytest.raises(IndexError) as raised:
        list(workers.map([0]))
    assert "return [][number]" in "".join(traceback.format_exception(raised.value))


def test_ctrl_c_is_for_the_parent():
    """A terminal sends it to all processes of the group; the parent ends the others."""

    def interrupt(number):
        os.kill(os.getpid(), signal.SIGINT)
        return number

    with Workers(interrupt, 2) as workers:
        assert list(workers.map(range(6))) == [(number, number) for number in range(6)]


def test_processes_end_when_the_run_fails_while_they_work(tmp_path):
    def forever(number):
        (tmp_path / str(os.getpid())).touch()
        time.sleep(10 * SECONDS)

    with pytest.raises(KeyboardInterrupt), Workers(forever, 2) as workers:
        list(workers.map(interrupted(tmp_path)))
    assert all(ended(int(path.name)) for path in tmp_path.iterdir())


def test_a_run_that_fails_does_not_wait_for_the_rest_of_a_result():
    def fail():
        with Workers(lambda number: bytes(20_000_000), 2) as workers:  # more than a pipe holds
            for _ in workers.map(range(8)):
                raise KeyError

    for _ in range(5):
        with pytest.raises(KeyError):
            fail()


def interrupted(folder):
    """Two items; then the run is interrupted, once both processes work."""
    yield from range(2)
    while len(list(folder.iterdir())) < 2:
        time.sleep(0.01)
    os.kill(os.getpid(), signal.SIGINT)


def test_signals_wait_until_all_processes_are_there(monkeypatch):
    """In the middle of a fork one would be lost, and be an error in the new process."""
    forked, fork = [], os.fork

    def interrupted_fork():
        os.kill(os.getpid(), signal.SIGINT)
        forked.append(fork())
        return forked[-1]

    monkeypatch.setattr(os, "fork", interrupted_fork)
    with pytest.raises(KeyboardInterrupt):
        Workers(abs, 2)
    monkeypatch.undo()
    assert len(forked) == 2
    assert all(map(ended, forked))
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.pthread_sigmask(signal.SIG_BLOCK, []) == set()


def test_processes_end_when_their_parent_is_killed(tmp_path):
    def parent():
        with Workers(lambda number: (tmp_path / str(os.getpid())).touch() or time.sleep(10 * SECONDS), 3) as workers:
            list(workers.map(range(3)))

    process = multiprocessing.get_context("fork").Process(target=parent)
    with frozen_objects():
        process.start()
    deadline = time.monotonic() + SECONDS
    while len(numbers := [int(path.name) for path in tmp_path.iterdir()]) < 3:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.kill()
    process.join()
    assert all(map(ended, numbers))


def test_records_with_numbers_of_any_size_can_be_sent():
    """A whole number of more than 64 bits is a fragment of JSON."""
    (record,) = made(["x"])
    record.fields["id"] = orjson.Fragment("1" * 30)
    with Workers(lambda record: orjson.dumps(record.fields), 2) as workers:
        ((_, found),) = workers.map([record])
    assert found == b'{"text":"x","id":' + b"1" * 30 + b"}"


def test_a_system_without_fork(monkeypatch):
    monkeypatch.setattr(multiprocessing, "get_all_start_methods", lambda: ["spawn"])
    with pytest.raises(UsageError, match=r"^--workers: this system cannot fork processes; leave it out$"):
        Workers(abs, 2)
