"""The commands that a task gets from its declaration alone, in this process; the task is that of `toy_task`."""

import json
from dataclasses import asdict, replace

import pytest
import torch
import toy_task
from support import SENTENCE, vocabulary, write_jsonl
from typer.testing import CliRunner

import nlpkit.tasks
from nlpkit.cli.error_handling import Edge
from nlpkit.cli.lazy import LazyApp
from nlpkit.cli.tasks import generic, ner
from nlpkit.core.model import checkpoint
from nlpkit.core.model.manifest import Manifest
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.nn.backbones import build
from nlpkit.tasks import TASKS, spec

KINDS = ("predict", "train", "evaluate")


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs `predict`, `train` or `evaluate` of the toy task in an empty folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(nlpkit.tasks, "TASKS", (*TASKS, toy_task.SPEC))
    root = LazyApp(cls=Edge, name="nlpkit", pretty_exceptions_enable=False)
    for kind in KINDS:
        root.add(kind, f"The command {kind}.", lambda kind=kind: generic.command(toy_task.SPEC, kind))

    def run(*arguments, text=None):
        settings = {"NLPKIT_LANG": "en", "NLPKIT_DEVICE": "cpu", "NLPKIT_DTYPE": "fp32"}
        return CliRunner().invoke(root, list(map(str, arguments)), input=text, env=settings, prog_name="nlpkit")

    return run


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A tiny model with random weights."""
    tokenizer = CharTokenizer(vocabulary(SENTENCE))
    torch.manual_seed(1)
    sizes = {"hidden_size": 64, "num_layers": 1, "num_heads": 2, "intermediate_size": 64, "max_length": 64}
    backbone = build({"type": "roformer_v2", "vocab_size": tokenizer.vocab_size, **sizes})
    task = toy_task.LabelTask(toy_task.LabelSettings(("bad", "good")))
    network = task.network(backbone)
    manifest = Manifest("label", backbone.describe(), tokenizer.settings, 64, asdict(task.settings))
    folder = tmp_path_factory.mktemp("label") / "model"
    checkpoint.save(folder, manifest, tokenizer.tokens, network.state_dict())
    return folder


def found(result):
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_predicting(run, model):
    first, second = found(run("predict", "-m", model, text=f"{SENTENCE}\n\n"))
    assert list(first) == ["text", "label", "score"]
    assert first["label"] in ("bad", "good")
    assert first["score"] >= 0.5
    assert second["text"] == ""


def test_options_of_a_prediction(run, model, tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"id": 7, "body": SENTENCE}])
    options = ("-m", model, "--field", "body", "--nest", "nlp", "--threshold", 0.999, "-o", "out", "--html", "p.html")
    assert run("predict", path, *options).exit_code == 0
    (written,) = map(json.loads, (tmp_path / "out").read_text(encoding="utf-8").splitlines())
    assert (list(written), written["id"]) == (["id", "body", "nlp"], 7)
    assert written["nlp"]["label"] is None  # none is as probable
    assert SENTENCE in (tmp_path / "p.html").read_text(encoding="utf-8")


def test_without_a_renderer_a_page_has_the_text_alone(run, model, tmp_path, monkeypatch):
    monkeypatch.setattr(toy_task, "SPEC", replace(toy_task.SPEC, renderer=None))
    assert run("predict", "-m", model, "--html", "p.html", "-o", "out", text=SENTENCE).exit_code == 0
    page = (tmp_path / "p.html").read_text(encoding="utf-8")
    assert SENTENCE in page
    assert "<mark" not in page


def test_evaluating(run, model, tmp_path):
    gold = [{"text": SENTENCE[start:], "label": label} for start in range(6) for label in ("bad", "good")]
    path = write_jsonl(tmp_path / "gold.jsonl", gold)
    (scores,) = found(run("evaluate", path, "-m", model))
    assert (scores["accuracy"], scores["texts"]) == (0.5, 12)
    (scores,) = found(run("evaluate", path, "-m", model, "--threshold", 0.999))
    assert scores["accuracy"] == 0


def test_training(run, tmp_path):
    path = write_jsonl(tmp_path / "gold.jsonl", [{"text": "好" * n, "label": "good"} for n in range(1, 9)])
    options = ("--dev", path, "-o", "m", "-m", "roformer_v2:1x64", "--epochs", 1, "-q")
    (scores,) = found(run("train", path, *options))
    assert scores["accuracy"] == 1
    assert found(run("predict", "-m", "m", text="好\n"))[0]["label"] == "good"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("predict",), 2, "label has no embedded model; name one with --model"),
        (("evaluate", "gold.jsonl"), 2, "label has no embedded model; name one with --model"),
        (("evaluate", "bad.jsonl", "-m", "MODEL"), 1, 'bad.jsonl:1: no "label" here, or not a string'),
        (("train", "bad.jsonl", "--dev", "bad.jsonl", "-o", "m"), 1, 'bad.jsonl:1: no "label" here, or not a string'),
        (("evaluate", "gold.jsonl", "-m", "MODEL", "-f", "xml"), 2, "unknown format 'xml'"),
        (
            ("train", "gold.jsonl", "--dev", "gold.jsonl", "-o", "m", "-m", "roformer_v2:1x64", "-q", "--join", 2),
            2,
            "--join: examples of `nlpkit label` cannot be joined; leave it out",
        ),
        (("predict", "--nothing"), 2, "No such option: --nothing"),
    ],
)
def test_what_is_refused(run, model, tmp_path, arguments, code, message):
    write_jsonl(tmp_path / "gold.jsonl", [{"text": "好", "label": "good"}])
    write_jsonl(tmp_path / "bad.jsonl", [{"text": "好"}])
    result = run(*(model if argument == "MODEL" else argument for argument in arguments), text="好\n")
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith(f"nlpkit: error: {message}")
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_help(run, kind):
    shown = run(kind, "--help").stdout
    path = {"predict": "label", "train": "train label", "evaluate": "evaluate label"}[kind]
    assert f"nlpkit {path}" in shown.partition("Options:")[0]  # an example
    assert ("--format" in shown) == (kind != "predict")


def test_a_command_of_the_tasks_own_comes_first():
    assert generic.command(spec("ner"), "predict") is ner.predict
    without = replace(toy_task.SPEC, cli="toy_task")  # a module that has no commands
    assert generic.command(without, "evaluate").__doc__.startswith("Report the metrics of a label model")
