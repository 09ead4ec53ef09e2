"""Checkpoint folders: the same back as was saved, nothing half-written, and what is said of a broken one."""

import errno
import json
import os
import shutil

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from support import SENTENCE, save_tiny
from support import edit_manifest as edit

from nlpkit.core.model import checkpoint, manifest
from nlpkit.core.model.checkpoint import WEIGHTS, load_weights, save_tensors
from nlpkit.core.model.loading import load_predictor
from nlpkit.core.model.manifest import MANIFEST, read_manifest
from nlpkit.core.text.tokenizer import WordTokenizer
from nlpkit.errors import ModelError, OutputError
from nlpkit.tasks.ner.settings import NerSettings
from nlpkit.tasks.ner.task import NerTask, load


def test_a_folder_describes_itself(tiny):
    model = load_predictor(tiny, NerTask, "cpu", "fp32", runtime="torch", trainable=True)
    assert sorted(os.listdir(tiny)) == sorted([MANIFEST, "vocab.txt", WEIGHTS])  # noqa: PTH208
    assert model.task.settings == NerSettings(("company", "name"), threshold=0.9)
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
    full = load_predictor(tiny, NerTask, "cpu", "fp32", runtime="torch", trainable=True)
    kept = read_manifest(manifest.Path(tiny))
    checkpoint.save(tmp_path / "less", kept, full.tokenizer.tokens, full.network.state_dict(), store)
    sizes = [(manifest.Path(folder) / WEIGHTS).stat().st_size for folder in (tmp_path / "less", tiny)]
    assert sizes[0] < (share + 0.1) * sizes[1]
    less = load_predictor(str(tmp_path / "less"), NerTask, "cpu", "fp32", runtime="torch", trainable=True)
    assert {value.dtype for value in less.network.state_dict().values()} == {torch.float32}
    found, expected = (model.predictions([SENTENCE])[0].answer for model in (less, full))
    assert found == expected
    assert [e.score for e in found] == pytest.approx([e.score for e in expected], abs=tolerance)


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        SafetensorError("I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch, error):
    path = tmp_path / "x.safetensors"
    save_tensors({"a": torch.ones(2)}, path)

    def broken(tensors, target, metadata):
        target.write_bytes(b"half")
        raise error

    monkeypatch.setattr(checkpoint, "save_file", broken)
    with pytest.raises(OutputError, match=r"x.safetensors: cannot be written \(.*No space left on device.*\)"):
        save_tensors({"a": torch.zeros(2)}, path)
    assert os.listdir(tmp_path) == [path.name]  # noqa: PTH208
    assert torch.equal(load_file(path)["a"], torch.ones(2))


def full_disk(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(("broken", "left"), [("write_text", True), ("replace", False)])
def test_a_failed_save_leaves_the_old_checkpoint_or_none(folder, model, monkeypatch, broken, left):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    weights = {name: torch.zeros_like(value) for name, value in model.network.state_dict().items()}
    description = read_manifest(folder)
    monkeypatch.setattr(manifest.Path, broken, full_disk)
    with pytest.raises(OutputError, match=r"cannot be written \(No space"):
        checkpoint.save(folder, description, model.tokenizer.tokens, weights)
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert after == before if left else after == {name: before[name] for name in ("vocab.txt", WEIGHTS)}


def test_a_checkpoint_goes_nowhere_but_into_a_folder(tmp_path, model):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file: cannot be written"):
        checkpoint.save(tmp_path / "file", read_manifest, model.tokenizer.tokens, {})


def remove(name):
    return lambda folder: (folder / name).unlink()


def truncate(folder):
    path = folder / WEIGHTS
    path.write_bytes(path.read_bytes()[:5000])


def flip_a_bit(folder):
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (folder / WEIGHTS).write_bytes(content)


def without_a_weight(folder):
    weights = load_file(folder / WEIGHTS)
    weights.pop("head.dense.weight")
    save_file(weights, folder / WEIGHTS)


def change_backbone(**changes):
    return lambda folder: edit(folder, backbone=json.loads((folder / MANIFEST).read_text())["backbone"] | changes)


def manifest_folder(folder):
    (folder / MANIFEST).unlink()
    (folder / MANIFEST).mkdir()


def with_a_strange_scale(folder):
    weights = load_file(folder / WEIGHTS)
    save_file(weights | {"head.dense.weight.int8_scale": torch.ones(3, 1).half()}, folder / WEIGHTS)


def of_another_shape(folder):
    weights = load_file(folder / WEIGHTS)
    save_file(weights | {"head.dense.weight": torch.ones(2, 2)}, folder / WEIGHTS)


def change_config(**changes):
    return lambda folder: edit(folder, config=json.loads((folder / MANIFEST).read_text())["config"] | changes)


def change_vocabulary(change):
    def damage(folder):
        tokens = (folder / "vocab.txt").read_text(encoding="utf-8").split()
        (folder / "vocab.txt").write_text("".join(token + "\n" for token in change(tokens)), encoding="utf-8")

    return damage


def change_weights(change):
    def damage(folder):
        weights = load_file(folder / WEIGHTS)
        save_file(weights | {"head.dense.weight": change(weights["head.dense.weight"])}, folder / WEIGHTS)

    return damage


def nested(depth):
    value = []
    for _ in range(depth):
        value = [value]
    return value


def fifo(name):
    def damage(folder):
        (folder / name).unlink()
        os.mkfifo(folder / name)

    return damage


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove(MANIFEST), rf"model: no {MANIFEST} there, so not an nlpkit model"),
        (lambda folder: (folder / MANIFEST).write_text("{"), rf"{MANIFEST}: broken"),
        (lambda folder: (folder / MANIFEST).write_text("[]"), rf"{MANIFEST}: broken"),
        (lambda folder: edit(folder, surprise=1), rf"{MANIFEST}: broken or of another version"),
        (
            lambda folder: edit(folder, format=99, version="9.9"),
            r"made by nlpkit 9.9, newer than this one .*upgrade",
        ),
        (lambda folder: edit(folder, task="relation"), "a model for `nlpkit relation`, not for `nlpkit ner`"),
        (
            lambda folder: edit(folder, config={"labels": ["a"], "colour": 1}),
            "config does not fit this version",
        ),
        (lambda folder: edit(folder, backbone={"type": "lstm"}), "unknown backbone type 'lstm'"),
        (
            lambda folder: edit(folder, backbone={"type": "roformer_v2", "size": 3}),
            "backbone's description does not",
        ),
        (
            lambda folder: edit(folder, backbone={"type": "auto", "config": {"model_type": "x"}}),
            "description does not fit",
        ),
        (
            lambda folder: edit(folder, backbone={"type": "auto", "config": []}),
            "backbone's description does not fit",
        ),
        (change_backbone(num_heads=3), "does not fit .*64 dimensions cannot be divided into 3 heads of an even size"),
        (
            change_backbone(activation="tanhshrink"),
            "does not fit .*unknown activation 'tanhshrink'; supported: relu, gelu",
        ),
        (change_backbone(norm_eps=None), "does not fit .*norm_eps cannot be None"),
        (change_backbone(hidden_size=-64), "does not fit"),
        (lambda folder: edit(folder, format="2"), rf"{MANIFEST}: broken .*\(format must be a whole number, "),
        (
            lambda folder: edit(folder, backbone=["gru"]),
            rf"{MANIFEST}: broken .*\(backbone must be an object, ",
        ),
        (
            lambda folder: edit(folder, tokenizer="char"),
            rf"{MANIFEST}: broken .*\(tokenizer must be an object, ",
        ),
        (
            lambda folder: edit(folder, max_length="64"),
            rf"{MANIFEST}: broken .*\(max_length must be a whole number, ",
        ),
        (
            lambda folder: edit(folder, max_length=True),
            rf"{MANIFEST}: broken .*\(max_length must be a whole number, ",
        ),
        (lambda folder: edit(folder, max_length=2), rf"{MANIFEST}: broken .*\(max_length must be 3 or more, "),
        (lambda folder: edit(folder, task=None), rf"{MANIFEST}: broken .*\(task must be a string, "),
        (lambda folder: edit(folder, config=[]), rf"{MANIFEST}: broken .*\(config must be an object, "),
        (manifest_folder, rf"{MANIFEST}: is not a regular file"),
        (lambda folder: edit(folder, tokenizer={"kind": "bpe"}), "unknown tokenizer kind 'bpe'"),
        (lambda folder: edit(folder, tokenizer={"kind": ["char"]}), "kind must be a string, not a list"),
        (remove("vocab.txt"), r"vocab.txt: no such file"),
        (remove(WEIGHTS), rf"{WEIGHTS}: no such file; the checkpoint is incomplete"),
        (truncate, rf"{WEIGHTS}: truncated or not safetensors .*; copy or download it again"),
        (lambda folder: (folder / WEIGHTS).write_bytes(b""), rf"{WEIGHTS}: truncated or not safetensors"),
        (without_a_weight, rf"{WEIGHTS}: the weights do not fit the manifest"),
        (of_another_shape, rf"{WEIGHTS}: the weights do not fit the manifest .*size mismatch for head.dense.weight"),
        (with_a_strange_scale, rf"{WEIGHTS}: broken"),
        (change_backbone(num_layers=10**9), rf"{MANIFEST}: num_layers is 1,000,000,000, more than the weights have"),
        (change_backbone(vocab_size=10**12), rf"{MANIFEST}: vocab_size is 1,000,000,000,000, more than the weights"),
        (change_backbone(dropout=float("nan")), "dropout cannot be nan"),
        (change_backbone(norm_eps=float("inf")), "norm_eps cannot be inf"),
        (change_backbone(num_heads=True), "num_heads cannot be True"),
        (lambda folder: edit(folder, max_length=65), "max_length is 65, and its backbone reads 64 at most"),
        (change_config(threshold=0), "threshold must be between 0 and 1, not 0"),
        (change_config(threshold=float("nan")), "threshold must be a number, not nan"),
        (change_config(threshold="0.5"), "threshold must be a number, not a string"),
        (change_config(head_size=-1), "head_size must be 1 or more, not -1"),
        (change_config(labels=[{}, {}]), r"labels\[0\] must be a string, not an object"),
        (change_config(nested=None), "nested must be true or false, not null"),
        (change_config(head="deep"), "head must be one of efficient, global, not a string"),
        (change_vocabulary(lambda tokens: tokens[:-1]), "vocab.txt: .* tokens, but the model has"),
        (change_vocabulary(lambda tokens: [*tokens[:-1], "[CLS]"]), r"vocab.txt: '\[CLS\]' comes twice"),
        (change_weights(lambda value: value * torch.nan), f"{WEIGHTS}: .* holds NaN or infinity"),
        (change_weights(lambda value: value.double() * 1e300), f"{WEIGHTS}: .* is of type float64"),
        (change_weights(lambda value: value.bfloat16()), f"{WEIGHTS}: .* is of type bfloat16"),
        (change_weights(lambda value: value.to(torch.complex64)), f"{WEIGHTS}: .* is of type complex64"),
        (lambda folder: (folder / MANIFEST).write_text("[" * 100_000), f"{MANIFEST}: is nested too deeply"),
        (lambda folder: edit(folder, config={"labels": nested(100)}), f"{MANIFEST}: is nested too deeply"),
        (lambda folder: edit(folder, max_length=10**400), f"{MANIFEST}: .*max_length must be"),
        (fifo(MANIFEST), f"{MANIFEST}: is not a regular file"),
        (fifo("vocab.txt"), "vocab.txt: is not a regular file"),
        (fifo(WEIGHTS), f"{WEIGHTS}: is not a regular file"),
    ],
)
def test_broken_folders(folder, damage, message):
    edit(folder, files={})  # as before there were checksums: what does not fit is found by itself
    damage(folder)
    with pytest.raises(ModelError, match=message) as caught:
        load(str(folder), "cpu", "fp32")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove("vocab.txt"), "vocab.txt: no such file; copy or download it again"),
        (truncate, rf"{WEIGHTS}: has 5,000 bytes, not"),
        (of_another_shape, rf"{WEIGHTS}: has .* bytes, not"),
        (change_vocabulary(lambda tokens: tokens[::-1]), r"vocab.txt: is damaged \(its checksum differs\)"),
        (flip_a_bit, rf"{WEIGHTS}: is damaged \(its checksum differs\)"),
        (lambda folder: edit(folder, files={"../x": {"bytes": 1, "sha256": ""}}), "names a file '../x'"),
        (
            lambda folder: edit(folder, files={"vocab.txt": {"bytes": -1, "sha256": ""}}),
            "bytes must be 0 or more",
        ),
    ],
)
def test_files_that_are_not_those_of_the_manifest(folder, damage, message):
    damage(folder)
    with pytest.raises(ModelError, match=message):
        load(str(folder), "cpu", "fp32")


