"""`nlpkit train TASK`: a toy language is learnt, options reach the run, and a run survives a kill."""

import json
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import orjson
import pytest
from linker_support import toy_events
from support import SENTENCE, environment, invoke, records, toy_records, write_jsonl

from nlpkit.cli.train.job import train
from nlpkit.cli.train.options import TrainFlags
from nlpkit.core.model.calibration import UNCALIBRATED, Calibration
from nlpkit.core.model.checkpoint import read_tensors
from nlpkit.core.model.text_task import THRESHOLDS
from nlpkit.core.training.settings import FitOptions, TrainSettings
from nlpkit.core.training.trainer import LOG, STATE

SMALL = ("--model", "roformer_v2:2x64", "--batch-size", "16", "--lr", "2e-3", "--quiet")

GOOD = {"text": "王伟在北京大学工作。", "entities": [{"start": 0, "end": 2, "label": "name"}]}


def test_the_toy_language_is_learnt(trained):
    folder, result = trained
    (metrics,) = records(result)
    assert metrics["f1"] > 0.9
    assert metrics["texts"] == 60
    assert set(metrics["labels"]) == {"name", "company"}
    assert not (folder / STATE).exists()


def test_the_embedded_backbone_is_what_is_trained_where_none_is_named(nlpkit, toy):
    args = ("train", "ner", toy[0], "--dev", toy[1], "--epochs", 1, "--batch-size", 16, "--quiet")
    (embedded,) = records(nlpkit(*args, "-o", "embedded"))
    (random,) = records(nlpkit(*args, "-o", "random", *SMALL))
    assert embedded["f1"] > 0.8 > random["f1"]
    assert orjson.loads(Path("embedded/nlpkit.json").read_bytes())["training"]["backbone"] == "nlpkit-base"


def test_the_states_that_the_head_reads_were_measured_before_training(trained):
    weights = read_tensors(trained[0] / "model.safetensors")
    assert weights["standardize.mean"].abs().min() > 0
    assert 0 < weights["standardize.deviation"] < 1  # a norm without gain gives 1 before the mean is taken away


CLASSES = [{"text": text, "second": text * 2, "label": text} for text in ("好", "坏")]
PAIRS = [{"sentence1": str(n), "sentence2": f"{n}次", "score": n % 2} for n in range(4)]


@pytest.mark.parametrize(
    ("command", "train_set", "dev_set", "count"),
    [
        ("ner", [GOOD, GOOD], [GOOD, {"text": "王伟", "entities": []}, GOOD], 2),
        ("ner", [GOOD], [{"text": "王伟", "entities": []}], 0),
        ("classify --pair second", CLASSES, [CLASSES[0], CLASSES[1] | {"second": "好"}], 1),
        ("embed --method cosent", PAIRS, [*PAIRS[1:], PAIRS[1] | {"sentence1": "0"}], 3),
    ],
)
def test_dev_texts_of_the_training_set_are_counted(nlpkit, command, train_set, dev_set, count):
    write_jsonl(Path("train.jsonl"), train_set)
    write_jsonl(Path("dev.jsonl"), dev_set)
    result = nlpkit("train", *command.split(), "train.jsonl", "--dev", "dev.jsonl", "-o", "m", *SMALL, "--epochs", 1)
    assert result.exit_code == 0, result.output
    cause = f"{count} dev text(s) are also in the training set, so the dev metrics are too high"
    check = f"nlpkit: check: {cause}; leave them out of one of the two\n"
    assert (check in result.stderr) == (count > 0)
    assert ("check:" in result.stderr) == (count > 0)


def test_the_model_finds_entities_that_it_has_not_seen(trained):
    result = invoke("ner", "--model", trained[0], text="昨天吴敏娜去了武汉医院，没有见到黄磊。\n")
    (record,) = records(result)
    found = [(entity["text"], entity["label"]) for entity in record["entities"]]
    assert found == [("吴敏娜", "name"), ("武汉医院", "company"), ("黄磊", "name")]


