"""Another folder in place of the teacher is one line of error."""

import importlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

FOLDER = Path(__file__).parents[2] / "recipes" / "nlpkit-base"
CONFIG = {"model_type": "bert", "hidden_size": 4, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 7}


@pytest.fixture
def module(monkeypatch):
    """The script, for a teacher of that size."""
    monkeypatch.syspath_prepend(str(FOLDER))
    script = importlib.import_module("check_teacher")
    monkeypatch.setattr(script, "CONFIG", CONFIG)
    monkeypatch.setattr(script, "PIECES", 5)
    return script


@pytest.fixture
def teacher(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    (tmp_path / "tokenizer.json").write_text(json.dumps({"model": {"vocab": [["a", 0.0]] * 5}}))
    save_file({"embeddings.word_embeddings.weight": np.zeros((7, 4), np.float32)}, tmp_path / "model.safetensors")
    return tmp_path


def test_the_teacher_passes(module, teacher):
    module.check(teacher)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("config.json", None, "cannot be read"),
        ("config.json", b"{", "cannot be read"),
        ("config.json", json.dumps(CONFIG | {"hidden_size": 8}).encode(), "hidden_size is 8, not 4"),
        ("config.json", json.dumps(CONFIG | {"num_hidden_layers": 1}).encode(), "num_hidden_layers is 1, not 2"),
        ("tokenizer.json", None, "cannot be read"),
        ("tokenizer.json", b"{}", "has no 'model'"),
        ("tokenizer.json", json.dumps({"model": {"vocab": ["a"]}}).encode(), "1 pieces, not 5"),
        ("model.safetensors", None, "cannot be read"),
        ("model.safetensors", b"cut off", "cannot be read"),
    ],
)
def test_another_folder_is_one_line(module, teacher, name, content, words):
    (teacher / name).unlink() if content is None else (teacher / name).write_bytes(content)
    with pytest.raises(SystemExit) as caught:
        module.check(teacher)
    line = str(caught.value)
    assert words in line
    assert str(teacher) in line
    assert "\n" not in line


def test_word_embeddings_of_another_shape(module, teacher):
    save_file({"embeddings.word_embeddings.weight": np.zeros((7, 3), np.float32)}, teacher / "model.safetensors")
    assert module.problems(teacher) == ["the word embeddings are 7 × 3"]


@pytest.mark.parametrize("script", ["check_teacher.py", "student.py"])
def test_the_scripts_say_it(script, tmp_path):
    words = [sys.executable, FOLDER / script, tmp_path / "none", "vocab.txt", "6", tmp_path / "output"]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "make it by recipes/nlpkit-base/teacher.sh" in done.stderr
    assert not (tmp_path / "output").exists()


def test_distillation_from_another_kind_of_model(tmp_path):
    options = {
        "teacher": "embed-static",
        "student": "nlpkit-base",
        "output": tmp_path,
        "corpus": "none",
        "minutes": "1",
    }
    words = [sys.executable, FOLDER / "distill.py", *(f"--{name}={value}" for name, value in options.items())]
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=os.environ)
    assert done.returncode == 1
    assert done.stderr.startswith("distill.py: error: ")
    assert done.stderr.count("\n") == 1
