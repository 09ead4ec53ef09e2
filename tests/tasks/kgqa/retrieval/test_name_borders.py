"""Whether a name in a question is a word of its own, and questions with nothing in them."""

import pytest

from nlpkit.tasks.kgqa.retrieval.empty_question import is_void
from nlpkit.tasks.kgqa.retrieval.name_borders import is_whole


@pytest.mark.parametrize(
    ("text", "name", "whole"),
    [
        ("Java的设计者是谁？", "Java", True),
        ("JavaScript的设计者是谁？", "Java", False),
        ("C++的设计者是谁？", "C", False),
        ("C++的设计者是谁？", "C++", True),
        ("F#是谁设计的？", "F", False),
        ("Ｃ＋＋的设计者是谁？", "Ｃ", False),
        ("请问iPhone的厂商", "iPhone", True),
        ("iPhone12的厂商", "iPhone", False),
        ("GPT-4的参数量", "GPT", False),
        ("1936年夏季奥运会", "36年夏季奥运会", False),
        ("T恤的面料", "T恤", True),
        ("《红楼梦》的作者是谁？", "红楼梦", True),
        ("《 红楼梦 》的作者是谁？", "红楼梦", True),
        ("《新红楼梦》的作者是谁？", "红楼梦", False),
        ("《红楼梦》和《新红楼梦》", "红楼梦", True),
        ("《红楼梦的作者是谁？", "红楼梦", True),
        ("“红楼梦的作者”是谁？", "红楼梦", True),
        ("新红楼梦的作者是谁？", "红楼梦", True),  # for the model to tell
    ],
)
def test_a_name_is_no_part_of_a_word_or_title(text, name, whole):
    start = text.index(name)
    assert is_whole(text, start, start + len(name)) is whole


@pytest.mark.parametrize(
    "question",
    [
        "",
        " \t\u3000",
        "？？？",
        "……！",
        "是什么",
        "是什么？",
        "请问一下，你知道吗？",
        "谁",
        "為什麼",
        "你好！",
        "，的。",
    ],
)
def test_a_question_with_nothing_in_it(question):
    assert is_void(question)


@pytest.mark.parametrize(
    "question", ["长江", "有道是什么？", "C", "谁是作者", "1", "茶馆的作者是谁？", "😀的名字", "好人是谁"]
)
def test_a_question_with_something_in_it(question):
    assert not is_void(question)
