"""The owner of the models: what comes while it is busy is processed together, in order and within limits."""

import threading
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpkit.errors import UsageError
from nlpkit.serve.batcher import Batcher, DeadlineError, OverloadedError, StoppedError

SECONDS = 30


class Recorder:
    """Doubles texts; notes its calls; waits while the gate is closed."""

    def __init__(self):
        self.calls, self.gate, self.threads = [], threading.Event(), set()
        self.gate.set()
        self.entered = threading.Event()

    def __call__(self, key, texts):
        self.entered.set()
        self.gate.wait(SECONDS)
        self.threads.add(threading.current_thread().name)
        self.calls.append((key, list(texts)))
        if "bad" in texts:
            raise UsageError("a bad text")
        if "huge" in texts and len(texts) > 1:
            raise MemoryError
        return [text * 2 for text in texts]


@pytest.fixture
def make():
    """Makes started batchers, and stops them."""
    made = []

    def make(run, max_batch=100, max_queue=1000):
        batcher = Batcher(run, max_batch=max_batch, max_queue=max_queue)
        batcher.start()
        made.append((batcher, run))
        return batcher

    yield make
    for batcher, run in made:
        run.gate.set()
        batcher.stop(SECONDS)


def submit(batcher, *texts, key="a", timeout=SECONDS):
    return batcher.submit(key, texts, [len(text) for text in texts], timeout)


def busy(batcher, run):
    """A request that holds the batcher until the gate is opened."""
    run.gate.clear()
    run.entered.clear()
    future = submit(batcher, "first")
    assert run.entered.wait(SECONDS)
    return future


def test_what_comes_while_it_is_busy_is_one_batch(make):
    run = Recorder()
    batcher = make(run)
    first = busy(batcher, run)
    futures = [submit(batcher, f"{number}", "x") for number in range(10)]
    run.gate.set()
    assert first.result(SECONDS) == ["firstfirst"]
    assert [future.result(SECONDS) for future in futures] == [[f"{n}{n}", "xx"] for n in range(10)]
    assert [len(texts) for _, texts in run.calls] == [1, 20]
    assert run.threads == {"nlpkit-models"}
    assert batcher.waiting == 0


def test_a_batch_has_one_key_and_a_limited_size(make):
    run = Recorder()
    batcher = make(run, max_batch=10)
    busy(batcher, run)
    futures = [submit(batcher, "x" * 4, key=key) for key in "ababa"] + [submit(batcher, "y" * 50, key="a")]
    run.gate.set()
    assert [future.result(SECONDS)[0] for future in futures] == ["x" * 8] * 5 + ["y" * 100]
    assert [(key, [len(text) for text in texts]) for key, texts in run.calls[1:]] == [
        ("a", [4, 4]), ("b", [4, 4]), ("a", [4]), ("a", [50]),
    ]  # fmt: skip


def test_a_small_request_does_not_wait_for_a_large_one(make):
    run = Recorder()
    batcher = make(run, max_batch=10)
    busy(batcher, run)
    large = submit(batcher, *["x" * 5] * 100)
    small = submit(batcher, "s")
    run.gate.set()
    assert small.result(SECONDS) == ["ss"]
    assert large.result(SECONDS) == ["x" * 10] * 100
    with_small = next(index for index, (_, texts) in enumerate(run.calls) if "s" in texts)
    assert with_small <= 3


def test_a_full_queue_refuses_and_says_when_to_come_again(make):
    run = Recorder()
    batcher = make(run, max_queue=20)
    busy(batcher, run)
    waiting = submit(batcher, "x" * 15)
    with pytest.raises(OverloadedError, match="try again in 1 s") as refused:
        submit(batcher, "x" * 10)
    assert refused.value.retry_after >= 1
    run.gate.set()
    assert waiting.result(SECONDS) == ["x" * 30]
    assert submit(batcher, "y" * 500).result(SECONDS) == ["y" * 1000]  # larger than the queue, but alone


def test_a_request_that_would_wait_beyond_its_deadline_is_refused(make):
    run = Recorder()
    batcher = make(run)
    held = busy(batcher, run)
    time.sleep(0.2)
    run.gate.set()
    held.result(SECONDS)  # so 5 characters take at least 0.2 seconds
    busy(batcher, run)
    with pytest.raises(OverloadedError) as refused:
        submit(batcher, "x" * 250, timeout=10)
    assert refused.value.retry_after >= 1
    accepted = submit(batcher, "x" * 250, timeout=1000)
    run.gate.set()
    assert accepted.result(SECONDS) == ["x" * 500]
    assert submit(batcher, "y" * 500, timeout=10).result(SECONDS) == ["y" * 1000]  # it finds the queue empty


def test_a_deadline_and_a_client_that_has_gone_are_not_processed(make):
    run = Recorder()
    batcher = make(run)
    busy(batcher, run)
    late, gone, kept = submit(batcher, "late", timeout=0.01), submit(batcher, "gone"), submit(batcher, "kept")
    assert gone.cancel()
    time.sleep(0.05)
    run.gate.set()
    assert kept.result(SECONDS) == ["keptkept"]
    with pytest.raises(DeadlineError):
        late.result(SECONDS)
    assert [texts for _, texts in run.calls] == [["first"], ["kept"]]
    assert batcher.waiting == 0


def test_only_the_request_with_a_bad_text_fails(make):
    run = Recorder()
    batcher = make(run)
    busy(batcher, run)
    futures = [submit(batcher, "good"), submit(batcher, "fine", "bad"), submit(batcher, "well")]
    run.gate.set()
    assert futures[0].result(SECONDS) == ["goodgood"]
    with pytest.raises(UsageError, match="a bad text"):
        futures[1].result(SECONDS)
    assert futures[2].result(SECONDS) == ["wellwell"]
    assert batcher.waiting == 0


def test_a_batch_that_does_not_fit_in_memory_is_halved(make):
    run = Recorder()
    batcher = make(run)
    busy(batcher, run)
    futures = [submit(batcher, text) for text in ("a", "b", "huge", "c")]
    run.gate.set()
    assert [future.result(SECONDS) for future in futures] == [["aa"], ["bb"], ["hugehuge"], ["cc"]]


def test_a_stop_finishes_what_was_accepted_and_takes_nothing_more(make):
    run = Recorder()
    batcher = make(run)
    busy(batcher, run)
    futures = [submit(batcher, f"{number}") for number in range(5)]
    stopping = threading.Thread(target=batcher.stop)
    stopping.start()
    while True:
        try:
            futures.append(submit(batcher, "z"))
        except StoppedError:
            break
    run.gate.set()
    stopping.join(SECONDS)
    assert all(future.done() and future.exception() is None for future in futures)


def test_no_texts_have_no_answers(make):
    assert submit(make(Recorder())).result(SECONDS) == []


@given(requests=st.lists(st.lists(st.text("abc", max_size=12), min_size=1, max_size=6), min_size=1, max_size=8))
def test_each_request_gets_its_own_answers(requests):
    run = Recorder()
    batcher = Batcher(run, max_batch=10, max_queue=10_000)
    batcher.start()
    try:
        futures = [submit(batcher, *texts, key=len(texts) % 2) for texts in requests]
        assert [future.result(SECONDS) for future in futures] == [[text * 2 for text in texts] for texts in requests]
        assert batcher.waiting == 0
    finally:
        batcher.stop(SECONDS)
