"""Units of a summary: where sentences and clauses end, in any text."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support import NASTY, texts

from nlpkit.tasks.summarize.units import is_delimiter, units, without_comma

LONG = 10_000
punctuated = st.text(st.sampled_from("甲乙ab1 。，！？;；…:：.,\n“”」（\u3000"), max_size=60)


def parts(text, max_length=LONG):
    return [text[start:end] for start, end in units(text, max_length)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("今天好。明天呢？后天！", ["今天好。", "明天呢？", "后天！"]),
        ("他说：“走吧！”她走了。", ["他说：“走吧！”", "她走了。"]),
        ("（甲。）乙……丙", ["（甲。）", "乙……", "丙"]),
        ("第一；第二;第三", ["第一；", "第二;", "第三"]),
        ("圆周率是3.14，见nlpkit.load的说明。完", ["圆周率是3.14，见nlpkit.load的说明。", "完"]),
        ("It rains. It pours.", ["It rains.", "It pours."]),
        ("甲\n乙\r\n\n  丙  ", ["甲", "乙", "丙"]),
        ("没有句号", ["没有句号"]),
        ("甲。。。！乙", ["甲。。。！", "乙"]),
        ("。。。", []),
        ("，“”（）", []),
        ("", []),
        ("\u3000 \n", []),
    ],
)
def test_sentences(text, expected):
    assert parts(text) == expected


@pytest.mark.parametrize(
    ("text", "max_length", "expected"),
    [
        ("今天天气很好，我们去公园，他没来。", 10, ["今天天气很好，", "我们去公园，", "他没来。"]),
        ("今天天气很好，我们去公园，他没来。", 17, ["今天天气很好，我们去公园，他没来。"]),
        ("售价为1,000元，时间是12:30，地点：北京。", 12, ["售价为1,000元，", "时间是12:30，", "地点：", "北京。"]),
        ("短。这是一个没有逗号的很长的句子。", 5, ["短。", "这是一个没有逗号的很长的句子。"]),
        ("甲，，乙丙丁戊己庚。", 4, ["甲，，", "乙丙丁戊己庚。"]),
        ("，，甲乙丙，丁", 4, ["甲乙丙，", "丁"]),
    ],
)
def test_a_sentence_that_is_too_long_is_split_into_clauses(text, max_length, expected):
    assert parts(text, max_length) == expected


@given(st.one_of(punctuated, texts), st.integers(1, 30))
@example(text=" ".join(NASTY), max_length=5)
def test_units_of_any_text(text, max_length):
    """In order, without white space around, and with all characters that are no delimiters."""
    found = units(text, max_length)
    covered, last = set(), 0
    for start, end in found:
        assert last <= start < end <= len(text)
        assert text[start:end] == text[start:end].strip()
        covered |= set(range(start, end))
        last = end
    words = {index for index, character in enumerate(text) if not is_delimiter(character) and not character.isspace()}
    assert words <= covered


def test_commas_at_the_end_are_left_out():
    assert without_comma("甲，、：:,", 0, 6) == 1
    assert without_comma("甲乙。", 0, 3) == 3
    assert without_comma("，，，", 0, 3) == 1
    assert without_comma("甲，乙，", 2, 4) == 3
    assert without_comma("甲，乙，", 0, 3) == 3
