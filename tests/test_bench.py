"""Benchmarks and recipes are not run here, but they must not fall behind the code."""

import importlib
import re
from pathlib import Path

import pytest
import typer

from nlpkit.cli.app import app
from nlpkit.cli.lazy import loaded

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted([*(ROOT / "tests" / "bench").glob("*.py"), *(ROOT / "recipes").glob("**/*.py")])
RECIPES = sorted((ROOT / "recipes").glob("*/train.sh"))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_script_can_be_loaded(monkeypatch, path):
    monkeypatch.syspath_prepend(str(path.parent))
    assert importlib.import_module(path.stem).__doc__


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.parent.name)
def test_a_recipe_names_options_that_exist(path):
    lines = re.sub(r"\\\n", " ", path.read_text(encoding="utf-8")).splitlines()
    commands = [
        match[1].split()
        for line in lines
        if (match := re.search(r"\bnlpkit ((?:train|pretrain|convert|graph) .*)", line))
    ]
    assert commands or "distill.py" in path.read_text(encoding="utf-8")
    for words in commands:
        command = typer.main.get_command(app)
        while subcommands := getattr(command, "commands", None):
            command = loaded(subcommands[words.pop(0)])
        known = {name for parameter in command.params for name in parameter.opts}
        assert {word for word in words if re.match(r"--?[a-z]", word)} <= known
