"""`nlpkit pretrain` on a toy language: what it writes, resuming, growing, and what it refuses."""

import json
import shutil

import pytest
import torch
from support import toy_records

from nlpkit.core.model.manifest import read_manifest
from nlpkit.core.model.pretrained import load_backbone
from nlpkit.core.training.trainer import STATE
from nlpkit.nn.backbones.gau_alpha import GauAlpha
from nlpkit.nn.backbones.roformer_v2 import RoFormerV2

SMALL = ["--config", "1x64", "--length", "32", "--batch-size", "8", "--quiet"]


def log(folder):
    return [json.loads(line) for line in (folder / "training" / "log.jsonl").read_text().splitlines()]


def losses(folder):
    return [(line["step"], line["loss"]) for line in log(folder) if "loss" in line]


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    """A corpus of the toy language."""
    path = tmp_path_factory.mktemp("corpus") / "text.txt"
    path.write_text("".join(record["text"] + "\n" for record in toy_records(900)), encoding="utf-8")
    return str(path)


@pytest.fixture(scope="module")
def pretrained(text, tmp_path_factory):
    """The folder of a finished run."""
    from support import invoke

    folder = tmp_path_factory.mktemp("pretrained") / "model"
    result = invoke("pretrain", text, "-o", folder, *SMALL, "--tokens", "30e3", "--lr", "3e-3")
    assert result.exit_code == 0, result.output
    return folder


def test_it_learns_and_writes_a_backbone(pretrained):
    manifest = read_manifest(pretrained, "pretrain")
    assert manifest.metrics["held_out"]["accuracy"] > 0.2  # the commonest character is 0.08 of the toy language
    assert losses(pretrained)[-1][1] < losses(pretrained)[0][1] / 1.5
    backbone, tokenizer = load_backbone(str(pretrained), list)
    assert isinstance(backbone, RoFormerV2)
    assert tokenizer.vocab_size == backbone.vocab_size
    assert not (pretrained / STATE).exists()


def test_a_task_trains_on_it(nlpkit, pretrained, toy):
    result = nlpkit("train", "ner", toy[0], "--dev", toy[1], "-o", "ner", "-m", pretrained, "--epochs", "1", "-q")
    assert result.exit_code == 0, result.output
    assert read_manifest(pretrained.parent / "model").backbone["num_layers"] == 1


def test_gau_alpha(nlpkit, text, tmp_path):
    result = nlpkit("pretrain", text, "-o", "gau", *SMALL, "--tokens", "1e3", "--arch", "gau_alpha")
    assert result.exit_code == 0, result.output
    backbone, _ = load_backbone(str(tmp_path / "gau"), list)
    assert isinstance(backbone, GauAlpha)
    assert backbone.config.num_layers == 2


def test_a_killed_run_has_the_loss_curve_of_an_unbroken_one(nlpkit, text, tmp_path, monkeypatch):
    from nlpkit.core.training.trainer import Trainer

    command = ["pretrain", text, *SMALL, "--tokens", "10e3"]
    assert nlpkit(*command, "-o", "whole").exit_code == 0
    save, update = Trainer._save, Trainer._update

    def update_until_killed(self):
        if self.progress.step == 23:
            save(self)
            raise KeyboardInterrupt
        return update(self)

    monkeypatch.setattr(Trainer, "_update", update_until_killed)
    assert nlpkit(*command, "-o", "broken").exit_code == 130
    monkeypatch.setattr(Trainer, "_update", update)
    assert nlpkit(*command, "-o", "broken", "--resume").exit_code == 0
    assert losses(tmp_path / "broken") == losses(tmp_path / "whole")


@pytest.mark.parametrize("direction", ["width=2", "depth=2"])
def test_growing(nlpkit, text, pretrained, tmp_path, direction):
    grow = ["--init-from", pretrained, "--grow", direction]
    result = nlpkit("pretrain", text, "-o", "grown", *SMALL, "--tokens", "300", "--lr", "0", *grow)
    assert result.exit_code == 0, result.output
    before, after = (read_manifest(folder) for folder in (pretrained, tmp_path / "grown"))
    assert after.training["tokens_before"] == before.training["tokens"] > 0
    assert after.training["parameters"] > 1.5 * before.training["parameters"] or direction == "depth=2"
    if direction == "width=2":  # the same function, so the same figures
        assert after.metrics["held_out"]["loss"] == pytest.approx(before.metrics["held_out"]["loss"], abs=1e-3)
    else:
        assert after.backbone["num_layers"] == 2


