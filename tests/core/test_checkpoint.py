"""Checkpoint folders: the same back as was saved, nothing half-written, and what is said of a broken one."""

import json
import os
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from support import SENTENCE, save_tiny

from nlpkit.core import checkpoint, manifest
from nlpkit.core.checkpoint import WEIGHTS, load_weights, save_tensors
from nlpkit.core.manifest import MANIFEST, find, find_local, read_manifest
from nlpkit.core.tokenizer import WordTokenizer
from nlpkit.errors import ModelError, OutputError
from nlpkit.tasks.ner.task import NerTask, load


@pytest.fixture
def folder(tiny, tmp_path):
    return shutil.copytree(tiny, tmp_path / "model")


def edit(folder, **changes):
    path = folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_folder_describes_itself(tiny, model):
    assert sorted(os.listdir(tiny)) == sorted([MANIFEST, "vocab.txt", WEIGHTS])  # noqa: PTH208
    assert model.task == NerTask(("company", "name"), threshold=0.9)
    assert (model.max_length, model.tokenizer.kind) == (64, "char")
    weights = load_file(f"{tiny}/{WEIGHTS}")
    assert weights.keys() == model.network.state_dict().keys()
    assert all(torch.equal(weights[name], value) for name, value in model.network.state_dict().items())


def test_a_word_tokenizer_is_kept(tmp_path):
    tokenizer = WordTokenizer([*["[PAD]", "[UNK]", "[CLS]", "[SEP]", "北京大学"], *"王小明去了"], lowercase=False)
    loaded = load(str(save_tiny(tmp_path / "m", tokenizer)), "cpu", "fp32").tokenizer
    assert (type(loaded), loaded.lowercase, loaded.tokens) == (WordTokenizer, False, tokenizer.tokens)


@pytest.mark.parametrize(("store", "share", "tolerance"), [("fp16", 0.5, 0.01), ("int8", 0.25, 0.1)])
def test_less_room_on_disk_is_single_precision_again_once_loaded(tiny, tmp_path, store, share, tolerance):
    full = load(tiny, "cpu", "fp32")
    kept = read_manifest(manifest.Path(tiny))
    checkpoint.save(tmp_path / "less", kept, full.tokenizer, full.network.state_dict(), store)
    sizes = [(manifest.Path(folder) / WEIGHTS).stat().st_size for folder in (tmp_path / "less", tiny)]
    assert sizes[0] < (share + 0.1) * sizes[1]
    less = load(str(tmp_path / "less"), "cpu", "fp32")
    assert {value.dtype for value in less.network.state_dict().values()} == {torch.float32}
    found, expected = (model.predict([SENTENCE])[0].answer for model in (less, full))
    assert found == expected
    assert [e.score for e in found] == pytest.approx([e.score for e in expected], abs=tolerance)


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "x.safetensors"
    save_tensors({"a": torch.ones(2)}, path)

    def broken(tensors, target, metadata):
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", broken)
    with pytest.raises(OutputError, match=r"x.safetensors: cannot be written .*No space"):
        save_tensors({"a": torch.zeros(2)}, path)
    assert os.listdir(tmp_path) == [path.name]  # noqa: PTH208
    assert torch.equal(load_file(path)["a"], torch.ones(2))


def remove(name):
    return lambda folder: (folder / name).unlink()


def truncate(folder):
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:5000])


def without_a_weight(folder):
    weights = load_file(folder / WEIGHTS)
    weights.pop("head.dense.weight")
    save_file(weights, folder / WEIGHTS)


def of_another_shape(folder):
    weights = load_file(folder / WEIGHTS)
    save_file(weights | {"head.dense.weight": torch.ones(2, 2)}, folder / WEIGHTS)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove(MANIFEST), rf"model: no {MANIFEST} there, so not an nlpkit model"),
        (lambda folder: (folder / MANIFEST).write_text("{"), rf"{MANIFEST}: broken"),
        (lambda folder: (folder / MANIFEST).write_text("[]"), rf"{MANIFEST}: broken"),
        (lambda folder: edit(folder, surprise=1), rf"{MANIFEST}: broken or of another version"),
        (lambda folder: edit(folder, format=99, version="9.9"), r"made by nlpkit 9.9, newer than this one .*upgrade"),
        (lambda folder: edit(folder, task="relation"), "a model for `nlpkit relation`, not for `nlpkit ner`"),
        (lambda folder: edit(folder, config={"labels": ["a"], "colour": 1}), "config does not fit this version"),
        (lambda folder: edit(folder, backbone={"type": "lstm"}), "unknown backbone type 'lstm'"),
        (lambda folder: edit(folder, backbone={"type": "roformer_v2", "size": 3}), "backbone's description does not"),
        (lambda folder: edit(folder, tokenizer={"kind": "bpe"}), "unknown tokenizer kind 'bpe'"),
        (remove("vocab.txt"), r"vocab.txt: no such file"),
        (remove(WEIGHTS), rf"{WEIGHTS}: no such file; the checkpoint is incomplete"),
        (truncate, rf"{WEIGHTS}: truncated or not safetensors .*; copy or download it again"),
        (lambda folder: (folder / WEIGHTS).write_bytes(b""), rf"{WEIGHTS}: truncated or not safetensors"),
        (without_a_weight, rf"{WEIGHTS}: the weights do not fit the manifest"),
        (of_another_shape, rf"{WEIGHTS}: the weights do not fit the manifest"),
    ],
)
def test_broken_folders(folder, damage, message):
    damage(folder)
    with pytest.raises(ModelError, match=message) as caught:
        load(str(folder), "cpu", "fp32")
    assert "\n" not in str(caught.value)


def test_a_vocabulary_longer_than_the_embedding_is_an_error(folder):
    with (folder / "vocab.txt").open("a", encoding="utf-8") as stream:
        stream.write("龘\n")
    with pytest.raises(ModelError, match=r"vocab"):
        load(str(folder), "cpu", "fp32").predict(["龘"])


def test_weights_under_a_prefix(tiny, model):
    fresh = model.task.network(model.network.backbone.__class__(model.network.backbone.config)).backbone
    load_weights(fresh, manifest.Path(tiny), prefix="backbone.")
    assert torch.equal(fresh.embeddings.weight, model.network.backbone.embeddings.weight)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nothing", "nothing: no such model; the embedded ones are: .*; or name a folder or a hub model"),
        ("/no/such/folder", "no such model"),
        ("./x", "no such model"),
        ("a/b/c", "no such model"),
        ("file", "file: is a file; a model is a folder"),
    ],
)
def test_models_that_are_not_there(tmp_path, monkeypatch, name, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ModelError, match=message):
        find(name)


def test_finding(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(manifest, "EMBEDDED", tmp_path / "embedded")
    for folder in ("embedded/ner-x", "mine/model", "ner-y"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / MANIFEST).touch()
    assert manifest.embedded_names() == ["ner-x"]
    assert find_local("ner-x") == tmp_path / "embedded/ner-x"
    assert find("ner-y") == manifest.Path("ner-y")
    assert find("mine/model") == manifest.Path("mine/model")


def test_a_hub_model_that_cannot_be_downloaded_names_the_cure(monkeypatch):
    import huggingface_hub

    def snapshot_download(*args, **kwargs):
        raise OSError("We couldn't connect to https://huggingface.co\nlong story")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    with pytest.raises(ModelError, match=r"owner/model: not in the cache .*HF_ENDPOINT.* copy") as caught:
        find("owner/model")
    assert "long story" not in str(caught.value)