def test_the_checkpoint_says_how_it_was_made(trained, toy):
    manifest = orjson.loads((trained[0] / "nlpkit.json").read_bytes())
    assert manifest["task"] == "ner"
    assert manifest["config"]["labels"] == ["company", "name"]
    calibration = Calibration(**manifest["config"]["calibration"])
    assert calibration != UNCALIBRATED
    assert calibration.probability(manifest["config"]["threshold"]) in [pytest.approx(each) for each in THRESHOLDS]
    assert manifest["training"]["data"] == {"training": [toy[0]], "dev": [toy[1]]}
    assert manifest["training"]["sequences"] == 400
    assert manifest["training"]["settings"]["epochs"] == 8
    assert manifest["training"]["parameters"] > 50_000
    assert manifest["metrics"]["dev"]["f1"] > 0.9


def test_evaluating_gives_the_dev_metrics_again(trained, toy):
    result = invoke("evaluate", "ner", toy[1], "--model", trained[0])
    assert (result.exit_code, result.stderr) == (0, "")
    (scores,) = records(result)
    (at_the_end,) = records(trained[1])
    for key in ("precision", "recall", "f1", "labels", "texts", "misaligned"):
        assert scores[key] == at_the_end[key]
    assert scores["parameters"] > 50_000
    assert scores["texts_per_second"] > 0


def test_a_threshold_moves_the_scores(trained, toy):
    low, high = (
        records(invoke("evaluate", "ner", toy[1], "--model", trained[0], "--nested", "--threshold", t))[0]
        for t in (0.001, 0.999)
    )
    assert low["recall"] >= high["recall"]
    assert low["precision"] < high["precision"]


def test_a_model_trains_on_from_a_checkpoint_of_ours(trained, toy, nlpkit):
    args = ("--model", trained[0], "--epochs", 1, "--batch-size", 16, "--head", "global", "--nested", "--quiet")
    result = nlpkit("train", "ner", toy[1], "--dev", toy[1], "-o", "again", *args)
    assert result.exit_code == 0
    assert nlpkit("ner", "--model", "again", text=SENTENCE).exit_code == 0


KILLED = """
import os, signal, sys
from dataclasses import replace
from nlpkit.core.training.trainer import Trainer
from nlpkit.__main__ import main
run = Trainer.run
def killed(self, resume=False):
    self.settings = replace(self.settings, save_every=0)
    report = self.hooks.report
    def kill(progress):
        report(progress)
        if progress.step == 3:
            os.kill(os.getpid(), signal.SIGKILL)
    self.hooks.report = kill
    return run(self, resume)
Trainer.run = killed
import torch
torch.set_num_threads(1)
main()
"""


@pytest.mark.parametrize(("task", "toy_data"), [("ner", toy_records), ("event", toy_events)])
def test_a_killed_run_that_is_resumed_gives_the_same_file(nlpkit, trained, tmp_path, task, toy_data):
    """Also in a folder that holds an older model: what is resumed is the run that was killed."""
    if task == "ner":
        shutil.copytree(trained[0], tmp_path / "killed")
    data = write_jsonl(tmp_path / "data.jsonl", toy_data(60))
    args = ("train", task, data, "--dev", data, *SMALL, "--epochs", "3", "--ema", "0.9")
    command = [sys.executable, "-c", KILLED, *args, "-o", "killed"]
    done = subprocess.run(command, env=environment(), capture_output=True, text=True, check=False, cwd=tmp_path)
    assert (done.returncode, done.stdout) == (-signal.SIGKILL, ""), done.stderr
    assert (tmp_path / "killed" / STATE).exists()
    assert nlpkit(*args, "-o", "killed", "--resume").exit_code == 0
    assert nlpkit(*args, "-o", "unbroken").exit_code == 0
    for name in ("model.safetensors", "vocab.txt"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "unbroken" / name).read_bytes()