def test_weight_decay_keeps_matrices_small(nlpkit, text, pretrained, tmp_path):
    lengths = []
    for decay in ("0", "20"):
        run = ["--init-from", pretrained, "--lr", "1e-2", "--tokens", "3e3", "--weight-decay", decay]
        assert nlpkit("pretrain", text, "-o", decay, *SMALL, *run).exit_code == 0
        layer = load_backbone(str(tmp_path / decay), list)[0].layers[0]
        lengths.append(layer.outer.weight.norm())
    assert lengths[1] < 0.6 * lengths[0]


def test_minutes_end_the_run(nlpkit, text, tmp_path):
    assert nlpkit("pretrain", text, "-o", "timed", *SMALL, "--minutes", "0.02").exit_code == 0
    last = log(tmp_path / "timed")[-1]
    assert 1.2 <= last["elapsed"] < 30


def test_stored_in_int8_it_is_a_quarter(nlpkit, text, pretrained, tmp_path):
    init = ["--init-from", pretrained, "--lr", "0", "--tokens", "300", "--store", "int8"]
    assert nlpkit("pretrain", text, "-o", "packed", *SMALL, *init).exit_code == 0
    sizes = [(folder / "model.safetensors").stat().st_size for folder in (pretrained, tmp_path / "packed")]
    assert sizes[1] < 0.35 * sizes[0]
    first, second = (load_backbone(str(folder), list)[0].eval() for folder in (pretrained, tmp_path / "packed"))
    ids = torch.arange(5, 25)[None]
    assert torch.cosine_similarity(first(ids, None), second(ids, None), dim=-1).min() > 0.995


def test_what_cannot_be_done(fails, text, pretrained, tmp_path):
    (tmp_path / "bad.txt").write_bytes("好的\n".encode() * 9 + b"\xb0\xa1\n")
    (tmp_path / "empty.txt").touch()
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n好\n", encoding="utf-8")
    assert fails(1, "pretrain", "bad.txt", "-o", "x", *SMALL).startswith("bad.txt:10: not valid utf-8")
    assert "empty.txt: too little text" in fails(1, "pretrain", "empty.txt", "-o", "x", *SMALL)
    assert "no such file" in fails(1, "pretrain", "none.txt", "-o", "x", *SMALL)
    corpus = ["--corpus", pretrained / "corpus"]
    assert "another vocabulary" in fails(1, "pretrain", text, "-o", "y", *SMALL, *corpus, "--vocabulary", "vocab.txt")
    assert "--init-from" in fails(2, "pretrain", text, "-o", "z", *SMALL, "--grow", "width=2")
    assert "width=2" in fails(2, "pretrain", text, "-o", "z", *SMALL, "--grow", "up=2", "--init-from", pretrained)
    assert "multiple of 64" in fails(2, "pretrain", text, "-o", "z", "--config", "2x100")
    (tmp_path / "file").touch()
    assert "file is a file; name a folder" in fails(2, "pretrain", "none.txt", "-o", "file")
    assert "neither small" in fails(2, "pretrain", text, "-o", "z", "--config", "none.json")


def test_a_broken_checkpoint_is_named_and_stays(fails, nlpkit, text, pretrained, tiny, tmp_path):
    broken = tmp_path / "broken"
    shutil.copytree(pretrained, broken)
    weights = broken / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    assert "truncated" in fails(1, "pretrain", text, "-o", "x", *SMALL, "--init-from", broken)
    assert "nlpkit ner" in fails(1, "pretrain", text, "-o", "x", *SMALL, "--init-from", tiny)
    state = pretrained.parent / "again" / STATE
    shutil.copytree(pretrained, pretrained.parent / "again")
    state.write_bytes(b"no state")
    before = (pretrained.parent / "again" / "model.safetensors").read_bytes()
    assert "truncated" in fails(1, "pretrain", text, "-o", pretrained.parent / "again", *SMALL, "--resume")
    assert (pretrained.parent / "again" / "model.safetensors").read_bytes() == before


def test_a_finished_run_is_not_begun_again(fails, text, pretrained):
    before = (pretrained / "model.safetensors").read_bytes()
    assert "holds a finished run" in fails(1, "pretrain", text, "-o", pretrained, *SMALL, "--resume")
    assert (pretrained / "model.safetensors").read_bytes() == before
