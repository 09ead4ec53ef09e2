"""Offsets in other units against the encodings that count them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpkit.core.formats.offsets import boundaries, recount, same, span


@given(st.text(st.sampled_from("中a\r\n😀𠮷e\u0301 👨\u200d👩"), max_size=12))
def test_boundaries_are_those_of_other_encodings(text):
    utf16 = boundaries(text, "utf16")
    assert len(utf16) == len(text.encode("utf-16-le")) // 2 + 1
    for start in range(len(utf16)):
        for end in range(start + 1, len(utf16)):
            place = span(utf16, start, end)
            if place is not None:
                units = text.encode("utf-16-le")[2 * start : 2 * end]
                assert text[place[0] : place[1]] == units.decode("utf-16-le")
    assert len(boundaries(text, "crlf")) == len(text.replace("\r\n", "\n")) + 1
    assert len(boundaries(text, "collapsed")) == len(" ".join(f"|{text}|".split())) - 2 + 1 or text != text.strip()
    assert boundaries(text, "codepoint") == list(range(len(text) + 1))


@given(st.text(st.sampled_from("中a\r\n😀𠮷"), max_size=8))
def test_spans_of_a_page_are_those_of_the_text_with_short_line_ends(text):
    shown = text.replace("\r\n", "\n")
    for unit, size, encoding in (("crlf", 4, "utf-32-le"), ("crlf-utf16", 2, "utf-16-le")):
        content, bounds = shown.encode(encoding), boundaries(text, unit)
        assert len(bounds) == len(content) // size + 1
        for start in range(len(bounds)):
            for end in range(start + 1, len(bounds)):
                place, piece = span(bounds, start, end), content[size * start : size * end]
                whole = piece.decode(encoding, "replace").encode(encoding) == piece
                assert (place is not None) == whole
                assert place is None or text[place[0] : place[1]].replace("\r\n", "\n") == piece.decode(encoding)


def test_what_does_not_fit_or_fits_twice_is_not_guessed():
    assert recount("𠮷甲乙", [(2, 3, "甲")], ("codepoint", "utf16")) == ("utf16", [(1, 2)])
    assert recount("𠮷甲乙", [(1, 2, "甲")], ("codepoint", "utf16")) == ("codepoint", [(1, 2)])
    assert recount("𠮷甲乙", [(1, 2, "丙")], ("codepoint", "utf16")) is None
    assert recount("𠮷\r\n甲甲甲", [(5, 6, "乙")], ("codepoint", "utf16", "crlf")) is None
    assert recount("𠮷\r\n乙甲甲", [(4, 5, "乙"), (5, 6, "甲")], ("codepoint", "utf16")) == ("utf16", [(3, 4), (4, 5)])


@pytest.mark.parametrize(
    ("start", "end", "place"),
    [
        (0, 2, (0, 1)),
        (2, 3, (1, 2)),
        (1, 2, None),  # begins inside the character
        (0, 1, None),  # ends inside it
        (0, 4, None),
        (-1, 2, None),
        (2, 2, None),
        (True, 2, None),
        (0, 2.0, None),
        ("0", 2, None),
        (None, 2, None),
    ],
)
def test_a_span_in_another_unit(start, end, place):
    assert span(boundaries("𠮷甲", "utf16"), start, end) == place


@pytest.mark.parametrize(
    ("one", "other", "equal"),
    [
        ("李 娜", "李\t\n 娜", True),
        (" 李娜", "李娜\n", True),
        ("李\n娜", "李\\n娜", True),
        ("李娜", "李 娜", False),
        ("李娜", "李那", False),
        ("", " ", True),
    ],
)
def test_only_white_space_may_differ(one, other, equal):
    assert same(one, other) is same(other, one) is equal
