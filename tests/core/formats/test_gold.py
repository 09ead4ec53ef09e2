"""What all readers of gold share: bad records, checks of spans, and places for strings without offsets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpkit.core.formats.gold import check_span, closest_pairs, locate, occurrences, parsed, shaped_like
from nlpkit.core.io.records import ErrorPolicy, Line
from nlpkit.errors import DataError

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


@pytest.mark.parametrize(
    ("text", "strings", "found"),
    [
        ("王芳和李娜。王芳的丈夫是张强。", ("王芳", "张强"), [((6, 8), (12, 14)), ((0, 2), (12, 14))]),
        ("甲乙甲", ("甲", "乙"), [((0, 1), (1, 2)), ((2, 3), (1, 2))]),
        ("张三丰和张三", ("张三丰", "张三"), [((0, 3), (4, 6))]),
        ("张三丰", ("张三丰", "张三"), [((0, 3), (0, 2))]),
        ("甲", ("没有", "甲"), []),
        ("甲", ("甲", ""), []),
    ],
)
def test_pairs_of_occurrences_the_closest_first(text, strings, found):
    assert closest_pairs(text, *strings, limit=9) == found
    assert closest_pairs(text, *strings, limit=1) == found[:1]


@given(words, *[st.text(alphabet="ab1中", min_size=1, max_size=2)] * 2)
def test_the_closest_pair_is_that_of_strings_that_belong_together(text, first, second):
    pairs, located = closest_pairs(text, first, second, limit=99), locate(text, [first, second])
    assert pairs[0] == tuple(located) if pairs else None in located
    for limit in (1, 2, 3):
        assert closest_pairs(text, first, second, limit) == pairs[:limit]


def test_thousands_of_occurrences_have_few_pairs():
    found = closest_pairs("甲乙" * 20000, "甲", "乙", 3)
    assert found == [((0, 1), (1, 2)), ((2, 3), (1, 2)), ((2, 3), (3, 4))]


LINE = Line("", "gold", 7)


def test_bad_items_are_skipped_or_end_the_reading():
    def parse(number):
        if number % 2:
            raise Line("", "gold", number).error("odd")
        return number * 10

    skipped = []
    errors = ErrorPolicy("skip", skipped.append)
    assert list(parsed(range(5), parse, errors)) == [0, 20, 40]
    assert [str(error) for error in skipped] == ["gold:1: odd", "gold:3: odd"]
    items = parsed(range(5), parse, ErrorPolicy())
    assert next(items) == 0
    with pytest.raises(DataError, match="gold:1: odd"):
        next(items)


@pytest.mark.parametrize(
    "access",
    [lambda: {}["a"], lambda: [][0], lambda: object()["a"], lambda: LINE.label, lambda: int("x")],
)
def test_errors_of_access_become_one_that_shows_the_shape(access):
    with pytest.raises(DataError, match=r'^gold:7: not a record like {"a": 1}$'), shaped_like(LINE, '{"a": 1}'):
        access()


def test_other_errors_pass_through():
    with pytest.raises(DataError, match="gold:7: own"), shaped_like(LINE, "{}"):
        raise LINE.error("own")
    with pytest.raises(ZeroDivisionError), shaped_like(LINE, "{}"):
        1 / 0  # noqa: B018


@pytest.mark.parametrize(
    ("span", "message"),
    [
        ((True, 2), "offsets must be whole numbers, these are True and 2"),
        ((0, 2.0), "offsets must be whole numbers, these are 0 and 2.0"),
        (("0", None), "offsets must be whole numbers, these are '0' and None"),
        ((-1, 2), "offsets -1:2 are outside the text of 3 characters"),
        ((0, 4), "offsets 0:4 are outside the text of 3 characters"),
        ((1, 1), "offsets 1:1 hold no character (the end is exclusive)"),
        ((2, 1), "offsets 2:1 hold no character (the end is exclusive)"),
        ((0, 2, "乙丙"), "the text at 0:2 is '甲乙', but the annotation says '乙丙'"),
        ((0, 2, 5), "the text at 0:2 is '甲乙', but the annotation says 5"),
    ],
)
def test_a_span_that_does_not_fit_is_an_error(span, message):
    with pytest.raises(DataError) as caught:
        check_span(LINE, "甲乙丙", *span)
    assert str(caught.value) == f"gold:7: {message}"


def test_spans_that_fit():
    check_span(LINE, "甲乙丙", 0, 3)
    check_span(LINE, "甲乙丙", 2, 3, "丙")
