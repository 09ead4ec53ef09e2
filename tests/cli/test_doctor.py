"""`nlpkit doctor`: what it reports, from the environment and from torch."""

import json
import os
import sys
from importlib import metadata

import pytest
import torch
from support import records
from typer.testing import CliRunner

from nlpkit import __version__
from nlpkit.cli.app import app
from nlpkit.core.model.manifest import EMBEDDED, embedded_names


def run(**environment):
    """The report in an environment."""
    result = CliRunner().invoke(app, ["doctor"], prog_name="nlpkit", env=environment)
    assert (result.exit_code, result.stderr) == (0, "")
    (report,) = records(result)
    return report


def test_device_and_precision(nlpkit):
    (report,) = records(nlpkit("doctor"))
    assert report["nlpkit"] == __version__
    assert report["device"]["auto"] in ("cpu", "cuda", "mps")
    assert report["precision"]["auto"] in ("float32", "bfloat16", "float16")
    assert report["precision"]["cpu_fp32_ms"] > 0
    assert report["precision"]["cpu_instructions"]
    assert {type(can) for can in report["precision"]["cpu_prepacking"].values()} == {bool}
    assert report["cores"]["torch_threads"] == torch.get_num_threads()
    assert report["cores"]["usable"] >= 1


def test_models_and_versions():
    report = run()
    assert report["models"] == {"embedded": embedded_names(), "folder": str(EMBEDDED)}
    assert report["versions"]["torch"] == metadata.version("torch")
    assert {"torch", "transformers", "typer", "jieba", "marisa-trie", "numpy"} <= set(report["versions"])


def test_a_package_that_is_not_installed(monkeypatch):
    version = metadata.version

    def without_zstandard(name):
        if name == "zstandard":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", without_zstandard)
    assert run()["versions"]["zstandard"] is None


@pytest.mark.parametrize(
    ("variables", "cache"),
    [
        ({"HF_HUB_CACHE": "FOLDER"}, "FOLDER"),
        ({"HF_HOME": "FOLDER"}, "FOLDER/hub"),
        ({"HF_HOME": "elsewhere", "HF_HUB_CACHE": "FOLDER"}, "FOLDER"),
    ],
)
def test_the_cache_of_the_hub(monkeypatch, tmp_path, variables, cache):
    for name in ("HF_HOME", "HF_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    cache = cache.replace("FOLDER", str(tmp_path))
    for name in ("models--BAAI--bge-small-zh", "models--gpt2", "datasets--x--y"):
        os.makedirs(f"{cache}/{name}")  # noqa: PTH103
    hub = run(**{name: value.replace("FOLDER", str(tmp_path)) for name, value in variables.items()})["hub"]
    assert (hub["cache"], hub["cached"]) == (cache, ["BAAI/bge-small-zh", "gpt2"])


def test_without_a_cache_there_are_no_models(tmp_path):
    assert run(HF_HUB_CACHE=str(tmp_path / "none"))["hub"]["cached"] == []


@pytest.mark.parametrize(("value", "offline"), [("1", True), ("ON", True), ("yes", True), ("0", False), ("", False)])
def test_endpoint_and_offline(value, offline):
    hub = run(HF_HUB_OFFLINE=value, HF_ENDPOINT="https://hf-mirror.com")["hub"]
    assert (hub["offline"], hub["endpoint"]) == (offline, "https://hf-mirror.com")


def test_on_a_terminal_it_is_indented(monkeypatch, capsys):
    from nlpkit.cli.doctor import doctor

    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    doctor()
    shown = capsys.readouterr().out
    assert json.loads(shown)["nlpkit"] == __version__
    assert shown.startswith('{\n  "nlpkit"')
