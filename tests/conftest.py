"""Fixtures: a tiny checkpoint, a toy data set, the published data, and the command line."""

import os
import signal
from pathlib import Path

import pytest
import torch
from hypothesis import settings
from support import invoke, records, save_tiny, toy_records, write_jsonl

from nlpkit.tasks.ner.task import load

DATA = Path(__file__).parents[2] / "shared" / "data"

os.environ["NLPKIT_LANG"] = "en"  # on any machine
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # in the background of a script; commands would ignore it, too
    signal.signal(signal.SIGINT, signal.default_int_handler)
torch.set_num_threads(1)  # the networks are tiny, and other jobs may be running
settings.register_profile("nlpkit", deadline=None, derandomize=True, max_examples=100)
settings.load_profile("nlpkit")


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """The folder of a tiny NER model with random weights; it finds something in most texts."""
    return str(save_tiny(tmp_path_factory.mktemp("tiny") / "model"))


@pytest.fixture(scope="session")
def model(tiny):
    """The tiny model, loaded."""
    return load(tiny, "cpu", "fp32", runtime="torch")


@pytest.fixture(scope="session")
def toy(tmp_path_factory):
    """(train, dev) files of the toy language."""
    folder = tmp_path_factory.mktemp("toy")
    return write_jsonl(folder / "train.jsonl", toy_records(400)), write_jsonl(folder / "dev.jsonl", toy_records(60, 1))


@pytest.fixture
def nlpkit(monkeypatch, tmp_path):
    """Runs the command line in this process, in an empty folder; see `support.invoke`."""
    monkeypatch.chdir(tmp_path)
    return invoke


@pytest.fixture
def fails(nlpkit):
    """Runs a command that must fail with one line on stderr, after whole records at most; gives the line."""

    def run(code, *args, text=None):
        result = nlpkit(*args, text=text)
        assert result.exit_code == code, result.output
        assert all(isinstance(record, dict) for record in records(result))
        (line,) = result.stderr.splitlines()
        return line.removeprefix("nlpkit: error: ")

    return run


@pytest.fixture(scope="session")
def data():
    """The folder of published data."""
    if not DATA.is_dir():
        pytest.skip(f"no {DATA}")
    return DATA
