"""Text that is safe to print: no control character, no lone surrogate, one line."""

import os
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpkit.core.io.printable import CONTROLS, encodable, one_line

any_text = st.text(st.characters() | st.characters(categories=["Cs", "Cc"]))


@given(any_text)
def test_one_line_is_one_encodable_line(text):
    line = one_line(text)
    line.encode()
    assert len(line.splitlines()) <= 1
    assert not any(unicodedata.category(char) == "Cc" for char in line)
    assert one_line(line) == line


@given(st.text(st.characters(categories=["L", "N", "P", "S"])))
def test_what_is_safe_stays(text):
    assert one_line(text) == encodable(text) == text


@given(any_text)
def test_only_surrogates_are_escaped(text):
    found = encodable(text)
    found.encode()
    assert found == "".join(encodable(char) if unicodedata.category(char) == "Cs" else char for char in text)


def test_a_file_name_that_is_not_utf_8_shows_its_bytes():
    assert encodable(os.fsdecode(b"\xb2\xe2.txt")) == r"\xb2\xe2.txt"
    assert encodable("\ud800x") == r"\ud800x"
    assert encodable("\udc7f\udc80\udcff\udd00") == r"\udc7f\x80\xff\udd00"  # bytes are \udc80 to \udcff


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\nb\r\n", "a␊b␍␊"),
        ("\x1b[31m红\x00\x7f", "␛[31m红␀␡"),
        ("a\tb", "a␉b"),
        ("\x1f\x80\x9f\xa0", "␟\ufffd\ufffd\xa0"),
        ("\x9b31m\x85", r"�31m\u0085"),
        ("a\u2028b\u2029", r"a\u2028b\u2029"),
        ("a\u202eb\u2066", r"a\u202eb\u2066"),
        ("\udcb2", r"\xb2"),
    ],
)
def test_characters_that_a_terminal_interprets(text, line):
    assert one_line(text) == line


def test_line_feed_and_tab_stay_in_a_text_of_several_lines():
    assert "a\n\tb\x1b".translate(CONTROLS) == "a\n\tb␛"


def test_the_middle_of_a_long_text_is_left_out():
    assert one_line("一" * 20 + "二" * 20, limit=12) == "一" * 8 + " … " + "二" * 4
    assert one_line("一" * 12, limit=12) == "一" * 12
