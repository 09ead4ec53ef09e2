"""Empty questions."""

import pytest

from nlpkit.tasks.kgqa.retrieval.empty_question import is_empty_question


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
def test_an_empty_question(question):
    assert is_empty_question(question)


@pytest.mark.parametrize(
    "question", ["长江", "有道是什么？", "C", "谁是作者", "1", "茶馆的作者是谁？", "😀的名字", "好人是谁"]
)
def test_a_question_with_content(question):
    assert not is_empty_question(question)