def test_resuming_a_finished_run_gives_its_metrics_again(nlpkit, trained, toy):
    before = (trained[0] / "nlpkit.json").read_bytes()
    args = ("train", "ner", toy[0], "--dev", toy[1], "-o", trained[0], *SMALL, "--threshold", "auto", "--resume")
    assert records(nlpkit(*args, "--epochs", 8)) == records(trained[1])
    result = nlpkit(*args, "--epochs", 9)
    assert (result.exit_code, result.stdout) == (1, "")
    assert "holds a finished run with other options" in result.stderr
    assert (trained[0] / "nlpkit.json").read_bytes() == before


@pytest.mark.parametrize(("store", "size"), [("fp32", 4), ("fp16", 2), ("int8", 1)])
def test_weights_in_less_room(nlpkit, toy, tmp_path, store, size):
    result = nlpkit("train", "ner", toy[1], "--dev", toy[1], "-o", "out", *SMALL, "--epochs", 1, "--store", store)
    assert result.exit_code == 0
    parameters = orjson.loads((tmp_path / "out/nlpkit.json").read_bytes())["training"]["parameters"]
    assert (tmp_path / "out/model.safetensors").stat().st_size == pytest.approx(size * parameters, rel=0.15)
    assert nlpkit("ner", "--model", "out", text=SENTENCE).exit_code == 0


@pytest.mark.parametrize(
    ("command", "code", "message"),
    [
        ("train ner empty --dev good -o out", 1, "empty: no text has an entity; add training data with entities"),
        ("train ner good --dev empty -o out", 1, "empty: the dev set is empty"),
        ("train ner plain --dev plain -o out", 1, "plain: "),
        ("train ner none --dev good -o out", 1, "none: no such file"),
        ("train ner good --dev . -o out", 1, ".: is a directory"),
        ("train ner none --dev none -o good", 2, "--output good: good is a file; name a folder"),
        ("train ner none --dev none -o good/x", 2, "--output good/x: good is a file; name a folder"),
        ("train ner good --dev good -o out --field body", 1, "good:1: the record has no text, or it is not a string; "),
        ("train ner good --dev good -o out -f conll --field x", 2, "--field x: the format conll is not JSON and has"),
        ("train ner good --dev good -o out -m roformer_v2:2x65", 2, "2x65: the width must be a multiple of 64"),
        ("train ner good --dev good -o out -m berd", 1, "berd: no such model"),
        ("train ner good --dev good -o out -m .", 1, ".: neither nlpkit.json nor config.json there"),
        ("train ner good --dev good -o out -f xml", 2, "unknown format 'xml'; there are: nlpkit, cluener"),
        ("train ner good --dev good -o out --threshold 2", 2, "--threshold 2: a number between 0 and 1, or auto"),
        ("train ner good --dev good -o out --threshold x", 2, "--threshold x: a number between 0 and 1, or auto"),
        ("train curve .", 1, ".: no training/log.jsonl there"),
        ("train curve good", 1, "good"),
        ("evaluate ner empty -m {tiny}", 1, "empty: no gold texts in it"),
        ("evaluate ner strange -m {tiny}", 1, "strange:2: the model has no label colour; it has: company, name"),
        ("evaluate ner good -m none", 1, "none: no such model"),
    ],
)
def test_what_cannot_be_done(fails, tiny, tmp_path, command, code, message):
    """A training set without a single entity (plain) can teach nothing."""
    write_jsonl(tmp_path / "good", [GOOD] * 3)
    write_jsonl(tmp_path / "plain", [{"text": "好", "entities": []}] * 3)
    write_jsonl(tmp_path / "strange", [GOOD, {"text": "红", "entities": [{"start": 0, "end": 1, "label": "colour"}]}])
    (tmp_path / "empty").touch()
    assert fails(code, *command.format(tiny=tiny).split()).startswith(message)
    assert not (tmp_path / "out").exists()


