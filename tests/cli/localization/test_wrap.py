"""Wrapping by cells."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from support import texts

from nlpkit.cli.localization.wrap import cells, unbroken, wrap, wrap_command

SENTENCE = '超出模型最大长度的文本切成有重叠的窗口处理，窗口数见 "windows"；其他（如 --on-error skip）见《手册》。'
mixed = st.text(st.sampled_from("中文字，。（）《》 ab-x.\"'"), max_size=80)


@pytest.mark.parametrize("text", [SENTENCE, "abc", "默认：utf-8", "…×«é", "ＡＢ，", "cafe\u0301"])
def test_cells_are_those_of_rich(text):
    assert cells(text) == cell_len(text)


@pytest.mark.parametrize("width", range(12, 60))
def test_lines_fit_and_keep_the_rules(width):
    lines = wrap(SENTENCE, width)
    assert all(cells(line) <= width for line in lines)
    assert not any(line[0] in "，。；：）》、！？" for line in lines)
    assert not any(line[-1] in "（《" for line in lines)
    assert "".join(lines).replace(" ", "") == SENTENCE.replace(" ", "")
    assert any("--on-error" in line for line in lines)  # Latin words stay whole


def test_a_line_is_filled_between_any_two_characters():
    assert wrap("一二三四五六七", 6) == ["一二三", "四五六", "七"]
    assert wrap("一二三，四五", 6) == ["一二", "三，四", "五"]
    assert wrap("一二（三四", 6) == ["一二", "（三四"]
    assert wrap("一 ab cd", 5) == ["一 ab", "cd"]
    assert wrap("abcdefgh", 3) == ["abc", "def", "gh"]
    assert wrap("", 5) == [""]
    assert wrap(f"一二 {unbroken('三四')}", 6) == ["一二", "三四"]


@given(mixed | texts, st.integers(2, 40))
def test_nothing_is_lost(text, width):
    lines = wrap(text, width)
    assert "".join("".join(lines).split()) == "".join(text.replace("\u2060", "").split())
    assert all(cells(line) <= width for line in lines)


COMMANDS = (
    "  cat news.txt | nlpkit ner --labels name,company | jq -r '.entities[].text | length' | sort | uniq -c",
    "  printf '和平精英\\tgame\\n' > names.tsv && nlpkit ner news.txt --dict names.tsv",
    "  nlpkit evaluate embed dev.tsv --pooling cls --pooling mean --whiten none --whiten self | jq -c '{a, b}'",
)


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("width", [50, 60, 78, 200])
def test_a_wrapped_command_is_the_same_for_the_shell(command, width):
    lines = wrap_command(command, width)
    assert all(cells(line) <= width for line in lines)
    assert all(line.endswith(("|", "&&", " \\")) for line in lines[:-1])
    assert shlex.split("\n".join(lines).replace("\\\n", "\n")) == shlex.split(command)
    assert (lines == [command]) == (cells(command) <= width)