def test_a_vocabulary_longer_than_the_embedding_is_an_error(folder):
    with (folder / "vocab.txt").open("a", encoding="utf-8") as stream:
        stream.write("龘\n")
    with pytest.raises(ModelError, match=r"vocab"):
        load(str(folder), "cpu", "fp32").predict(["龘"])


def test_weights_under_a_prefix(tiny, model):
    fresh = model.task.network(model.network.backbone.__class__(model.network.backbone.config)).backbone
    load_weights(fresh, manifest.Path(tiny), prefix="backbone.")
    assert torch.equal(fresh.embeddings.weight, model.network.backbone.embeddings.weight)


def saved_without_a_vocabulary(folder):
    description = manifest.Manifest("label", {"type": "x"}, {"kind": "x"}, 64, {})
    checkpoint.save(folder, description, None, {"weight": torch.ones(2)})
    return read_manifest(folder)


def test_a_model_may_have_no_vocabulary(tmp_path):
    found = saved_without_a_vocabulary(tmp_path / "model")
    assert sorted(os.listdir(tmp_path / "model")) == sorted([MANIFEST, WEIGHTS])  # noqa: PTH208
    assert found.files.keys() == {WEIGHTS}
    checkpoint.verify(tmp_path / "model", found)
    flip_a_bit(tmp_path / "model")
    with pytest.raises(ModelError, match=rf"{WEIGHTS}: is damaged \(its checksum differs\)"):
        checkpoint.verify(tmp_path / "model", found)
    found.files = {}
    with pytest.raises(ModelError, match=f"has no checksum of {WEIGHTS}; train or save the model again"):
        checkpoint.verify(tmp_path / "model", found)


def test_the_vocabulary_of_an_older_model_is_removed(folder):
    found = saved_without_a_vocabulary(folder)
    assert not (folder / "vocab.txt").exists()
    checkpoint.verify(folder, found)


def test_a_vocabulary_without_a_checksum_is_an_error(folder, tiny):
    found = read_manifest(folder)
    checkpoint.verify(folder, found)
    del found.files["vocab.txt"]
    with pytest.raises(ModelError, match=r"nlpkit.json has no checksum of vocab.txt; train or save the model again"):
        checkpoint.verify(folder, found)


def test_a_model_that_shares_an_encoder_is_verified(tmp_path):
    folder = shutil.copytree(manifest.EMBEDDED / "ner-general", tmp_path / "shared")
    found = read_manifest(folder)
    checkpoint.verify(folder, found)
    edit(folder, encoder={"model": "ner-cluener", "sha256": "0" * 64})
    with pytest.raises(ModelError, match="was trained on another encoder than that of the embedded ner-cluener"):
        checkpoint.verify(folder, read_manifest(folder))
    flip_a_bit(folder)
    with pytest.raises(ModelError, match=rf"{WEIGHTS}: is damaged \(its checksum differs\)"):
        checkpoint.verify(folder, found)
