"""Checkpoint folders: the same back as was saved, nothing half-written, and what is said of a broken one."""

import errno
import json
import os
import shutil
from fnmatch import fnmatch
from types import SimpleNamespace

import huggingface_hub
import pytest
import torch
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from support import SENTENCE, save_tiny

from nlpkit.core.io.output import replacing
from nlpkit.core.model import checkpoint, manifest
from nlpkit.core.model.checkpoint import WEIGHTS, load_weights, save_tensors
from nlpkit.core.model.loading import load_predictor
from nlpkit.core.model.manifest import MANIFEST, find, find_local, read_manifest, write_json
from nlpkit.core.text.tokenizer import WordTokenizer
from nlpkit.errors import ModelError, OutputError
from nlpkit.tasks.ner.task import NerSettings, NerTask, load


@pytest.fixture
def folder(tiny, tmp_path):
    return shutil.copytree(tiny, tmp_path / "model")


def edit(folder, **changes):
    path = folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_folder_describes_itself(tiny):
    model = load_predictor(tiny, NerTask, "cpu", "fp32", trainable=True)
    assert sorted(os.listdir(tiny)) == sorted([MANIFEST, "vocab.txt", WEIGHTS])  # noqa: PTH208
    assert model.task.settings == NerSettings(("company", "name"), threshold=0.9)
    assert (model.max_length, model.tokenizer.kind) == (64, "char")
    weights = load_file(f"{tiny}/{WEIGHTS}")
    assert weights.keys() == model.network.state_dict().keys()
    assert all(torch.equal(weights[name], value) for name, value in model.network.state_dict().items())


def test_old_names_of_fields_are_read(folder):
    edit(folder, training={"units": 7, "units_before": 3, "seconds": 1}, metrics={"held_back": {"accuracy": 0.5}})
    old = read_manifest(folder)
    assert old.training == {"tokens": 7, "tokens_before": 3, "seconds": 1}
    assert old.metrics == {"held_out": {"accuracy": 0.5}}


def test_a_word_tokenizer_is_kept(tmp_path):
    tokenizer = WordTokenizer([*["[PAD]", "[UNK]", "[CLS]", "[SEP]", "北京大学"], *"王小明去了"], lowercase=False)
    loaded = load(str(save_tiny(tmp_path / "m", tokenizer)), "cpu", "fp32").tokenizer
    assert (type(loaded), loaded.lowercase, loaded.tokens) == (WordTokenizer, False, tokenizer.tokens)


@pytest.mark.parametrize(("store", "share", "tolerance"), [("fp16", 0.5, 0.01), ("int8", 0.25, 0.1)])
def test_less_room_on_disk_is_single_precision_again_once_loaded(tiny, tmp_path, store, share, tolerance):
    full = load_predictor(tiny, NerTask, "cpu", "fp32", trainable=True)
    kept = read_manifest(manifest.Path(tiny))
    checkpoint.save(tmp_path / "less", kept, full.tokenizer, full.network.state_dict(), store)
    sizes = [(manifest.Path(folder) / WEIGHTS).stat().st_size for folder in (tmp_path / "less", tiny)]
    assert sizes[0] < (share + 0.1) * sizes[1]
    less = load_predictor(str(tmp_path / "less"), NerTask, "cpu", "fp32", trainable=True)
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


def test_a_full_disk_leaves_the_old_manifest(tmp_path, monkeypatch):
    path = tmp_path / MANIFEST
    write_json(path, {"a": 1})
    monkeypatch.setattr(manifest.Path, "write_text", full_disk)
    with pytest.raises(
        OutputError, match=rf"{MANIFEST}: cannot be written \(No space left on device\); free some space"
    ):
        write_json(path, {"a": 2})
    assert os.listdir(tmp_path) == [MANIFEST]  # noqa: PTH208
    assert json.loads(path.read_text()) == {"a": 1}


@pytest.mark.parametrize(("broken", "left"), [("write_text", True), ("replace", False)])
def test_a_failed_save_leaves_the_old_checkpoint_or_none(folder, model, monkeypatch, broken, left):
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    weights = {name: torch.zeros_like(value) for name, value in model.network.state_dict().items()}
    description = read_manifest(folder)
    monkeypatch.setattr(manifest.Path, broken, full_disk)
    with pytest.raises(OutputError, match=r"cannot be written \(No space"):
        checkpoint.save(folder, description, model.tokenizer, weights)
    after = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert after == before if left else after == {name: before[name] for name in ("vocab.txt", WEIGHTS)}


def test_a_checkpoint_goes_nowhere_but_into_a_folder(tmp_path, model):
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="file: cannot be written"):
        checkpoint.save(tmp_path / "file", read_manifest, model.tokenizer, {})


def test_links_and_permissions_are_kept(tmp_path):
    (tmp_path / "link").symlink_to("target")
    with replacing(tmp_path / "link") as path:
        path.write_text("1\n")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "target").read_text() == "1\n"
    (tmp_path / "plain").touch()
    assert (tmp_path / "target").stat().st_mode == (tmp_path / "plain").stat().st_mode


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
        (lambda folder: edit(folder, format=99, version="9.9"), r"made by nlpkit 9.9, newer than this one .*upgrade"),
        (lambda folder: edit(folder, task="relation"), "a model for `nlpkit relation`, not for `nlpkit ner`"),
        (lambda folder: edit(folder, config={"labels": ["a"], "colour": 1}), "config does not fit this version"),
        (lambda folder: edit(folder, backbone={"type": "lstm"}), "unknown backbone type 'lstm'"),
        (lambda folder: edit(folder, backbone={"type": "roformer_v2", "size": 3}), "backbone's description does not"),
        (
            lambda folder: edit(folder, backbone={"type": "auto", "config": {"model_type": "x"}}),
            "description does not fit",
        ),
        (lambda folder: edit(folder, backbone={"type": "auto", "config": []}), "backbone's description does not fit"),
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
        (lambda folder: edit(folder, files={"vocab.txt": {"bytes": -1, "sha256": ""}}), "bytes must be 0 or more"),
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


