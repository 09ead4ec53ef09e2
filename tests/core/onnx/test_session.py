"""Sessions: threads, and the network that a predictor calls."""

import os
import subprocess
import sys

import numpy as np
from support import environment, randomize

from nlpkit.core.onnx.session import OnnxEncoder, OnnxRunner, num_threads
from nlpkit.core.onnx.weights import StoredWeights
from nlpkit.nn.backbones import build
from nlpkit.nn.configs import read_config

SIZES = {"type": "roformer_v2", "vocab_size": 20, "hidden_size": 16, "num_layers": 1, "num_heads": 2}


def test_the_number_of_threads(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert num_threads() == 3
    for value in ("0", "many"):
        monkeypatch.setenv("OMP_NUM_THREADS", value)
        assert num_threads() >= 1
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert 1 <= num_threads() <= (os.cpu_count() or 1)


def test_a_runner_gives_the_outputs_of_the_head():
    module = build(SIZES)
    randomize(module, 1)
    weights = StoredWeights({name: value.numpy() for name, value in module.state_dict().items()})
    encoder = OnnxEncoder(read_config(SIZES), weights)
    runner = OnnxRunner(encoder, lambda states, mask: (states.shape, mask.sum()), 7)
    assert (runner.device_type, runner.parameters) == ("cpu", 7)
    mask = np.arange(4) < np.array([[4], [2]])
    assert runner(np.full((2, 4), 5), mask) == ((2, 4, 16), 6)


def test_nothing_is_sent_and_nothing_is_written_outside(tmp_path):
    # the official builds of ONNX Runtime have telemetry, which writes an identifier into the user's cache
    around = {name: value for name, value in environment().items() if name not in ("CI", "GITHUB_ACTIONS", "TF_BUILD")}
    home = {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache"), "XDG_DATA_HOME": str(tmp_path / "data")}
    command = [sys.executable, "-m", "nlpkit", "ner", "--runtime", "onnx"]
    done = subprocess.run(
        command, input=b"\xe5\x8c\x97\xe4\xba\xac", env=around | home, capture_output=True, check=True
    )
    assert done.stdout.count(b"\n") == 1
    assert list(tmp_path.rglob("*")) == []
