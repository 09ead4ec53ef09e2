"""Places for strings that are given without offsets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpkit.core.formats.gold import locate, occurrences

words = st.text(alphabet="ab1中文", max_size=12)


@pytest.mark.parametrize(
    ("text", "string", "found"),
    [
        ("王芳和王芳", "王芳", [0, 3]),
        ("aaaa中", "中", [4]),
        ("哈哈哈", "哈哈", [0, 1]),
        ("GV-971和971元、19710", "971", [3, 7]),  # not inside a number
        ("Tom和Tommy", "Tom", [0]),
        ("x86", "86", [1]),  # letters and digits are apart
        ("Tommy", "Tom", [0]),  # nowhere else
        ("中", "", []),
        ("", "中", []),
    ],
)
def test_occurrences(text, string, found):
    assert occurrences(text, string) == found


@pytest.mark.parametrize(
    ("text", "strings", "found"),
    [
        ("王芳和李娜。王芳的丈夫是张强。", ["王芳", "张强"], [(6, 8), (12, 14)]),
        ("甲乙丙甲", ["甲", "丙"], [(3, 4), (2, 3)]),
        ("张三丰和张三", ["张三丰", "张三"], [(0, 3), (4, 6)]),  # the one that does not overlap
        ("张三丰", ["张三丰", "张三"], [(0, 3), (0, 2)]),
        ("质押。甲公司质押乙。", ["质押", "甲公司", "乙"], [(6, 8), (3, 6), (8, 9)]),
        ("甲", ["没有", "甲"], [None, (0, 1)]),
        ("甲", ["没有"], [None]),
        ("甲甲", ["甲", "甲"], [(0, 1), (1, 2)]),
        ("甲", ["甲", "甲"], [(0, 1), (0, 1)]),
    ],
)
def test_strings_that_belong_together(text, strings, found):
    assert locate(text, strings) == found


@given(words, st.lists(st.text(alphabet="ab1中", min_size=1, max_size=2), min_size=1, max_size=3))
def test_what_is_found_is_the_string_and_nothing_nearer_is_there(text, strings):
    for string, place in zip(strings, locate(text, strings), strict=True):
        assert (place is None) == (string not in text)
        assert place is None or text[slice(*place)] == string