class Hub:
    """A hub with one model, of which the cache may hold some files; downloads go into the cache."""

    def __init__(self, cache, files, error=None):
        self.cache, self.files, self.error, self.asked = cache, files, error, []

    def model_info(self, name):
        self.asked.append(name)
        if self.error:
            raise self.error
        return SimpleNamespace(siblings=[SimpleNamespace(rfilename=file) for file in self.files])

    def snapshot_download(self, name, allow_patterns, local_files_only=False):
        if local_files_only and not self.cache.exists():
            raise FileNotFoundError("Cannot find an appropriate cached snapshot folder")
        self.cache.mkdir(exist_ok=True)
        for file in [] if local_files_only else self.files:
            if any(fnmatch(file, pattern) for pattern in allow_patterns):
                (self.cache / file).touch()
        return str(self.cache)


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """Puts a `Hub` in the place of huggingface_hub."""
    monkeypatch.chdir(tmp_path)

    def make(*files, error=None, offline=False):
        made = Hub(tmp_path / "snapshot", files, error)
        monkeypatch.setattr(huggingface_hub, "model_info", made.model_info)
        monkeypatch.setattr(huggingface_hub, "snapshot_download", made.snapshot_download)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", offline)
        return made

    return make


TEXTS = ("config.json", "vocab.txt", "README.md", "tf_model.h5")


@pytest.mark.parametrize(
    ("files", "weights"),
    [
        (("model.safetensors", "pytorch_model.bin"), {"model.safetensors"}),
        (("model-1-of-2.safetensors", "pytorch_model.bin"), {"model-1-of-2.safetensors"}),
        (("pytorch_model.bin", "training_args.bin"), {"pytorch_model.bin"}),
        (("adapter.safetensors", "pytorch_model.bin"), {"pytorch_model.bin"}),
    ],
)
def test_only_the_files_that_are_needed_are_downloaded(hub, files, weights):
    served = hub(*TEXTS, *files)
    assert find("owner/model") == served.cache
    assert {path.name for path in served.cache.iterdir()} == {"config.json", "vocab.txt", *weights}
    assert find("owner/model") == served.cache
    assert served.asked == ["owner/model"]  # the second time from the cache


def test_a_broken_download_is_completed(hub):
    served = hub(*TEXTS, "model.safetensors")
    served.cache.mkdir()
    (served.cache / "config.json").touch()
    assert (find("owner/model") / "model.safetensors").exists()


RESPONSE = SimpleNamespace(headers={}, request=None, status_code=404)
SAID = "404 Client Error. (Request ID: 1)\n\nlong story"


@pytest.mark.parametrize(
    ("name", "served", "message"),
    [
        (
            "owner/model",
            {"error": OSError("We couldn't connect to 'https://huggingface.co' to load v1.2. Check it. And so\non")},
            "owner/model: no folder of that name here, and not in the hub's cache; it cannot be downloaded "
            "(We couldn't connect to 'https://huggingface.co' to load v1.2); behind a firewall set HF_ENDPOINT to a "
            "mirror, or copy the model's folder here and pass its path",
        ),
        (
            "out/mymodel",
            {"offline": True},
            "out/mymodel: no folder of that name here, and not in the hub's cache; HF_HUB_OFFLINE is set: unset it to "
            "download, or copy the model's folder here and pass its path",
        ),
        (
            "out/mymodel",
            {"error": RepositoryNotFoundError(SAID, response=RESPONSE)},
            "out/mymodel: no folder of that name here, and no such model on the hub (or a private one)",
        ),
        (
            "owner/model",
            {"error": GatedRepoError("Access to model owner/model is restricted.\nlog in", response=RESPONSE)},
            "owner/model: no folder of that name here, and the hub does not give it to everyone (Access to model "
            "owner/model is restricted)",
        ),
    ],
)
def test_a_hub_model_that_cannot_be_had_names_the_cure(hub, name, served, message):
    hub(**served)
    with pytest.raises(ModelError) as caught:
        find(name)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        ("", "OSError"),
        ("one line", "one line"),
        ("Ends at v1.2. Then more", "Ends at v1.2"),
        ("a line\nanother", "a line"),
        (
            "Error(s) in loading:\n\tsize mismatch for a.weight.\n\tfor b",
            "Error(s) in loading: size mismatch for a.weight",
        ),
    ],
)
def test_the_first_sentence_of_an_error(said, sentence):
    assert manifest.reason(OSError(said)) == sentence


def test_a_hugging_face_folder_is_told_from_a_broken_model(tmp_path):
    (tmp_path / "config.json").write_text("{}", encoding="utf-8")
    with pytest.raises(
        ModelError, match="a Hugging Face backbone, not a trained model; train one on it: nlpkit train ner"
    ):
        read_manifest(tmp_path, "ner")
