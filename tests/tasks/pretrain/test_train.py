"""A pretraining run: what it writes and continues, how long it is, and what is refused before it starts."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from support import toy_records, vocabulary

from nlpkit.core.io.records import ErrorPolicy
from nlpkit.core.model import manifest as core_manifest
from nlpkit.core.model.manifest import MANIFEST, STATE, read_manifest
from nlpkit.errors import DataError, ModelError, UsageError
from nlpkit.nn.backbones import build
from nlpkit.nn.network import Inputs
from nlpkit.tasks.pretrain.model import MaskedLanguageModel
from nlpkit.tasks.pretrain.settings import DEFAULTS, PretrainOptions
from nlpkit.tasks.pretrain.train import EVALUATION_BATCHES, evaluate, pretrain

SETTINGS = replace(DEFAULTS, batch_size=4)
OPTIONS = PretrainOptions("1x64", tokens=256, length=16, device="cpu", dtype="fp32")  # 4 steps
TEXT = "".join(record["text"] + "\n" for record in toy_records(200))


@pytest.fixture
def run(tmp_path):
    """Pretrains on the toy language; gives the folder. `run.progress` has the progress of each update."""
    (tmp_path / "text.txt").write_text(TEXT, encoding="utf-8")

    def start(name="model", settings=SETTINGS, source="text.txt", **options):
        start.progress.clear()
        folder = tmp_path / name
        start.metrics = pretrain(
            [str(tmp_path / source)], folder, settings, replace(OPTIONS, **options), ErrorPolicy(), report
        )
        return folder

    def report(progress):
        if not progress.metrics:
            start.progress.append(replace(progress))

    start.progress = []
    return start


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """The folder of a finished run."""
    folder = tmp_path_factory.mktemp("finished")
    (folder / "text.txt").write_text(TEXT, encoding="utf-8")
    pretrain([str(folder / "text.txt")], folder / "model", SETTINGS, OPTIONS, ErrorPolicy(), lambda progress: None)
    return folder / "model"


def test_a_run_writes_a_checkpoint_with_its_metrics(run):
    folder = run()
    manifest = read_manifest(folder, "pretrain")
    assert manifest.metrics == {"held_out": run.metrics}
    assert set(run.metrics) == {"accuracy", "loss"}
    assert manifest.training["tokens"] == 256
    assert (manifest.training["masked"], manifest.training["tokens_before"]) == (0.3, 0)
    assert manifest.training["data"] == ["text.txt"]
    assert sorted(path.name for path in folder.iterdir()) == [
        "corpus",
        "model.safetensors",
        MANIFEST,
        "training",
        "vocab.txt",
    ]
    assert not (folder / STATE).exists()


@pytest.mark.parametrize(
    ("settings", "options", "steps"),
    [
        ({}, {"tokens": 257}, 5),
        ({"accumulate": 2}, {"tokens": 256}, 2),
        ({}, {"tokens": 100, "minutes": 5.0}, 2),
        ({"epochs": 2, "batch_size": 64}, {"tokens": None, "length": 64}, 2),
    ],
)
def test_the_length_of_a_run_is_in_tokens_or_epochs(run, settings, options, steps):
    run(settings=replace(SETTINGS, **settings), **options)
    assert [progress.step for progress in run.progress] == list(range(1, steps + 1))
    assert {progress.total_steps for progress in run.progress} == {steps}


def test_minutes_end_a_run(run):
    run(tokens=None, minutes=0.002)
    assert run.progress[-1].elapsed >= 0.12
    assert run.progress[-2].elapsed < 0.12


def test_the_vocabulary_is_the_given_one(run, tmp_path):
    tokens = vocabulary("".join(sorted(set(TEXT) - {"\n"})))
    (tmp_path / "given.txt").write_text("".join(f"{token}\n" for token in tokens), encoding="utf-8")
    folder = run(vocabulary=tmp_path / "given.txt")
    assert (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")[:-1] == tokens
    assert read_manifest(folder).backbone["vocab_size"] == len(tokens)


def test_a_corpus_may_be_in_another_folder(run, tmp_path):
    folder = run(corpus=tmp_path / "corpus")
    assert not (folder / "corpus").exists()
    assert (tmp_path / "corpus" / "manifest.json").exists()


def test_sizes_in_a_file(run, tmp_path):
    (tmp_path / "sizes.json").write_text('{"hidden_size": 32, "num_layers": 1, "num_heads": 2}', encoding="utf-8")
    backbone = read_manifest(run(config=str(tmp_path / "sizes.json"))).backbone
    assert (backbone["type"], backbone["hidden_size"], backbone["num_heads"]) == ("roformer_v2", 32, 2)


def test_deep_norm_initializes_the_layers_differently(run):
    settings = replace(SETTINGS, lr=0.0)
    plain, deep = (load_file(run(str(on), settings, deep_norm=on) / "model.safetensors") for on in (False, True))
    assert plain.keys() == deep.keys()
    changed = {name for name, value in plain.items() if not torch.equal(value, deep[name])}
    layers = {name for name in plain if name.startswith("backbone.layers.")}
    assert layers <= changed
    assert "backbone.embeddings.weight" not in changed


def test_a_run_begins_with_the_weights_and_the_vocabulary_of_another(run, finished):
    folder = run(settings=replace(SETTINGS, lr=0.0), init_from=finished)
    before, after = (load_file(path / "model.safetensors") for path in (finished, folder))
    assert all(torch.equal(value, before[name]) for name, value in after.items())
    assert (folder / "vocab.txt").read_bytes() == (finished / "vocab.txt").read_bytes()
    assert read_manifest(folder).training["tokens_before"] == 256
    again = run("again", replace(SETTINGS, lr=0.0), init_from=folder)
    assert read_manifest(again).training["tokens_before"] == 512


def test_a_run_begins_with_an_embedded_model(run, finished, tmp_path, monkeypatch):
    monkeypatch.setattr(core_manifest, "EMBEDDED", tmp_path / "embedded")
    shutil.copytree(finished, tmp_path / "embedded" / "small-base")
    folder = run(settings=replace(SETTINGS, lr=0.0), init_from="small-base")
    before, after = (load_file(path / "model.safetensors") for path in (finished, folder))
    assert all(torch.equal(value, before[name]) for name, value in after.items())


def test_directions_of_growth_can_be_combined(run, finished):
    folder = run(init_from=finished, grow=(("width", 2), ("depth", 3)), tokens=64)
    backbone = read_manifest(folder).backbone
    assert (backbone["hidden_size"], backbone["num_heads"], backbone["num_layers"]) == (128, 2, 3)


def test_a_finished_run_is_not_continued(run):
    folder = run()
    weights = (folder / "model.safetensors").read_bytes()
    with pytest.raises(ModelError, match="model: holds a finished run; name another folder, or leave out --resume"):
        run(resume=True)
    assert (folder / "model.safetensors").read_bytes() == weights


def edit(folder, **changes):
    path = folder / MANIFEST
    path.write_text(json.dumps(json.loads(path.read_text(encoding="utf-8")) | changes), encoding="utf-8")


def test_a_checkpoint_that_cannot_be_continued_is_named(run, finished, tmp_path):
    copy = shutil.copytree(finished, tmp_path / "copy")
    weights = load_file(copy / "model.safetensors")
    save_file({name: value for name, value in weights.items() if name != "bias"}, copy / "model.safetensors")
    with pytest.raises(ModelError, match=r"copy: the weights do not fit the manifest \(Missing key\(s\) .*bias"):
        run(init_from=copy)
    edit(copy, backbone={**read_manifest(copy).backbone, "type": "bert"})
    with pytest.raises(ModelError, match="copy: only RoFormerV2 and GAU-α can grow in width; use depth"):
        run(init_from=copy, grow=(("width", 2),))
    config = {"model_type": "bert", "vocab_size": 30, "hidden_size": 16, "num_hidden_layers": 1,
              "num_attention_heads": 2, "intermediate_size": 16}  # fmt: skip
    edit(copy, backbone={"type": "auto", "config": config})
    with pytest.raises(ModelError):
        run(init_from=copy)
    edit(copy, task="ner")
    with pytest.raises(ModelError, match="copy: a model for `nlpkit ner`, not for `nlpkit pretrain`"):
        run(init_from=copy)


@pytest.mark.parametrize("content", ["[" * 100_000, "[]", "5", "{"])
def test_a_config_that_is_no_object(run, tmp_path, content):
    (tmp_path / "c.json").write_text(content, encoding="utf-8")
    with pytest.raises(UsageError, match=r"c\.json: neither small, LxD nor a readable JSON file \(.+\)") as caught:
        run(config=str(tmp_path / "c.json"))
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"grow": (("width", 2),)}, UsageError, "--grow enlarges a checkpoint: name it with --init-from DIR"),
        ({"config": "2x100"}, UsageError, "2x100: the width must be a multiple of 64, as in 4x256"),
        ({"config": "none.json"}, UsageError, "--config none.json: neither small, LxD nor a readable JSON file"),
        ({"source": "none.txt"}, DataError, "none.txt: no such file"),
    ],
)
def test_what_cannot_be_done_leaves_no_folder(run, tmp_path, options, error, message):
    with pytest.raises(error, match=message):
        run(**options)
    assert not (tmp_path / "model").exists()


def test_a_backbone_of_transformers_cannot_be_pretrained(run, tmp_path):
    config = {"model_type": "bert", "vocab_size": 30, "hidden_size": 16, "num_hidden_layers": 1,
              "num_attention_heads": 2, "intermediate_size": 16}  # fmt: skip
    (tmp_path / "auto.json").write_text(json.dumps({"type": "auto", "config": config}), encoding="utf-8")
    with pytest.raises(ModelError, match="only nlpkit's own backbones can be pretrained: roformer_v2, gau_alpha"):
        run(config=str(tmp_path / "auto.json"))


def test_an_evaluation_is_the_mean_over_the_masked_tokens():
    torch.manual_seed(0)
    sizes = {"vocab_size": 30, "hidden_size": 16, "num_layers": 1, "num_heads": 2, "intermediate_size": 16}
    network = MaskedLanguageModel(build({"type": "roformer_v2", **sizes})).eval()
    batches = []
    for step in range(EVALUATION_BATCHES + 1):
        ids = torch.randint(5, 30, (2, 6))
        positions = torch.randperm(12)[: 2 + step].sort().values
        batches.append((Inputs(ids, ids > 0), {"positions": positions, "ids": ids.flatten()[positions]}))
    losses, hits = [], []
    for inputs, targets in batches[:EVALUATION_BATCHES]:
        for position, gold in zip(targets["positions"], targets["ids"], strict=True):
            logits = network(inputs, position[None])[0]
            losses.append(-logits.log_softmax(0)[gold].item())
            hits.append(logits.argmax().item() == gold.item())
    assert len(losses) == 44
    expected = {"accuracy": sum(hits) / 44, "loss": pytest.approx(sum(losses) / 44, rel=1e-4)}
    assert evaluate(network, batches.__getitem__, torch.device("cpu")) == expected
    assert 0 < expected["accuracy"] < 1
