"""`nlpkit train` and `nlpkit evaluate`: a toy language is learnt, a run survives a kill, and bad data is named."""

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import orjson
import pytest
from support import SENTENCE, environment, invoke, records, toy_records, write_jsonl

from nlpkit.cli.render.loss_chart import averaged, chart, draw
from nlpkit.core.model.checkpoint import read_tensors
from nlpkit.core.model.manifest import LOG
from nlpkit.core.model.text_task import THRESHOLDS
from nlpkit.core.training.settings import FitOptions, TrainSettings
from nlpkit.core.training.trainer import STATE
from nlpkit.errors import ModelError

SMALL = ("--model", "roformer_v2:2x64", "--batch-size", "16", "--lr", "2e-3", "--quiet")
GOOD = {"text": "王伟在北京大学工作。", "entities": [{"start": 0, "end": 2, "label": "name"}]}


@pytest.fixture(scope="module")
def trained(toy, tmp_path_factory):
    """(folder, result) of a training run of some seconds on the toy language."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    train, dev = toy
    result = invoke("train", "ner", train, "--dev", dev, "-o", folder, *SMALL, "--epochs", 8, "--threshold", "auto")
    assert result.exit_code == 0, result.output
    return folder, result


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
    assert orjson.loads(Path("embedded/nlpkit.json").read_bytes())["training"]["backbone"] == "nlpkit-small"


def test_the_states_that_the_head_reads_were_measured_before_training(trained):
    weights = read_tensors(trained[0] / "model.safetensors")
    assert weights["standardize.mean"].abs().min() > 0
    assert 0 < weights["standardize.deviation"] < 1  # a norm without gain gives 1 before the mean is taken away


def test_the_model_finds_entities_that_it_has_not_seen(trained):
    result = invoke("ner", "--model", trained[0], text="昨天吴敏娜去了武汉医院，没有见到黄磊。\n")
    (record,) = records(result)
    found = [(entity["text"], entity["label"]) for entity in record["entities"]]
    assert found == [("吴敏娜", "name"), ("武汉医院", "company"), ("黄磊", "name")]


def test_the_checkpoint_says_how_it_was_made(trained, toy):
    manifest = orjson.loads((trained[0] / "nlpkit.json").read_bytes())
    assert manifest["task"] == "ner"
    assert manifest["config"]["labels"] == ["company", "name"]
    assert manifest["config"]["threshold"] in THRESHOLDS
    assert manifest["training"]["data"] == {"training": [toy[0]], "dev": [toy[1]]}
    assert manifest["training"]["rows"] == 400
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


def test_log_and_curve(trained):
    lines = [json.loads(line) for line in (trained[0] / LOG).read_text().splitlines()]
    assert [line["step"] for line in lines if "dev" in line] == [25 * epoch for epoch in range(1, 9)]
    losses = [line["loss"] for line in lines if "loss" in line]
    assert losses[-1] < losses[0] / 5
    result = invoke("train", "curve", trained[0])
    assert result.exit_code == 0
    assert re.search(r"loss: step \d+ … 200, last 0\.\d+", result.stdout)
    assert "f1: step 25 … 200" in result.stdout
    assert "█" in result.stdout


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


def test_a_killed_run_that_is_resumed_gives_the_same_file(nlpkit, trained, tmp_path):
    """Also in a folder that holds an older model: what is resumed is the run that was killed."""
    shutil.copytree(trained[0], tmp_path / "killed")
    data = write_jsonl(tmp_path / "data.jsonl", toy_records(60))
    args = ("train", "ner", data, "--dev", data, *SMALL, "--epochs", "3", "--ema", "0.9")
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


def bad_record(**changes):
    return json.dumps(GOOD | changes, ensure_ascii=False)


def entity(**changes):
    return bad_record(entities=[{"start": 0, "end": 2, "label": "name"} | changes])


BAD_GOLD = [
    ("nlpkit", "{", "not valid JSON"),
    ("nlpkit", '{"text": "好"}', 'no "entities" here'),
    ("nlpkit", '{"entities": []}', "the record has no text"),
    ("nlpkit", entity(end=99), "offsets 0:99 are outside the text of 10 characters"),
    ("nlpkit", entity(start=-1), "offsets -1:2 are outside the text"),
    ("nlpkit", entity(start=2), "offsets 2:2 hold no character"),
    ("nlpkit", entity(text="王二"), "the text at 0:2 is '王伟', but the annotation says '王二'"),
    ("nlpkit", entity(label=""), "the label of 0:2 must be a non-empty string"),
    ("conll", "王\tI-name", "I-name does not continue an entity (the tag before is none)"),
    ("conll", "王\tX-name", "'X-name' is not a tag of BIO"),
    ("conll", "王", "a character and its tag are expected"),
]


@pytest.mark.parametrize(("format", "line", "message"), BAD_GOLD)
@pytest.mark.parametrize("command", ["train", "evaluate", "convert"])
def test_bad_gold_names_file_and_line(fails, tiny, tmp_path, command, format, line, message):
    good = json.dumps(GOOD, ensure_ascii=False) if format == "nlpkit" else "王\tO\n"
    (tmp_path / "gold").write_text(f"{good}\n{line}\n", encoding="utf-8")
    args = {
        "train": ["train", "ner", "gold", "--dev", "gold", "-o", "out", "--format", format, *SMALL],
        "evaluate": ["evaluate", "ner", "gold", "--model", tiny, "--format", format],
        "convert": ["convert", "gold", "--from", format, "-o", "out"],
    }[command]
    number = 2 if format == "nlpkit" else 3
    assert fails(1, *args).startswith(f"gold:{number}: {message}")
    assert not (tmp_path / "out").exists()


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


def test_skipped_records_do_not_count(nlpkit, tiny, tmp_path):
    strange = {"text": "红", "entities": [{"start": 0, "end": 1, "label": "colour"}]}
    write_jsonl(tmp_path / "clean", [GOOD])
    write_jsonl(tmp_path / "mixed", [GOOD, strange])
    with (tmp_path / "mixed").open("a") as stream:
        stream.write("{\n")
    result = nlpkit("evaluate", "ner", "mixed", "--model", tiny, "--on-error", "skip")
    assert result.exit_code == 3
    lines = result.stderr.splitlines()
    assert lines[0].startswith("nlpkit: skipped: mixed:3: not valid JSON")
    assert lines[1].startswith("nlpkit: skipped: mixed:2: the model has no label colour")
    assert lines[2] == "nlpkit: 2 bad record(s) skipped"
    clean = records(nlpkit("evaluate", "ner", "clean", "--model", tiny))[0]
    assert {key: records(result)[0][key] for key in ("texts", "support", "f1")} == {
        key: clean[key] for key in ("texts", "support", "f1")
    }


def test_output_with_the_text_in_another_field_is_gold_again(nlpkit, tiny, tmp_path):
    reviews = [{"id": number, "review": record["text"]} for number, record in enumerate(toy_records(30))]
    write_jsonl(tmp_path / "r.jsonl", reviews)
    assert nlpkit("ner", "r.jsonl", "--model", tiny, "--field", "review", "-o", "out.jsonl").exit_code == 0
    (scores,) = records(nlpkit("evaluate", "ner", "out.jsonl", "--model", tiny, "--field", "review"))
    assert (scores["f1"], scores["texts"]) == (1.0, 30)
    (first, *_) = records(nlpkit("convert", "--from", "nlpkit", "out.jsonl", "--field", "review"))
    assert (list(first), first["text"]) == (["text", "entities"], reviews[0]["review"])
    args = ("train", "ner", "out.jsonl", "--dev", "out.jsonl", "-o", "model", "--epochs", 1, *SMALL)
    assert nlpkit(*args, "--field", "review").exit_code == 0
    message = "out.jsonl:1: the record has no text, or it is not a string; name the field that holds it with --field"
    assert message in nlpkit(*args).stderr


@pytest.fixture
def asked(monkeypatch):
    """What reaches `core.training.job.fit`, which does nothing."""
    calls = []
    monkeypatch.setattr("nlpkit.core.training.job.fit", lambda *args: calls.append(args) or {})
    return calls


def test_files_and_the_tasks_own_options_reach_the_run(nlpkit, asked, tmp_path):
    (tmp_path / "gold").write_text(json.dumps(GOOD, ensure_ascii=False) + "\n", encoding="gb18030")
    options = ("--encoding", "gb18030", "--head", "global", "--nested", "--quiet")
    result = nlpkit("train", "ner", "gold", "gold", "--dev", "gold", "-o", "out", *options)
    assert (result.exit_code, result.stderr) == (0, "")
    ((task, train, dev, folder, _, arrived, _),) = asked
    assert (task.settings.labels, task.settings.head, task.settings.nested) == (("name",), "global", True)
    assert (len(train), len(dev), str(folder)) == (2, 1, "out")
    assert arrived.sources == {"training": ["gold", "gold"], "dev": ["gold"]}


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


class OutOfMemoryError(RuntimeError):
    """As torch's."""


