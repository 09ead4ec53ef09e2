"""Manifests, and models by name: embedded, a folder, or from the hub."""

import errno
from dataclasses import replace
from fnmatch import fnmatch
from types import SimpleNamespace

import huggingface_hub
import pytest
from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
from support import edit_manifest

from nlpkit.core.io.artefacts import FileEntry
from nlpkit.core.model import manifest
from nlpkit.core.model.manifest import (
    KIND,
    MANIFEST,
    Manifest,
    check_model_folder,
    copy_inner_models,
    find,
    find_local,
    read_card,
    read_manifest,
)
from nlpkit.errors import ModelError, OutputError, UsageError


def test_old_names_of_fields_are_read(folder):
    edit_manifest(
        folder,
        training={"units": 7, "units_before": 3, "rows": 2, "seconds": 1},
        metrics={"held_back": {"accuracy": 0.5}},
    )
    old = read_manifest(folder)
    assert old.training == {"tokens": 7, "tokens_before": 3, "sequences": 2, "seconds": 1}
    assert old.metrics == {"held_out": {"accuracy": 0.5}}


def test_a_manifest_comes_back(tmp_path):
    made = Manifest("ner", {"type": "roformer_v2"}, {"kind": "char"}, 64, {"labels": ["人名"]}, {"dev": {"f1": 0.5}})
    made.files = {"vocab.txt": FileEntry(1, "ab", 2)}
    KIND.write(tmp_path, made)
    assert read_manifest(tmp_path, "ner") == made
    assert read_manifest(tmp_path) == made


def test_a_folder_that_is_no_model_of_the_task_is_an_error(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    with pytest.raises(
        ModelError, match=rf"empty: no {MANIFEST} there, so not an nlpkit model \(or its training did not"
    ):
        read_manifest(tmp_path / "empty")
    with pytest.raises(ModelError, match="model: a model for `nlpkit ner`, not for `nlpkit event`"):
        read_manifest(folder, "event")
    edit_manifest(folder, task="a\n\x85b")
    with pytest.raises(ModelError, match="model: a model for `nlpkit a b`, not for `nlpkit event`"):
        read_manifest(folder, "event")
    edit_manifest(folder, format=2, version="9.9")
    with pytest.raises(ModelError, match=r"model: made by nlpkit 9\.9, newer than this one \(.+\); upgrade nlpkit"):
        read_manifest(folder)


@pytest.mark.parametrize("name", ["n" * 300, f"owner/{'n' * 300}", "n" * 9000])
def test_a_name_that_no_file_system_has_is_that_of_no_model(name):
    with pytest.raises(ModelError, match=f"{name}: no such model; the embedded ones are: "):
        find(name)


def test_a_card_may_be_missing_but_not_broken(tmp_path):
    assert read_card(tmp_path) == {}
    (tmp_path / "card.json").write_text('{"licence": "Apache-2.0"}', encoding="utf-8")
    assert read_card(tmp_path) == {"licence": "Apache-2.0"}
    (tmp_path / "card.json").write_text("[]", encoding="utf-8")
    with pytest.raises(ModelError, match=r"card\.json: broken or of another version .*; copy or download it again"):
        read_card(tmp_path)


def test_an_output_folder_is_new_empty_or_of_an_earlier_run(tmp_path, folder):
    check_model_folder(tmp_path / "new", "ner")
    (tmp_path / "empty").mkdir()
    check_model_folder(tmp_path / "empty", "ner")
    check_model_folder(folder, "ner")
    with pytest.raises(OutputError, match="not that of a model for `nlpkit event`; name a new folder"):
        check_model_folder(folder, "event")
    with pytest.raises(UsageError, match="is a file; name a folder"):
        check_model_folder(folder / MANIFEST, "ner")


def full_disk(*args, **kwargs):
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_leaves_the_old_manifest(folder, monkeypatch):
    before, old = sorted(folder.iterdir()), read_manifest(folder)
    monkeypatch.setattr(manifest.Path, "write_text", full_disk)
    with pytest.raises(
        OutputError, match=rf"{MANIFEST}: cannot be written \(No space left on device\); free some space"
    ):
        KIND.write(folder, replace(old, task="event"))
    assert (sorted(folder.iterdir()), read_manifest(folder)) == (before, old)


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
    names = manifest.embedded_names()
    assert names == sorted(names)
    for folder in (names[0], "mine/model", "ner-y"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / MANIFEST).touch()
    assert find_local(names[0]) == manifest.EMBEDDED / names[0]  # not the folder of that name here
    assert find("ner-y") == manifest.Path("ner-y")
    assert find("mine/model") == manifest.Path("mine/model")
    with pytest.raises(ModelError, match=f"none: no such model; the embedded ones are: {', '.join(names)}; or name"):
        find_local("none")


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


def test_models_inside_a_model_are_copied(tmp_path):
    for name, content in (("m/floor", "new"), ("m/training", None), ("out/floor", "old"), ("out/mine", "mine")):
        (tmp_path / name).mkdir(parents=True)
        if content:
            (tmp_path / name / MANIFEST).write_text(content, encoding="utf-8")
    (tmp_path / "m" / MANIFEST).write_text("{}", encoding="utf-8")
    (tmp_path / "out" / "floor" / "left.txt").touch()
    copy_inner_models(tmp_path / "m", tmp_path / "out")
    found = {str(path.relative_to(tmp_path / "out")): path.is_file() for path in (tmp_path / "out").rglob("*")}
    assert found == {"floor": False, "floor/nlpkit.json": True, "mine": False, "mine/nlpkit.json": True}
    assert (tmp_path / "out" / "floor" / MANIFEST).read_text(encoding="utf-8") == "new"
