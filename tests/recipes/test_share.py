"""Writing a head without the encoder that it was trained on."""

import importlib
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from nlpkit.core.model.contents import WEIGHTS
from nlpkit.core.model.manifest import EMBEDDED, LOG, read_manifest
from nlpkit.tasks.ner.task import load

ENCODER = "ner-cluener"


@pytest.fixture
def share(monkeypatch):
    """The recipe's module."""
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "recipes" / "ner-general"))
    return importlib.import_module("share")


def test_the_head_alone_gives_the_same_answers(share, tmp_path):
    trained = shutil.copytree(EMBEDDED / ENCODER, tmp_path / "trained")
    (trained / LOG).parent.mkdir(exist_ok=True)  # an installed nlpkit has none
    (trained / LOG).write_bytes(b'{"step":1}\n')
    share.main(trained, ENCODER, tmp_path / "head")
    assert sorted(path.name for path in (tmp_path / "head").iterdir()) == [WEIGHTS, "nlpkit.json", "training"]
    assert (tmp_path / "head" / LOG).read_bytes() == b'{"step":1}\n'
    assert (tmp_path / "head" / WEIGHTS).stat().st_size < 100_000
    found = read_manifest(tmp_path / "head")
    assert found.encoder.model == ENCODER
    texts = ["叶老桂在浙商银行工作"]
    expected, answers = (load(str(folder), "cpu", "fp32").predict(texts) for folder in (ENCODER, tmp_path / "head"))
    assert answers == expected
    assert expected[0]


def test_another_encoder_is_refused(share, tmp_path):
    folder = shutil.copytree(EMBEDDED / ENCODER, tmp_path / "trained")
    tensors = load_file(folder / WEIGHTS)
    tensors["backbone.embeddings.weight"] = torch.flip(tensors["backbone.embeddings.weight"], [0])
    save_file(tensors, folder / WEIGHTS)
    with pytest.raises(SystemExit, match=r"its encoder is not that of ner-cluener \(backbone.embeddings.weight\)"):
        share.main(folder, ENCODER, tmp_path / "head")
    assert not (tmp_path / "head").exists()
