"""Exported models: the same states as in torch, one copy of the weights, and the same answers in nlpkit."""

import json
import shutil

import numpy as np
import onnxruntime
import pytest
import torch
from support import SENTENCE

from nlpkit.core import export as module
from nlpkit.core.export import ENCODER, export
from nlpkit.core.model import checkpoint
from nlpkit.core.model.manifest import Manifest, read_manifest
from nlpkit.core.text.tokenizer import SPECIALS
from nlpkit.errors import ModelError, OutputError, UsageError
from nlpkit.nn.backbones import build
from nlpkit.nn.backbones.auto import AutoBackbone
from nlpkit.tasks.embed.loading import load as load_embedder
from nlpkit.tasks.ner.task import load

TOKENS = (*SPECIALS, *sorted(set(SENTENCE)))
BERT = {"vocab_size": len(TOKENS), "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
        "intermediate_size": 48, "max_position_embeddings": 64, "model_type": "bert"}  # fmt: skip


def save(folder, backbone, task="embed"):
    """Save an embedding model with random weights; return its folder."""
    weights = {f"backbone.{name}": value for name, value in backbone.state_dict().items()}
    manifest = Manifest(task, backbone.describe(), {"kind": "char", "lowercase": True}, 64, {"pooling": "mean"})
    checkpoint.save(folder, manifest, TOKENS, weights)
    return str(folder)


def test_the_file_gives_the_states_of_torch(tiny, tmp_path):
    record = export(tiny, tmp_path / "out")
    assert record == {"folder": str(tmp_path / "out"), "task": "ner", "max_difference": pytest.approx(0, abs=1e-4)}
    predictor = load(tiny, "cpu", "fp32", runtime="torch")
    ids = np.array([[2, 7, 8, 9, 3], [2, 7, 3, 0, 0]])
    mask = ids > 0
    with torch.inference_mode():
        expected = predictor.network.backbone(torch.from_numpy(ids), torch.from_numpy(mask)).numpy()
    session = onnxruntime.InferenceSession(tmp_path / "out" / ENCODER)
    (found,) = session.run(None, {"input_ids": ids, "lengths": np.array([5, 3], dtype=np.int32)})
    np.testing.assert_allclose(found[mask], expected[mask], atol=1e-4)


def test_the_folder_is_a_model_with_the_same_answers(tiny, tmp_path):
    export(tiny, tmp_path / "out")
    texts = [SENTENCE, "", SENTENCE * 9]
    expected = load(tiny, "cpu", "fp32", runtime="torch").predict(texts)
    for runtime in ("onnx", "torch"):
        found = load(str(tmp_path / "out"), "cpu", "fp32", runtime=runtime).predict(texts)
        assert [[(e.start, e.end, e.label) for e in answer] for answer in found] == [
            [(e.start, e.end, e.label) for e in answer] for answer in expected
        ]
    assert export(str(tmp_path / "out"), tmp_path / "again")["max_difference"] < 1e-4


def test_weights_are_stored_once(tiny, tmp_path):
    export(tiny, tmp_path / "out")
    sizes = {path.name: path.stat().st_size for path in (tmp_path / "out").iterdir()}
    names = [name for name in sizes if name.endswith((".onnx", ".safetensors"))]
    assert sorted(names) == ["model.onnx", "model.safetensors"]
    (tmp_path / "out" / "model.safetensors").unlink()
    with pytest.raises(Exception, match=r"model\.safetensors"):
        onnxruntime.InferenceSession(tmp_path / "out" / ENCODER)


def test_a_bert_of_transformers_gets_the_names_of_nlpkit(tmp_path):
    folder = save(tmp_path / "m", AutoBackbone.from_config(BERT))
    assert export(folder, tmp_path / "out")["max_difference"] < 1e-4
    assert read_manifest(tmp_path / "out").backbone["type"] == "bert"
    vectors = [
        load_embedder(name, "cpu", "fp32", runtime=runtime).encode([SENTENCE, "北京"])
        for name, runtime in ((folder, "torch"), (str(tmp_path / "out"), "onnx"))
    ]
    np.testing.assert_allclose(*vectors, atol=1e-5)


@pytest.mark.parametrize("name", ["model.onnx", "model.safetensors"])
def test_a_folder_with_other_files_is_refused(tiny, tmp_path, name):
    export(tiny, tmp_path / "out")
    path = tmp_path / "out" / name
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ModelError, match=f"{name}.*copy or download it again"):
        load(str(tmp_path / "out"), "cpu", "fp32")


def test_a_folder_of_another_version_is_refused(tiny, tmp_path):
    export(tiny, tmp_path / "out")
    path = tmp_path / "out" / "nlpkit.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}), encoding="utf-8")
    with pytest.raises(ModelError, match=r"newer than this one.*upgrade nlpkit"):
        load(str(tmp_path / "out"), "cpu", "fp32")


def test_what_cannot_be_exported(tiny, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    with pytest.raises(OutputError, match="has other things in it, such as x; name a new folder"):
        export(tiny, tmp_path / "full")
    (tmp_path / "in").touch()
    with pytest.raises(UsageError, match=r"in/x: .*in is a file; name a folder"):
        export(tiny, tmp_path / "in" / "x")
    sizes = {"vocab_size": len(TOKENS), "hidden_size": 16, "num_layers": 1, "key_size": 8, "intermediate_size": 32}
    folder = save(tmp_path / "gau", build({"type": "gau_alpha", **sizes}))
    with pytest.raises(UsageError, match="gau: there is no ONNX graph for an encoder of type gau_alpha"):
        export(folder, tmp_path / "out")
    with pytest.raises(UsageError, match="embed-static: there is no ONNX graph for an encoder of type static"):
        export("embed-static", tmp_path / "out")
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(ModelError, match="a Hugging Face backbone, not a trained model; train one on it"):
        export(str(tmp_path / "hub"), tmp_path / "out")
    with pytest.raises(ModelError, match="no such model"):
        export("nothing", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_difference_from_torch_is_an_error(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "_compare", lambda *folders: 0.25)
    with pytest.raises(ModelError, match=r"differs from torch by 0\.25"):
        export(tiny, tmp_path / "out")
    assert not list(tmp_path.glob("*out*"))


def test_other_files_of_the_model_are_copied(tiny, tmp_path):
    shutil.copytree(tiny, tmp_path / "m")
    (tmp_path / "m" / "card.json").write_text("{}", encoding="utf-8")
    (tmp_path / "m" / "training").mkdir(exist_ok=True)
    export(str(tmp_path / "m"), tmp_path / "out")
    assert (tmp_path / "out" / "card.json").read_text(encoding="utf-8") == "{}"
    assert not (tmp_path / "out" / "training").exists()


def test_a_model_that_shares_an_encoder_is_exported_with_it(tmp_path):
    assert export("ner-general", tmp_path / "out")["max_difference"] < 1e-3
    found = read_manifest(tmp_path / "out")
    assert found.encoder is None
    assert found.files.keys() == {"model.onnx", "model.safetensors", "vocab.txt"}
    texts = ["王小明昨天去了北京大学。"]
    expected = load("ner-general", "cpu", "fp32", runtime="torch").predict(texts)[0]
    (answer,) = load(str(tmp_path / "out"), "cpu", "fp32", runtime="onnx").predict(texts)
    assert [(e.start, e.end, e.label) for e in answer] == [(e.start, e.end, e.label) for e in expected]
    assert len(expected) >= 2
