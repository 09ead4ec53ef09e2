"""Every reader of files over mutated files: an error in one line, never a traceback, a crash, a hang or much memory.

500 cases of each reader by default. The nightly tier runs 100,000 of each, or as many as NLPKIT_FUZZ_CASES says.
"""

import mmap
import os
import random
import time

import pytest
from fuzz.campaign import Reader, campaign
from fuzz.mutations import mutate
from fuzz.readers import READERS

from nlpkit.errors import DataError
from nlpkit.tasks import TASKS, imported

CASES = 500
NIGHTLY = int(os.environ.get("NLPKIT_FUZZ_CASES", 100_000))

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")


@pytest.mark.parametrize("name", READERS)
def test_mutated_files(tmp_path, name):
    assert campaign(READERS[name], tmp_path / "files", CASES) == []


@pytest.mark.nightly
@pytest.mark.parametrize("name", READERS)
def test_many_mutated_files(tmp_path, name):
    assert campaign(READERS[name], tmp_path / "files", NIGHTLY) == []


def test_every_format_of_every_task_has_a_reader():
    names = {" ".join(name.split(" ")[:2]) for name in READERS}
    for task in TASKS:
        module = imported(task.formats) if task.formats else None
        for format in getattr(module, "FORMATS", ()):
            tasks = [task.name] if format == "nlpkit" else [other.name for other in TASKS]
            assert names & {f"{name} {format}" for name in tasks}, (task.name, format)


def test_a_mutation_is_a_function_of_its_number():
    content = b'{"a": [1, 2, {"b": "x"}]}'
    for name in ("a.json", "a.jsonl", "a.npy", "a.safetensors", "a.txt", "a.bin"):
        found = [[mutate(random.Random(number), name, content, content) for number in range(300)] for _ in range(2)]
        assert found[0] == found[1]
        assert len(set(found[0])) > 150


def make(folder):
    (folder / "a.txt").write_bytes(bytes(range(256)))


def refuse(folder):
    raise DataError("broken", str(folder / "a.txt"))


def refuse_without_a_name(folder):
    raise DataError("broken")


def take_memory(folder):
    """Take 200 MiB from the system; malloc may have as much that earlier tests have freed."""
    mmap.mmap(-1, 200 << 20).write(bytes(200 << 20))


@pytest.mark.parametrize(
    ("act", "said"),
    [
        (lambda folder: 1 / 0, "ZeroDivisionError"),
        (lambda folder: os._exit(3), "ended the process"),
        (lambda folder: os.kill(os.getpid(), 9), "ended by signal 9"),
        (lambda folder: time.sleep(9), "no end after 1 seconds"),
        (lambda folder: sum(range(10**7)), "seconds of CPU time"),
        (take_memory, "MiB more"),
        (lambda folder: bytearray(1 << 40), "MemoryError"),
        (refuse_without_a_name, "names no file: broken"),
        (refuse, ""),
    ],
)
def test_what_a_campaign_finds(tmp_path, monkeypatch, act, said):
    monkeypatch.setattr("fuzz.campaign.SECONDS", 0.05)
    monkeypatch.setattr("fuzz.campaign.PATIENCE", 1.0)

    def use(folder):
        if (folder / "a.txt").read_bytes() != bytes(range(256)):
            act(folder)

    found = campaign(Reader("x", make, use), tmp_path / "files", 10, most=1)
    assert any(said in line for line in found) if said else found == [], found
    assert all(line.startswith("x case ") and "reproduce.py" in line for line in found)
