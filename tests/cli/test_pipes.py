"""Real pipes and signals: `nlpkit ner` as a process."""

import gzip
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time

import pytest
from support import SENTENCE, environment

LINE = (SENTENCE + "\n").encode()
SECONDS = 60  # nothing takes as long, unless it hangs


@pytest.fixture
def start(tiny, tmp_path):
    """Starts `nlpkit ner` with the tiny model in an empty folder, all of its streams pipes unless given."""
    started = []

    def run(*args, **streams):
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        command = [sys.executable, "-m", "nlpkit", "ner", "--model", tiny, *args]
        process = subprocess.Popen(command, **(pipes | streams), cwd=tmp_path, env=environment())
        started.append(process)
        return process

    yield run
    for process in started:
        process.kill()
        process.wait()
        for stream in (process.stdin, process.stdout, process.stderr):
            if stream and not stream.closed:
                stream.close()


def say(process, content=LINE):
    process.stdin.write(content)
    process.stdin.flush()


def end(process):
    """(exit code, stderr) of a process whose stdin may still be open."""
    return process.wait(SECONDS), process.stderr.read().decode()


def test_a_live_pipe_answers_at_once_and_ctrl_c_ends_it_silently(start):
    process = start()
    say(process)
    assert json.loads(process.stdout.readline())["text"] == SENTENCE
    asked = time.monotonic()
    say(process, "二\n\n".encode())
    assert json.loads(process.stdout.readline())["text"] == "二"
    assert json.loads(process.stdout.readline())["text"] == ""
    assert time.monotonic() - asked < 5
    process.send_signal(signal.SIGINT)
    assert end(process) == (130, "")


def begun(folder):
    """Waits until a process has begun to write a file in the folder."""
    deadline = time.monotonic() + SECONDS
    while not any(name.startswith(".out") for name in os.listdir(folder)) and time.monotonic() < deadline:  # noqa: PTH208
        time.sleep(0.02)


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
)
def test_a_signal_leaves_nothing_half_written(start, tmp_path, number, code):
    (tmp_path / "out.jsonl").write_text("old")
    process = start("-o", "out.jsonl", "--html", "page.html")
    say(process, LINE * 100)
    begun(tmp_path)
    process.send_signal(number)
    assert end(process) == (code, "")
    assert os.listdir(tmp_path) == ["out.jsonl"]  # noqa: PTH208
    assert (tmp_path / "out.jsonl").read_text() == "old"


def test_timeout_leaves_nothing_half_written(tiny, tmp_path):
    # It sends the signal to the process and, once more, to its group.
    command = f"timeout --preserve-status 30 {sys.executable} -m nlpkit ner --model {tiny} -o out.npy.gz"
    process = subprocess.Popen(
        ["bash", "-c", command], stdin=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env=environment(),
        start_new_session=True,
    )  # fmt: skip
    begun(tmp_path)
    os.killpg(process.pid, signal.SIGTERM)
    assert process.wait(SECONDS) == 143 or process.returncode == -signal.SIGTERM
    assert process.stderr.read() == b""
    process.stdin.close()
    process.stderr.close()
    deadline = time.monotonic() + SECONDS
    while os.listdir(tmp_path) and time.monotonic() < deadline:  # noqa: PTH208
        time.sleep(0.02)
    assert os.listdir(tmp_path) == []  # noqa: PTH208


def test_a_signal_that_is_ignored_stays_ignored(tiny, tmp_path):
    command = f"trap '' HUP; exec {sys.executable} -m nlpkit ner --model {tiny} -o out.jsonl"  # as nohup does
    process = subprocess.Popen(["bash", "-c", command], stdin=subprocess.PIPE, cwd=tmp_path, env=environment())
    process.stdin.write(LINE)
    process.stdin.flush()
    begun(tmp_path)
    process.send_signal(signal.SIGHUP)
    time.sleep(0.3)
    assert process.poll() is None
    process.stdin.close()
    assert process.wait(SECONDS) == 0
    assert (tmp_path / "out.jsonl").exists()


def test_a_closed_pipe_is_silent(start, tmp_path):
    (tmp_path / "big.txt").write_bytes(LINE * 5000)
    process = start("big.txt")
    head = subprocess.run(["head", "-1"], stdin=process.stdout, capture_output=True, check=True)
    process.stdout.close()
    assert json.loads(head.stdout)["text"] == SENTENCE
    assert end(process) == (141, "")


def test_a_closed_pipe_is_silent_while_stdin_is_open(start):
    process = start()
    say(process)
    process.stdout.readline()
    process.stdout.close()
    say(process)
    assert end(process) == (141, "")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")  # noqa: PTH110
