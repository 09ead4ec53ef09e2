"""Processes that are ended while they write a file, by signals, kills and full disks, and go on with `--resume`."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from pipeline_support import listed
from static_support import save_static
from support import SENTENCE, environment

SECONDS = 60  # nothing takes as long, unless it hangs
LINES = [f"{SENTENCE[: number % 20]}{number}\n".encode() for number in range(512 * 40)]
PARTIAL = ["out.jsonl.partial", "out.jsonl.partial.json"]


@pytest.fixture(scope="module")
def static(tmp_path_factory):
    return save_static(tmp_path_factory.mktemp("static") / "model")


@pytest.fixture
def start(tmp_path):
    """Starts `nlpkit` in an empty folder, with pipes for stdin and stderr."""
    started = []

    def run(*arguments, **options):
        process = subprocess.Popen(
            [sys.executable, "-m", "nlpkit", *arguments], stdin=subprocess.PIPE, stderr=subprocess.PIPE,
            cwd=tmp_path, env=environment(), **options,
        )  # fmt: skip
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
        process.stderr.close()
        if not process.stdin.closed:
            process.stdin.close()


def saved(partial):
    """The number of records whose output is saved."""
    state = partial.with_name(f"{partial.name}.json")
    return json.loads(state.read_text())["records"] if partial.exists() else 0


def feed(process, partial, more_than=0):
    """Write lines until the progress is saved; gives how many. The process waits for more."""
    deadline = time.monotonic() + SECONDS
    for start in range(0, len(LINES), 512):
        process.stdin.write(b"".join(LINES[start : start + 512]))
        process.stdin.flush()
        paused = time.monotonic()
        while time.monotonic() < max(paused + 0.3, deadline if start + 512 == len(LINES) else 0):
            if saved(partial) > more_than:
                time.sleep(0.1)
                return start + 512
            time.sleep(0.01)
    raise AssertionError("nothing is saved")


def finish(process, content=b""):
    """(exit code, stderr) of a process that gets the rest of its input."""
    _, stderr = process.communicate(content, SECONDS)
    return process.returncode, stderr.decode()


@pytest.fixture
def whole(static, tmp_path):
    """The bytes of a run that is not ended, over the first lines."""

    def run(count, name="out.jsonl"):
        folder = tmp_path / "whole"
        folder.mkdir()
        command = [sys.executable, "-m", "nlpkit", "embed", "-m", static, "-o", name]
        subprocess.run(command, input=b"".join(LINES[:count]), cwd=folder, env=environment(), check=True)
        return (folder / name).read_bytes()

    return run


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGKILL, -9), (signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)],
)
@pytest.mark.parametrize("name", ["out.jsonl", "out.npy"])
def test_a_process_that_is_ended_goes_on(start, static, tmp_path, whole, name, number, code):
    command = ("embed", "-m", static, "-o", name)
    process = start(*command)
    count = feed(process, tmp_path / f"{name}.partial")
    process.send_signal(number)
    stderr = process.stderr.read().decode()
    assert process.wait(SECONDS) == code
    left = listed(tmp_path)
    assert left == [f"{name}.partial", f"{name}.partial.json"]
    done = saved(tmp_path / f"{name}.partial")
    assert 0 < done <= count
    if number == signal.SIGKILL:
        assert stderr == ""
    else:
        assert stderr == f"nlpkit: hint: {done:,} records are in {name}.partial; continue with --resume\n"
    assert finish(start(*command, "--resume"), b"".join(LINES[: count + 700])) == (0, "")
    assert (tmp_path / name).read_bytes() == whole(count + 700, name)
    assert listed(tmp_path) == sorted([name, "whole", *([f"{name}.json"] if name == "out.npy" else [])])


def test_a_process_that_is_killed_again_and_again(start, static, tmp_path, whole):
    command = ("embed", "-m", static, "-o", "out.jsonl", "--resume")
    partial = tmp_path / "out.jsonl.partial"
    reached = count = 0
    for _ in range(3):
        process = start(*command)
        count = max(count, feed(process, partial, reached))
        process.kill()
        assert (process.wait(SECONDS), process.stderr.read()) == (-signal.SIGKILL, b"")
        assert saved(partial) > reached
        reached = saved(partial)
    assert finish(start(*command), b"".join(LINES[: count + 100])) == (0, "")
    assert (tmp_path / "out.jsonl").read_bytes() == whole(count + 100)
    names = [name for name in listed(tmp_path) if not name.startswith(".")]  # a kill may leave temporary files
    assert names == ["out.jsonl", "whole"]


def test_a_process_that_is_killed_before_the_first_saving_leaves_no_output(start, static, tmp_path):
    process = start("embed", "-m", static, "-o", "out.jsonl")
    deadline = time.monotonic() + SECONDS
    while not listed(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    process.wait(SECONDS)
    assert all(name.startswith(".out.jsonl.") for name in listed(tmp_path))
    assert finish(start("embed", "-m", static, "-o", "out.jsonl", "--resume"), LINES[0]) == (0, "")
    assert (tmp_path / "out.jsonl").read_bytes().count(b"\n") == 1


def test_a_second_process_does_not_write_the_same_output(start, static, tmp_path, whole):
    command = ("embed", "-m", static, "-o", "out.jsonl")
    first = start(*command)
    count = feed(first, tmp_path / "out.jsonl.partial")
    code, message = finish(start(*command, "--resume"), b"".join(LINES[:count]))
    other = "is being written by another process; wait for it, or name another output"
    assert (code, message) == (1, f"nlpkit: error: out.jsonl.partial: {other}\n")
    code, message = finish(start(*command), b"x\n")
    assert code == 1
    assert message.startswith("nlpkit: error: out.jsonl.partial: has ")
    assert finish(first) == (0, "")
    assert (tmp_path / "out.jsonl").read_bytes() == whole(count)
    assert listed(tmp_path) == ["out.jsonl", "whole"]


def test_a_full_disk_keeps_what_is_saved(start, static, tmp_path, whole):
    """The disk is a limit of the size of a file."""
    resource = pytest.importorskip("resource")
    command = ("embed", "-m", static, "-o", "out.jsonl")
    process = start(*command)
    count = feed(process, tmp_path / "out.jsonl.partial")
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, ((tmp_path / PARTIAL[0]).stat().st_size + 50_000,) * 2)
    code, stderr = finish(process, b"".join(LINES[count:]))
    assert code == 1
    hint, error = stderr.splitlines()
    assert hint.startswith("nlpkit: hint: ")
    assert error == "nlpkit: error: out.jsonl: cannot be written (File too large)"
    assert listed(tmp_path) == PARTIAL
    assert finish(start(*command, "--resume"), b"".join(LINES)) == (0, "")
    assert (tmp_path / "out.jsonl").read_bytes() == whole(len(LINES))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_process_that_had_saved_nothing_leaves_nothing(start, static, tmp_path, number):
    process = start("embed", "-m", static, "-o", "out.jsonl")
    process.stdin.write(LINES[0])
    process.stdin.flush()
    deadline = time.monotonic() + SECONDS
    while not listed(tmp_path) and time.monotonic() < deadline:
        time.sleep(0.005)
    os.kill(process.pid, number)
    assert process.wait(SECONDS) in (130, 143)
    assert process.stderr.read() == b""
    assert listed(tmp_path) == []
