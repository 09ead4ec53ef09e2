"""The command tree: help that is quick, complete, and ends in an example that can be pasted; completion."""

import json
import subprocess
import sys

import pytest
from support import COMMANDS, environment, invoke
from typer.testing import CliRunner

from nlpkit import __version__
from nlpkit.cli.app import app
from nlpkit.cli.convert import FORMATS as ALL_FORMATS
from nlpkit.tasks.ner.formats import FORMATS

HEAVY = ("torch", "numpy", "transformers", "safetensors", "jieba")
named = pytest.mark.parametrize("path", COMMANDS, ids=" ".join)


def run(code, **more):
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment() | more, capture_output=True, text=True, check=True)


def test_help_loads_nothing_heavy():
    """Of every command, in one process."""
    calls = [[*path, "--help"] for path in COMMANDS] + [["--help"], ["train", "--help"], ["--version"], []]
    done = run(
        "import sys, json\n"
        "from nlpkit.cli.app import app\n"
        f"for args in {calls}:\n"
        "    try:\n        app(args, prog_name='nlpkit')\n"
        "    except SystemExit as end:\n        assert end.code in (0, 2 if not args else 0), (args, end.code)\n"
        "print(json.dumps(sorted(set(name.split('.')[0] for name in sys.modules))), file=sys.stderr)"
    )
    loaded = json.loads(done.stderr.splitlines()[-1])
    assert "typer" in loaded
    assert not set(HEAVY) & set(loaded)
    assert done.stdout.count("Usage: nlpkit") >= len(calls) - 2


def test_completion_loads_nothing_heavy():
    code = "import sys; sys.argv[0] = 'nlpkit'; from nlpkit.__main__ import main\ntry:\n    main()\nfinally:\n" \
           f"    assert not {set(HEAVY)} & set(sys.modules)"  # fmt: skip
    variables = {"_NLPKIT_COMPLETE": "complete_bash", "COMP_WORDS": "nlpkit e", "COMP_CWORD": "1"}
    assert {*run(code, **variables).stdout.split()} == {"embed", "evaluate", "event", "export"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("ner --device c", ["cpu", "cuda"]),
        ("doctor --dtype ", []),
        ("evaluate ner --dtype ", ["auto", "fp32", "bf16", "fp16", "int8"]),
        ("train ner --format c", ["cluener", "conll", "cmeee"]),
        ("convert --from ", list(ALL_FORMATS)),
        ("train ner --store ", ["fp32", "fp16", "int8"]),
        ("train ner -o README.md --dev x --format w", ["weibo"]),
    ],
)
def test_values_are_completed(words, expected):
    *_, incomplete = f"nlpkit {words}".split(" ")
    variables = {"_NLPKIT_COMPLETE": "complete_bash", "COMP_WORDS": f"nlpkit {words}"}
    variables["COMP_CWORD"] = str(len(f"nlpkit {words}".split(" ")) - 1)
    result = CliRunner().invoke(app, [], env=variables, prog_name="nlpkit")
    assert result.stdout.split() == [value for value in expected if value.startswith(incomplete)]


def test_the_help_of_format_names_all_formats():
    for command in (("train", "ner"), ("evaluate", "ner"), ("convert",)):
        text = " ".join(invoke(*command, "--help").stdout.split())
        assert ", ".join(FORMATS) in text


@named
def test_every_command_has_help_that_ends_in_an_example(path):
    text = COMMANDS[path].help.rstrip()
    assert text.splitlines()[-1].strip().find(f"nlpkit {' '.join(path)}") >= 0
    assert all(option.help for option in COMMANDS[path].params if option.param_type_name == "option")


@named
def test_the_example_is_shown_in_one_line_so_that_it_can_be_pasted(path):
    example = COMMANDS[path].help.rstrip().splitlines()[-1].strip()
    result = invoke(*path, "--help")
    assert result.exit_code == 0
    assert example in [line.strip() for line in result.stdout.splitlines()]


def test_version():
    assert invoke("--version").stdout == f"nlpkit {__version__}\n"
