"""`--workers`, as processes: the same bytes in the same order, one line for what goes wrong, and no orphans."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from static_support import save_static
from support import SENTENCE, environment

SECONDS = 60  # nothing takes as long, unless it hangs
NOTE = "nlpkit: 2 workers on the CPU, threads of each: 1\n"
LINE = (SENTENCE + "\n").encode()

pytestmark = pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="no /proc")  # noqa: PTH112


@pytest.fixture
def start(tiny, tmp_path):
    """Starts `nlpkit ner --workers 2` in an empty folder and a group of its own, all of its streams pipes."""
    started = []

    def run(*arguments, command=("ner", "--model", tiny), **variables):
        process = subprocess.Popen(
            [sys.executable, "-m", "nlpkit", *command, "--workers", "2", *arguments], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env=environment() | variables,
            start_new_session=True,
        )  # fmt: skip
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if not stream.closed:
                stream.close()


def finish(process, content=b""):
    """(exit code, stdout, stderr) of a process that gets its input; it must not hang."""
    stdout, stderr = process.communicate(content, SECONDS)
    return process.returncode, stdout, stderr.decode()


def children(number):
    """The processes that a process has started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if fields[1] == str(number) and fields[0] != "Z":
            found.append(int(path.parent.name))
    return found


def working(process):
    """The two workers of a process, once both are there."""
    deadline = time.monotonic() + SECONDS
    while len(found := children(process.pid)) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(found) == 2
    return found


def gone(numbers):
    """Whether processes have ended, or do so in time."""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if not any(Path(f"/proc/{number}").exists() for number in numbers):
            return True
        time.sleep(0.01)
    return False


def alone(folder, *arguments, content=None):
    """The output of a run without workers."""
    command = [sys.executable, "-m", "nlpkit", *arguments]
    return subprocess.run(
        command, input=content, cwd=folder, env=environment(), check=True, stdout=subprocess.PIPE
    ).stdout


@pytest.mark.parametrize("runtime", ["torch", "onnx"])
def test_the_same_bytes_as_one_process(start, tiny, tmp_path, runtime):
    """Also where the machine has more threads, whose pool would not survive the fork."""
    content = "".join(f"{SENTENCE[number % 9 :]}{number}\n" for number in range(1500)).encode()
    (tmp_path / "in.txt").write_bytes(content)
    options = ("in.txt", "--runtime", runtime)
    code, found, message = finish(start(*options, OMP_NUM_THREADS="2"))
    assert (code, message) == (0, NOTE)
    assert found == alone(tmp_path, "ner", "--model", tiny, *options)
    assert found.count(b"\n") == 1500
    assert finish(start(*options, "-o", "out.jsonl"))[0] == 0
    assert (tmp_path / "out.jsonl").read_bytes() == found


def test_a_live_pipe_answers_at_once(start):
    process = start()
    for text in (SENTENCE, "二", ""):
        process.stdin.write(f"{text}\n".encode())
        process.stdin.flush()
        assert json.loads(process.stdout.readline())["text"] == text
    assert finish(process) == (0, b"", NOTE)


def test_an_error_of_the_input_is_one_line(start, tmp_path):
    (tmp_path / "in.txt").write_bytes(LINE * 400 + b"\xff\n" + LINE * 600)
    code, found, message = finish(start("in.txt", "-o", "out.jsonl"))
    assert (code, found) == (1, b"")
    assert message.startswith(f"{NOTE}nlpkit: error: in.txt:401: not valid utf-8 at byte 1")
    assert message.count("\n") == 2
    assert os.listdir(tmp_path) == ["in.txt"]  # noqa: PTH208


def test_an_error_in_a_worker_is_the_same_line_as_in_one_process(start, tmp_path):
    pytest.importorskip("pyarrow")
    (tmp_path / "in.jsonl").write_bytes(b'{"text": "a", "id": 1}\n' * 70 + b'{"text": "b"}\n')
    command = ("embed", "-m", save_static(tmp_path / "model"))
    code, _, message = finish(start("in.jsonl", "-o", "out.parquet", "--id", "id", command=command))
    assert code == 1
    assert message == f"{NOTE}nlpkit: error: in.jsonl:71: no text or whole number in the field 'id' of --id\n"
    assert sorted(os.listdir(tmp_path)) == ["in.jsonl", "model"]  # noqa: PTH208


def test_numbers_of_any_size_pass_through(start):
    content = b'{"text":"x","id":%s}\n' % (b"9" * 40)
    code, found, _ = finish(start("--field", "text"), content)
    assert (code, found[: len(content) - 2]) == (0, content[:-2])


def test_skipped_records_are_counted_and_listed(start, tmp_path):
    content = LINE + b"\xff\n" + LINE
    code, found, message = finish(start("--on-error", "skip", "--errors", "bad.jsonl"), content)
    assert (code, found.count(b"\n")) == (3, 2)
    assert message.splitlines()[-1] == "nlpkit: 1 bad record(s) skipped"
    assert json.loads((tmp_path / "bad.jsonl").read_text())["line"] == 2


def test_a_worker_that_is_killed_is_one_line(start, tmp_path):
    process = start("-o", "out.jsonl")
    numbers = working(process)
    os.kill(numbers[0], signal.SIGKILL)
    code, _, message = finish(process, LINE * 2000)
    cure = "continue with --resume, and with fewer --workers"
    error = f"nlpkit: error: a worker process was ended, perhaps for lack of memory; {cure}\n"
    assert (code, message) == (1, NOTE + error)
    assert gone(numbers)
    assert os.listdir(tmp_path) == []  # noqa: PTH208


def test_a_parent_that_is_killed_leaves_no_orphans(start):
    process = start()
    numbers = working(process)
    process.kill()
    process.wait(SECONDS)
    assert gone(numbers)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)])
@pytest.mark.parametrize("group", [True, False])
def test_a_signal_ends_all_silently(start, tmp_path, number, code, group):
    """Also if the workers get it as well, as from a terminal."""
    process = start("-o", "out.jsonl")
    numbers = working(process)
    process.stdin.write(LINE * 200)
    process.stdin.flush()
    (os.killpg if group else os.kill)(process.pid, number)
    assert process.wait(SECONDS) == code
    assert process.stderr.read().decode() == NOTE
    assert gone(numbers)
    assert os.listdir(tmp_path) == []  # noqa: PTH208


def test_a_closed_pipe_is_silent(start, tmp_path):
    (tmp_path / "big.txt").write_bytes(LINE * 3000)
    process = start("big.txt")
    assert json.loads(process.stdout.readline())["text"] == SENTENCE
    process.stdout.close()
    assert process.wait(SECONDS) == 141
    assert process.stderr.read().decode() == NOTE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--html", "page.html"), "--workers with --html: a page is made by one process in one run"),
        (("--device", "cuda"), "--workers: processes share the memory of a CPU; leave out --device cuda"),
    ],
)
def test_what_excludes_workers(start, tmp_path, options, message):
    code, found, stderr = finish(start(*options), LINE)
    assert (code, found) == (2, b"")
    assert stderr.splitlines()[-1].startswith(f"nlpkit: error: {message}")
    assert os.listdir(tmp_path) == []  # noqa: PTH208
