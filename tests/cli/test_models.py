"""`nlpkit models`: cards and the list."""

import json
import os
import re
import shutil
from pathlib import Path

import pytest
from support import records

from nlpkit import __version__
from nlpkit.cli import models
from nlpkit.core.model import manifest
from nlpkit.core.model.manifest import embedded_names
from nlpkit.tasks import TASKS

ROOT = Path(__file__).parents[2]


def test_the_card_of_a_model(nlpkit, tiny):
    (card,) = records(nlpkit("models", tiny))
    assert (card["folder"], card["task"], card["version"]) == (tiny, "ner", __version__)
    assert card["config"]["labels"] == ["company", "name"]
    assert card["mebibytes"] == round(sum(entry.stat().st_size for entry in os.scandir(tiny)) / 2**20, 1)


@pytest.mark.parametrize(("metric", "shown"), [(None, "dev f1 0.500"), ("spearman", "dev spearman 0.250")])
def test_a_row_shows_the_metric_that_chose_the_weights(tiny, tmp_path, monkeypatch, capsys, metric, shown):
    shutil.copytree(tiny, tmp_path / "ner-toy")
    manifest_file = tmp_path / "ner-toy" / "nlpkit.json"
    described = json.loads(manifest_file.read_text(encoding="utf-8"))
    described["metrics"] = {"dev": {"f1": 0.5, "spearman": 0.25}}
    described["training"] = {"metric": metric} if metric else {}
    manifest_file.write_text(json.dumps(described), encoding="utf-8")
    monkeypatch.setattr(manifest, "EMBEDDED", tmp_path)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    models.models()
    (row,) = capsys.readouterr().out.splitlines()
    assert row.startswith("ner-toy          ner            ? ")
    assert row.endswith(f"MiB  {shown}  (?)")


def test_the_sources_of_a_corpus_stand_on_its_card_alone(nlpkit, tiny, tmp_path, monkeypatch):
    shutil.copytree(tiny, tmp_path / "toy")
    sources = [{"name": "poems", "percent": 100, "licence": "MIT"}]
    (tmp_path / "toy" / "card.json").write_text(json.dumps({"licence": "MIT", "sources": sources}), encoding="utf-8")
    monkeypatch.setattr(manifest, "EMBEDDED", tmp_path)
    assert records(nlpkit("models", "toy"))[0]["sources"] == sources
    (row,) = records(nlpkit("models"))
    assert row["licence"] == "MIT"
    assert "sources" not in row


def test_the_list_of_models(nlpkit, tiny, tmp_path, monkeypatch):
    (tmp_path / "embedded").mkdir()
    (tmp_path / "embedded" / "ner-toy").symlink_to(tiny)
    monkeypatch.setattr(manifest, "EMBEDDED", tmp_path / "embedded")
    (found,) = records(nlpkit("models"))
    assert (found["name"], found["task"]) == ("ner-toy", "ner")
    assert records(nlpkit("models", "ner-toy"))[0]["name"] == "ner-toy"
    assert records(nlpkit("ner", "--model", "ner-toy", text="好"))[0]["text"] == "好"


def test_check_reads_all_of_a_model(nlpkit, fails, tiny, tmp_path, monkeypatch):
    shutil.copytree(tiny, tmp_path / "embedded" / "toy")
    monkeypatch.setattr(manifest, "EMBEDDED", tmp_path / "embedded")
    for arguments in (("toy",), ()):
        assert nlpkit("models", *arguments, "--check").exit_code == 0
    weights = tmp_path / "embedded" / "toy" / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    for arguments in (("toy",), ()):
        assert nlpkit("models", *arguments).exit_code == 0
        assert "model.safetensors: is damaged (its checksum differs)" in fails(1, "models", *arguments, "--check")


def test_the_curves_of_a_run_have_few_points(nlpkit, tiny, tmp_path):
    shutil.copytree(tiny, tmp_path / "toy")
    (tmp_path / "toy" / "training").mkdir()
    lines = [{"step": step, "loss": float(step)} for step in range(1, 101)]
    (tmp_path / "toy" / manifest.LOG).write_text("".join(json.dumps(line) + "\n" for line in lines))
    (card,) = records(nlpkit("models", "./toy"))
    points = card["curves"]["loss"]
    assert len(points) == models.MAX_POINTS
    assert points[-1][0] == 100
    assert "curves" not in records(nlpkit("models", tiny))[0]


def test_the_default_model_of_each_task_is_marked(nlpkit):
    defaults = {row["task"]: row["name"] for row in records(nlpkit("models")) if row["default"]}
    assert defaults == {task.name: task.default_model for task in TASKS if task.default_model}


@pytest.mark.skipif(not embedded_names(), reason="no embedded model yet")
@pytest.mark.parametrize("name", embedded_names())
def test_embedded_models_are_small_and_say_where_they_come_from(nlpkit, name):
    (card,) = records(nlpkit("models", name))
    large = name == "embed-base"  # has eight layers, and the pieces of Chinese instead of characters
    assert card["mebibytes"] <= (24 if large else 16)
    assert card["parameters"] <= (23_000_000 if large else 15_000_000)
    assert card["licence"]
    script = (ROOT / card["rebuild"].removeprefix("bash ")).read_text(encoding="utf-8")
    assert re.search("nlpkit train |distill.py ", script)
    assert card["scores"]


def test_no_such_model(fails):
    assert fails(1, "models", "nothing").startswith("nothing: no such model; the embedded ones are: ")
    assert fails(1, "models", ".").startswith(".: no nlpkit.json there")
