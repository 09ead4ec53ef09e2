"""A document is a text with its tokens, cut into windows that fit the model."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import texts

from nlpkit.core.text.document import Document
from nlpkit.core.text.tokenizer import SPECIALS, CharTokenizer
from nlpkit.core.text.windows import Window, split

TOKENIZER = CharTokenizer(SPECIALS)


@given(texts, st.integers(3, 40))
def test_windows_leave_room_for_cls_and_sep(text, max_length):
    document = Document.of(text, TOKENIZER, max_length)
    assert document.text == text
    assert document.encoding == TOKENIZER.encode(text)
    assert document.windows == split(text, document.encoding, max_length - 2)
    assert max(map(len, document.windows)) + 2 <= max_length
    assert document.windows[-1].end == len(document.encoding)


def test_a_text_that_fits_is_one_window():
    assert Document.of("中" * 14, TOKENIZER, 16).windows == [Window(0, 14)]
    assert len(Document.of("中" * 15, TOKENIZER, 16).windows) == 2


def test_a_sequence_has_room_for_a_token():
    with pytest.raises(ValueError, match="windows of 0 tokens cannot cover a text"):
        Document.of("中", TOKENIZER, 2)