@pytest.mark.parametrize(
    "error",
    [OutOfMemoryError(), MemoryError(), RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory")],
)
def test_too_little_memory_is_one_line_with_a_cure(fails, tmp_path, monkeypatch, error):
    def fail(*args, **more):
        raise error

    monkeypatch.setattr("nlpkit.core.training.job.fit", fail)
    monkeypatch.setattr("nlpkit.tasks.ner.task.load", fail)
    monkeypatch.setattr("nlpkit.tasks.pretrain.train.pretrain", fail)
    write_jsonl(tmp_path / "gold", [GOOD])
    told = {
        "train ner gold --dev gold -o out -q": "--max-length",
        "pretrain gold -o out -q": "--length",
        "ner gold": "--device cpu",
        "evaluate ner gold": "--device cpu",
    }
    for command, cure in told.items():
        message = fails(1, *command.split())
        assert message.startswith("out of memory; ")
        assert cure in message


def test_other_runtime_errors_are_not_hidden(nlpkit, tmp_path, monkeypatch):
    def fail(*args):
        raise RuntimeError("a bug")

    monkeypatch.setattr("nlpkit.core.training.job.fit", fail)
    write_jsonl(tmp_path / "gold", [GOOD])
    with pytest.raises(AssertionError, match=r"internal error: RuntimeError at .*: a bug; .* please report it"):
        nlpkit("train", "ner", "gold", "--dev", "gold", "-o", "out", "-q")


@pytest.mark.parametrize("points", [[(1, 0.5)], [(1, 0.5), (2, 0.5)], [(i, 100 / i) for i in range(1, 500)]])
def test_charts(points):
    title, *rows = chart("loss", points).splitlines()
    assert title.startswith(f"loss: step 1 … {points[-1][0]}, last ")
    assert len(rows) == 10
    assert {len(row) for row in rows} == {11 + min(72, len(points))}


def test_a_chart_falls_from_left_to_right():
    rows = chart("loss", [(i, 10 - i) for i in range(10)]).splitlines()[1:]
    heights = [sum(row[11 + column] != " " for row in rows) for column in range(10)]
    assert heights == sorted(heights, reverse=True)
    assert (heights[0], heights[-1]) == (10, 1)


def test_the_metric_that_chooses_is_drawn(tmp_path):
    (tmp_path / "training").mkdir()
    lines = [
        {"step": 1, "loss": 2.0},
        {"step": 2, "dev": {"loss": 9.0, "spearman": 0.25, "labels": {}}, "metric": "spearman"},
        {"step": 4, "dev": {"loss": 8.0, "spearman": 0.5, "labels": {}}, "metric": "spearman"},
    ]
    (tmp_path / LOG).write_text("".join(json.dumps(line) + "\n" for line in lines))
    loss, metric = draw(tmp_path).split("\n\n")
    assert loss.startswith("loss: step 1 … 1, last 2\n")
    assert metric.startswith("spearman: step 2 … 4, last 0.5\n")


def test_the_card_of_what_was_trained_has_its_curves(nlpkit, trained):
    (card,) = records(nlpkit("models", trained[0]))
    steps, losses = zip(*card["curves"]["loss"], strict=True)
    assert len(steps) <= 32
    assert list(steps) == sorted(steps)
    lines = [json.loads(line) for line in (trained[0] / LOG).read_text().splitlines()]
    assert steps[-1] == [line["step"] for line in lines if "loss" in line][-1]
    assert losses[-1] < losses[0]
    assert max(score for _, score in card["curves"]["f1"]) <= 1


def test_points_are_averaged():
    assert averaged([(1, 4.0), (2, 2.0), (3, 1.0), (4, 0.0)], 2) == [(2, 3.0), (4, 0.5)]
    assert averaged([(1, 4.0), (2, 2.0)], 8) == [(1, 4.0), (2, 2.0)]
    assert averaged([], 8) == []


def test_a_log_that_is_being_written(tmp_path):
    (tmp_path / "training").mkdir()
    (tmp_path / LOG).write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "lo')
    assert draw(tmp_path).startswith("loss: step 1 … 1, last 2")
    (tmp_path / LOG).write_text('{"step": 1, "lo\n{"step": 2, "loss": 2.0}\n')
    with pytest.raises(ModelError, match=r"log\.jsonl: broken"):
        draw(tmp_path)
    (tmp_path / LOG).write_text("")
    assert draw(tmp_path).endswith("nothing logged yet")
