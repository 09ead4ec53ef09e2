"""The declaration of tasks: what it names exists, and a new task gets its commands from it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from support import environment, write_jsonl

import nlpkit
from nlpkit.core.model.manifest import embedded_names
from nlpkit.core.model.task import Task
from nlpkit.errors import UsageError
from nlpkit.tasks import TASKS, imported, spec

TESTS = Path(__file__).parent
RUN = """
import nlpkit.tasks
from toy_task import SPEC
nlpkit.tasks.TASKS += (SPEC,)
from nlpkit.__main__ import main
main()
"""


def run(*arguments, text=None):
    """The command line with the toy task, in a process of its own."""
    paths = {"PYTHONPATH": f"{TESTS}:{TESTS.parent}"}
    command = [sys.executable, "-c", RUN, *map(str, arguments)]
    return subprocess.run(command, input=text, capture_output=True, text=True, env=environment() | paths)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.name)
def test_what_a_declaration_names_exists(task):
    task_type = imported(task.task)
    assert issubclass(task_type, Task)
    assert task_type.name == task.name
    assert task.default_model is None or task.default_model in embedded_names()
    assert callable(imported(task.loader))
    assert task.name == "embed" or "nlpkit" in imported(task.formats).FORMATS


def test_an_unknown_task_is_named():
    with pytest.raises(UsageError, match=r"no task 'nre'; there are: ner, relation"):
        spec("nre")
    with pytest.raises(UsageError, match="no task 'nre'"):
        nlpkit.load("nre")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("label")
    good, bad = "好棒喜欢", "差坏讨厌"
    records = [
        {"text": f"这部电影真的{words[i % 4]}，我看了{i}遍", "label": label}
        for i in range(24)
        for words, label in ((good, "positive"), (bad, "negative"))
    ]
    return write_jsonl(folder / "train.jsonl", records), write_jsonl(folder / "dev.jsonl", records[:16]), folder / "m"


def test_a_new_task_has_all_commands(data):
    train, dev, model = data
    helped = run("--help").stdout

    assert "Label texts." in helped

    options = ["--dev", dev, "-o", model, "-m", "roformer_v2:1x64", "--epochs", 16, "--batch-size", 8, "-q"]
    trained = run("train", "label", train, *options)
    assert trained.returncode == 0, trained.stderr
    assert json.loads(trained.stdout)["accuracy"] == 1.0

    found = run("label", "-m", model, text="这部电影真的棒\n这部电影真的差\n")
    assert found.returncode == 0, found.stderr
    records = [json.loads(line) for line in found.stdout.splitlines()]
    assert [record["label"] for record in records] == ["positive", "negative"]
    assert list(records[0]) == ["text", "label", "score"]

    scored = run("evaluate", "label", dev, "-m", model)
    assert json.loads(scored.stdout)["accuracy"] == 1.0
