"""`--ray`: refusals, and (slow) real clusters on this machine whose actors and workers are lost."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest
from support import SENTENCE, environment, write_jsonl

SECONDS = 300  # nothing takes as long, unless it hangs


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["a.txt", "--ray"], 2, "--ray: writes a folder of parts; name it with --output"),
        (["a.txt", "--ray", "-o", "out", "--html", "x.html"], 2, "--html: a page is made by one process"),
        (["a.txt", "-o", "out", "--ray", "local", "--on-error", "skip", "--errors", "e"], 2, "--errors: with --ray"),
        (["-o", "out", "--ray"], 2, "--ray: stdin cannot be divided; name files, a folder or a pattern"),
        (["empty", "-o", "out", "--ray"], 1, "empty: has no file to read"),
        (["mixed", "-o", "out", "--ray"], 1, "mixed: has files of several formats (1 jsonl, 1 text)"),
        (["none.txt", "-o", "out", "--ray"], 1, "none.txt: no such file"),
        (["a.txt", "-o", "other", "--ray"], 1, "other: is a file or has other files; name a new folder"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(fails, tmp_path, tiny, arguments, code, message):
    (tmp_path / "a.txt").write_text("一\n", encoding="utf-8")
    for folder, names in (("empty", []), ("mixed", ["a.txt", "b.jsonl"]), ("other", ["mine"])):
        (tmp_path / folder).mkdir()
        for name in names:
            (tmp_path / folder / name).write_text("")
    assert message in fails(code, "ner", "-m", tiny, *arguments)
    assert not (tmp_path / "out").exists()
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["mine"]


def start(tiny, folder, *arguments):
    command = [sys.executable, "-m", "nlpkit", "ner", "--model", tiny, "--runtime", "torch", *arguments]
    return subprocess.Popen(command, cwd=folder, env=environment(), stderr=subprocess.PIPE, text=True)


def end(process):
    _, message = process.communicate(timeout=SECONDS)
    return process.returncode, message


@pytest.fixture
def parts(tiny, tmp_path):
    """A folder of files, and the output of the command for them without Ray."""
    pytest.importorskip("ray")
    (tmp_path / "in").mkdir()
    for number in range(6):
        rows = [{"id": number * 400 + row, "text": f"{SENTENCE}第{row}行"} for row in range(400)]
        write_jsonl(tmp_path / "in" / f"{number}.jsonl", rows)
    assert end(start(tiny, tmp_path, "in", "-o", "whole.jsonl")) == (0, "")
    return tmp_path


def joined(folder):
    return b"".join(path.read_bytes() for path in sorted((folder / "out").glob("part-*.jsonl")))


@pytest.mark.slow
def test_the_parts_are_the_output_of_the_command(tiny, parts):
    code, message = end(start(tiny, parts, "in", "--ray", "-o", "out", "--workers", "2"))
    assert (code, message.splitlines()[-1]) == (0, "nlpkit: 6 parts with 2,400 records are written to out")
    whole = (parts / "whole.jsonl").read_bytes()
    assert joined(parts) == whole
    (parts / "out" / "part-000002.jsonl").unlink()
    before = {path.name: path.stat().st_mtime_ns for path in (parts / "out").glob("part-*")}
    code, message = end(start(tiny, parts, "in", "--ray", "local", "-o", "out"))
    assert code == 0
    assert "nlpkit: 5 of 6 parts are done" in message
    assert joined(parts) == whole
    after = {path.name: path.stat().st_mtime_ns for path in (parts / "out").glob("part-*")}
    assert {name: after[name] for name in before} == before
    code, message = end(start(tiny, parts, "in", "--ray", "-o", "out", "--threshold", "0.9"))
    assert code == 1
    assert "out: is of a run that differs in --threshold" in message


@pytest.mark.slow
def test_bad_records_are_beside_the_parts(tiny, parts):
    with (parts / "in" / "3.jsonl").open("a") as stream:
        stream.write("{\n")
    code, message = end(start(tiny, parts, "in", "--ray", "-o", "bad"))
    assert code == 1
    assert "3.jsonl:401: not valid JSON" in message
    code, message = end(start(tiny, parts, "in", "--ray", "-o", "out", "--on-error", "skip"))
    assert (code, message.splitlines()[-1]) == (3, "nlpkit: 1 bad record(s) skipped")
    assert joined(parts) == (parts / "whole.jsonl").read_bytes()
    (bad,) = (parts / "out" / "bad-part-000003.jsonl").read_text().splitlines()
    assert json.loads(bad)["line"] == 401


@pytest.mark.slow
def test_a_lost_actor_is_replaced(tiny, parts):
    process = start(tiny, parts, "in", "--ray", "-o", "out", "--workers", "1")
    killed = 0
    deadline = time.monotonic() + SECONDS
    while process.poll() is None and killed < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
        done = len(list((parts / "out").glob("part-*.jsonl"))) if (parts / "out").exists() else 0
        found = subprocess.run(["pgrep", "-f", "ray::MapWorker"], capture_output=True, text=True, check=False).stdout
        if found and done > killed:
            os.kill(int(found.split()[0]), signal.SIGKILL)
            killed += 1
    assert end(process)[0] == 0
    assert killed
    assert joined(parts) == (parts / "whole.jsonl").read_bytes()


@pytest.mark.slow
def test_a_lost_worker_node_is_replaced(tiny, parts):
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0})
    try:
        node = cluster.add_node(num_cpus=1)
        cluster.add_node(num_cpus=1)
        process = start(tiny, parts, "in", "--ray", cluster.address, "-o", "out")
        deadline = time.monotonic() + SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            if len(list((parts / "out").glob("part-*.jsonl"))):
                break
            time.sleep(0.1)
        cluster.remove_node(node, allow_graceful=False)
        assert end(process)[0] == 0
    finally:
        cluster.shutdown()
    assert joined(parts) == (parts / "whole.jsonl").read_bytes()