def test_a_full_disk_is_one_line(start):
    with open("/dev/full", "wb") as full:  # noqa: PTH123
        process = start(stdout=full)
        say(process)
        code, message = end(process)
    assert code == 1
    assert message.startswith("nlpkit: error: <stdout>: cannot be written (No space left on device)")
    assert message.count("\n") == 1


def test_what_came_before_a_bad_line_is_answered(start):
    process = start()
    out, message = process.communicate(LINE + b"\xff\n" + LINE, SECONDS)
    assert process.returncode == 1
    assert [json.loads(line)["text"] for line in out.splitlines()] == [SENTENCE]
    assert message.decode().startswith("nlpkit: error: <stdin>:2: not valid utf-8 at byte 1")
    assert message.count(b"\n") == 1


def test_an_archive_on_stdin(start):
    process = start()
    out, message = process.communicate(gzip.compress(LINE * 3), SECONDS)
    assert (process.returncode, message) == (0, b"")
    assert [json.loads(line)["text"] for line in out.splitlines()] == [SENTENCE] * 3


def read_terminal(master, process):
    """What a process writes to a terminal until it ends."""
    written = b""
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        if select.select([master], [], [], 0.1)[0]:
            try:
                written += os.read(master, 65536)
            except OSError:  # Linux, when the other side is closed
                break
        elif process.poll() is not None:
            break
    return written.decode()


def test_on_a_terminal_the_text_is_shown_in_colour(start, model):
    master, slave = pty.openpty()
    process = start(stdout=slave)
    os.close(slave)
    say(process)
    process.stdin.close()
    shown = read_terminal(master, process)
    os.close(master)
    assert end(process) == (0, "")
    entity = model.predictions([SENTENCE])[0].answer[0]
    assert "{" not in shown
    assert f"{SENTENCE[entity.start : entity.end]}\x1b[0m" in shown
    assert f"[{entity.label}]" in shown


def test_without_files_on_a_terminal_the_help_is_shown(start):
    master, slave = pty.openpty()
    process = start(stdin=slave)
    os.close(slave)
    code, message = end(process)
    os.close(master)
    assert (code, process.stdout.read()) == (2, b"")
    assert message.startswith("Usage: ")


def shell(command, **options):
    """A command line of `nlpkit` in a shell, ended."""
    command = command.replace("nlpkit", f"{sys.executable} -m nlpkit", 1)
    return subprocess.run(["bash", "-c", command], env=environment(), capture_output=True, check=False, **options)


@pytest.mark.parametrize("arguments", ["--help", "ner --help", "graph", "--version", "models", "doctor"])
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")  # noqa: PTH110
def test_help_on_a_full_disk_is_one_line(arguments):
    done = shell(f"nlpkit {arguments} > /dev/full")
    if arguments == "graph":  # a group without a command shows its help on stderr
        assert done.returncode == 2
        return
    assert done.returncode == 1
    assert done.stderr.decode().startswith("nlpkit: error: <stdout>: ")
    assert done.stderr.count(b"\n") == 1


def test_help_into_a_closed_pipe_is_silent():
    done = shell("nlpkit --help | true; exit ${PIPESTATUS[0]}")
    assert (done.returncode, done.stderr) == (141, b"")


def test_a_full_or_closed_stderr(tiny, tmp_path):
    for redirection in ("2>&-", "2> /dev/full") if os.path.exists("/dev/full") else ("2>&-",):  # noqa: PTH110
        done = shell(f"nlpkit ner --model {tiny} -o out.jsonl {redirection}", input=LINE + b"\xff\n", cwd=tmp_path)
        assert (done.returncode, os.listdir(tmp_path)) == (1, [])  # noqa: PTH208
        done = shell(f"nlpkit ner --model {tiny} -o out.jsonl {redirection}", input=LINE, cwd=tmp_path)
        assert (done.returncode, (tmp_path / "out.jsonl").read_bytes().count(b"\n")) == (0, 1)
        (tmp_path / "out.jsonl").unlink()


@pytest.mark.parametrize("name", ["-", "/dev/stdout", "/dev/fd/1"])
def test_stdout_under_any_name_is_not_cut(tiny, tmp_path, name):
    done = shell(f"{{ echo head; nlpkit ner --model {tiny} -o {name}; echo tail; }} > f", input=LINE, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, b"")
    head, found, tail = (tmp_path / "f").read_text(encoding="utf-8").splitlines()
    assert (head, json.loads(found)["text"], tail) == ("head", SENTENCE, "tail")


@pytest.mark.parametrize(("redirection", "name"), [("<&-", "stdin"), (">&-", "stdout")])
def test_closed_streams(tiny, redirection, name):
    done = shell(f"exec nlpkit ner --model {tiny} {redirection}", input=LINE)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.decode().startswith(f"nlpkit: error: <{name}>: is closed")
    assert done.stderr.count(b"\n") == 1
