"""Whether a name in a question is a word of its own, and questions with nothing in them."""

import pytest

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
        ("新红楼梦的作者是谁？", "红楼梦", True),  # the model decides
    ],
)
def test_a_name_is_not_a_part_of_a_word_or_title(text, name, whole):
    start = text.index(name)
    assert is_whole(text, start, start + len(name)) is whole