@pytest.fixture
def asked(monkeypatch):
    """What reaches `core.training.job.fit`, which does nothing."""
    calls = []
    monkeypatch.setattr("nlpkit.core.training.job.fit", lambda *args: calls.append(args) or {})
    return calls


def test_files_and_the_tasks_own_options_reach_the_run(nlpkit, asked, tmp_path):
    for name, record in (("gold", GOOD), ("dev", GOOD | {"text": "李娜在清华大学工作。"})):
        (tmp_path / name).write_text(json.dumps(record, ensure_ascii=False) + "\n", encoding="gb18030")
    options = ("--encoding", "gb18030", "--head", "global", "--nested", "--quiet")
    result = nlpkit("train", "ner", "gold", "gold", "--dev", "dev", "-o", "out", *options)
    assert (result.exit_code, result.stderr) == (0, "")
    ((task, train, dev, folder, _, arrived, _),) = asked
    assert (task.settings.labels, task.settings.head, task.settings.nested) == (("name",), "global", True)
    assert (len(train), len(dev), str(folder)) == (2, 1, "out")
    assert arrived.sources == {"training": ["gold", "gold"], "dev": ["dev"]}


def test_without_options_the_defaults_are_those_of_the_core(nlpkit, asked, tmp_path):
    write_jsonl(tmp_path / "gold", [GOOD])
    auto = ("--device", "auto", "--dtype", "auto")
    assert nlpkit("train", "ner", "gold", "--dev", "gold", "-o", "out", "-q", *auto).exit_code == 0
    ((*_, settings, options, _),) = asked
    assert settings == TrainSettings()
    assert options == FitOptions(options.backbone, sources=options.sources)
    assert nlpkit("train", "ner", "gold", "--dev", "gold", "-o", "out", "-q", "--threshold", "auto").exit_code == 0
    assert asked[1][5].threshold is None


@pytest.mark.parametrize("option", ["--lr -1", "--head-lr -0.1", "--clip -1", "--epochs 0", "--store fp8"])
def test_wrong_options(nlpkit, option):
    result = nlpkit("train", "ner", "gold", "--dev", "gold", "-o", "out", *option.split())
    assert result.exit_code == 2
    assert "Invalid value" in result.stderr


@pytest.fixture
def flags(tmp_path):
    return TrainFlags(files=["a"], dev=["b"], output=tmp_path / "m")


def test_a_task_may_train_in_its_own_way(flags, capsys):
    calls = []

    def fit(*arguments):
        calls.append(arguments)
        return {"f1": 0.5}

    task = SimpleNamespace(metric="f1", input_of=str)
    train(task, ["x"], ["y"], replace(flags, quiet=True), fit)
    ((task, train_set, dev_set, folder, settings, options, report),) = calls
    assert (task.metric, train_set, dev_set, folder) == ("f1", ["x"], ["y"], flags.output)
    assert (settings, options.sources) == (flags.settings, {"training": ["a"], "dev": ["b"]})
    assert callable(report)
    assert capsys.readouterr() == ('{"f1":0.5}\n', "")
    train(task, ["x"], None, replace(flags, quiet=True), lambda *arguments: {})
    assert json.loads(capsys.readouterr().out) == {"output": str(flags.output)}


@pytest.mark.parametrize("logged", [True, False])
def test_on_a_terminal_the_curves_are_drawn_if_there_are_any(flags, capsys, monkeypatch, logged):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    if logged:
        (flags.output / LOG).parent.mkdir(parents=True)
        (flags.output / LOG).write_text('{"step": 1, "loss": 0.5}\n{"step": 2, "loss": 0.25}\n')
    train(SimpleNamespace(metric="f1", input_of=str), [], None, flags, lambda *arguments: {"f1": 0.5})
    written = capsys.readouterr()
    assert written.out == '{"f1":0.5}\n'
    assert ("loss: step 1 … 2" in written.err) is logged
