"""Help in Chinese, and English help as typer makes it."""

import json
import re
import subprocess
import sys
from functools import cache

import pytest
from rich.cells import cell_len
from support import COMMANDS, ENVIRONMENT, environment
from translatable import HAN, KEPT, help_texts
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command
from typer.testing import CliRunner

from nlpkit.cli.app import app
from nlpkit.cli.lazy import loaded
from nlpkit.cli.localization.catalogue import translate

GROUPS = [(), *sorted({path[:-1] for path in COMMANDS if len(path) > 1})]
PATHS = [*GROUPS, *COMMANDS]
FIRST_LINES = re.compile(r"(?m)^  (?:-\w, )?(--[\w-]+(?: [/;] --[\w-]+)?)")  # of the options
PROJECTION = """\
用法：nlpkit train projection [选项]

  为模型的向量生成随机投影（Johnson-Lindenstrauss）；输出一个 JSON 对象。

  不需要文本。用 `nlpkit embed --whiten FILE` 应用。

      nlpkit train projection --dim 128 -o jl.safetensors &&
        nlpkit embed --whiten jl.safetensors corpus.txt

选项：
"""


SOURCES = sorted(help_texts())


@cache
def shown(path, language, columns=100):
    """What `--help` prints."""
    variables = {"COLUMNS": str(columns), "TERM": "dumb", "NLPKIT_LANG": language}
    result = CliRunner().invoke(app, [*path, "--help"], prog_name="nlpkit", env=variables)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_every_help_text_has_a_translation():
    assert [text for text in SOURCES if not HAN.search(translate(text))] == []


@pytest.mark.parametrize("text", SOURCES)
def test_options_code_and_numbers_are_the_same_in_a_translation(text):
    assert set(KEPT.findall(translate(text))) == set(KEPT.findall(text))


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_no_line_is_wider_than_80_cells(path):
    assert [line for line in shown(path, "zh").splitlines() if cell_len(line) > 80] == []


def test_no_line_is_wider_than_the_terminal():
    assert max(map(cell_len, shown(("train", "ner"), "zh", columns=60).splitlines())) in range(55, 61)


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_a_page_has_every_option_and_no_english_sentence(path):
    english, chinese = shown(path, "en"), shown(path, "zh")
    assert chinese.startswith("用法：nlpkit")
    (head, options), (_, english_options) = chinese.split("\n选项：\n"), english.split("\nOptions:\n")
    assert FIRST_LINES.findall(options) == FIRST_LINES.findall(english_options)
    prose = re.sub(r"(?m)^ {6,8}\S.*", "", head) + options  # without the examples
    assert re.findall(r"[A-Za-z]+(?:\s+[a-z]+){4}", re.sub(r"`[^`]*`", "", prose)) == []


@pytest.mark.parametrize("path", PATHS, ids=" ".join)
def test_english_help_is_that_of_typer_alone(path):
    command, context = get_command(app), None
    context = command.make_context("nlpkit", [], resilient_parsing=True)
    for name in path:
        command = loaded(command.commands[name])
        context = command.make_context(name, [], parent=context, resilient_parsing=True)
    formatter = context.make_formatter()
    (TyperGroup if hasattr(command, "commands") else TyperCommand).format_help(command, context, formatter)
    assert command.get_help(context) == formatter.getvalue().rstrip("\n")


def test_a_page_in_full():
    page = shown(("train", "projection"), "zh")
    assert page.startswith(PROJECTION)
    assert "\n  --dim K                         维数。 [x>=1；必填]\n" in page
    assert "\n                                  [默认：auto]\n" in page  # below the help of --pooling
    assert " [默认：16M]\n" in shown(("ner",), "zh")


def test_a_group_without_a_command_shows_its_help(nlpkit, monkeypatch):
    monkeypatch.setitem(ENVIRONMENT, "NLPKIT_LANG", "zh")
    result = nlpkit("graph")
    assert result.exit_code == 2
    assert result.stderr.startswith("用法：nlpkit graph [选项] 命令 [参数]...\n")
    assert "\n命令：\n  build  由三元组建立图谱，" in result.stderr


@pytest.mark.parametrize(
    ("words", "expected"), [("nlpkit ", "按词语和语义检索文本"), ("nlpkit ner --qu", "不在标准错误上")]
)
def test_the_shell_completes_in_the_language_of_the_user(words, expected):
    completion = {"_NLPKIT_COMPLETE": "complete_zsh", "_TYPER_COMPLETE_ARGS": words}
    for language in ("en", "zh"):
        variables = environment() | completion | {"NLPKIT_LANG": language, "PYTHONIOENCODING": "utf-8"}
        done = subprocess.run([sys.executable, "-m", "nlpkit"], env=variables, capture_output=True, encoding="utf-8")
        assert (expected in done.stdout) == (language == "zh"), done


def test_the_output_is_the_same_in_both_languages():
    def output(language):
        variables = environment() | {"NLPKIT_LANG": language}
        return subprocess.run([sys.executable, "-m", "nlpkit", "models"], env=variables, capture_output=True).stdout

    assert output("en") == output("zh")
    assert "name" in json.loads(output("zh").splitlines()[0])


def test_english_help_does_not_load_the_catalogue():
    code = "import sys, nlpkit.cli.app as a\ntry: a.app(['ner', '--help'])\nexcept SystemExit: pass\n"
    code += "print('nlpkit.cli.localization.catalogue' in sys.modules)"
    for language, expected in (("en", "False"), ("zh", "True")):
        variables = environment() | {"NLPKIT_LANG": language, "PYTHONIOENCODING": "utf-8"}
        done = subprocess.run([sys.executable, "-c", code], env=variables, capture_output=True, encoding="utf-8")
        assert done.stdout.splitlines()[-1] == expected
