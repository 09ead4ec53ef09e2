"""Commands are imported when they are called."""

import json
import subprocess
import sys

import pytest
import typer
from support import COMMANDS, environment, invoke
from typer.testing import CliRunner

from nlpkit.cli.app import app
from nlpkit.cli.lazy import LazyApp, loaded
from nlpkit.cli.localization.help import App

LISTS = ((), ("train",), ("evaluate",))


def modules_after(*args, **variables):
    """Return nlpkit's modules that a process has imported when it ends."""
    code = (
        "import atexit, json, sys\n"
        "report = lambda: print(json.dumps([m for m in sys.modules if m.startswith('nlpkit')]), file=sys.stderr)\n"
        f"atexit.register(report); sys.argv = ['nlpkit', *{list(args)!r}]\n"
        "from nlpkit.__main__ import main\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", code], env=environment() | variables, capture_output=True, text=True)
    return set(json.loads(done.stderr.splitlines()[-1]))


@pytest.mark.parametrize("args", [("--help",), ("train", "--help"), ("--version",), ("evaluate", "--hlp"), ("nre",)])
def test_no_command_is_imported_for_a_list_or_an_error(args):
    found = modules_after(*args)
    assert "nlpkit.cli.app" in found
    assert not {module for module in found if module.startswith(("nlpkit.cli.tasks.", "nlpkit.core.formats"))}


def test_one_command_does_not_import_the_others():
    found = modules_after("graph", "--help")
    assert "nlpkit.cli.tasks.graph" in found
    assert not {"nlpkit.cli.tasks.ner", "nlpkit.cli.tasks.embed", "nlpkit.cli.convert"} & found


def test_names_are_completed_without_an_import():
    variables = {"_NLPKIT_COMPLETE": "complete_bash", "COMP_WORDS": "nlpkit train ", "COMP_CWORD": "2"}
    assert "nlpkit.cli.tasks.generic" not in modules_after(**variables)


@pytest.mark.parametrize("path", LISTS, ids=" ".join)
def test_a_list_shows_every_command_with_a_whole_sentence(path):
    lines = invoke(*path, "--help").stdout.partition("Commands:\n")[2].splitlines()
    shown = {line.split()[0]: line for line in lines}
    assert set(shown) == {words[len(path)] for words in COMMANDS if words[: len(path)] == path}
    assert all(line.endswith(".") and not line.endswith("...") for line in lines)


def test_a_command_is_loaded_when_it_is_called_only():
    calls = []

    def hello(name: str = "you") -> None:
        """Say hello."""
        typer.echo(f"hello {name}")

    group = App(no_args_is_help=True, help="Say something.")
    group.command("hello")(hello)
    root = LazyApp()
    root.add("hello", "Say hello.", lambda: calls.append("hello") or hello)
    root.add("say", "Say something.", lambda: calls.append("say") or group)
    runner = CliRunner()

    assert "say    Say something." in runner.invoke(root, ["--help"]).stdout
    assert "No such command" in runner.invoke(root, ["bye"]).output
    assert calls == []
    assert runner.invoke(root, ["hello", "--name", "me"]).stdout == "hello me\n"
    assert calls == ["hello"]
    assert runner.invoke(root, ["say", "hello"]).stdout == "hello you\n"
    assert calls == ["hello", "say"]
    assert "Usage: root say hello" in runner.invoke(root, ["say", "hello", "--help"], prog_name="root").stdout


def test_what_is_not_lazy_is_returned_as_it_is():
    command = typer.main.get_command(app)
    assert loaded(command) is command
    assert loaded(command.commands["ner"]).name == "ner"
