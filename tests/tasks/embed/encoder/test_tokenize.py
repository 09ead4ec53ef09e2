"""Token sequences that fit the model: windows, unknown and infrequent characters, prompts."""

import pytest
from hypothesis import given
from support import SENTENCE, texts, vocabulary

from nlpkit.core.text.tokenizer import SPECIALS, CharTokenizer, UnigramTokenizer
from nlpkit.core.text.windows import split
from nlpkit.tasks.embed.encoder.tokenize import FREQUENT_CHARACTERS, WindowTokenizer

TOKENIZER = CharTokenizer(vocabulary(SENTENCE))
WINDOWS = WindowTokenizer(TOKENIZER, 12)


@given(texts)
def test_a_text_has_the_windows_of_the_core_and_they_fit(text):
    sequences = WINDOWS(["叶", text, "桂"])
    assert all(len(ids) <= 12 for ids in sequences.ids)
    assert all((ids[0], ids[-1]) == (TOKENIZER.cls_id, TOKENIZER.sep_id) for ids in sequences.ids)
    assert len(sequences.text_indices) == len(sequences.ids)
    assert list(sequences.text_indices) == sorted(sequences.text_indices)
    encoding = TOKENIZER.encode(text)
    assert [ids[1:-1] for ids, index in zip(sequences.ids, sequences.text_indices, strict=True) if index == 1] == [
        encoding.ids[window.begin : window.end] for window in split(text, encoding, 10)
    ]
    assert not sequences.truncated


def test_a_text_that_fits_is_one_sequence():
    sequences = WINDOWS([SENTENCE[:10], ""])
    assert sequences.text_indices == [0, 1]
    assert sequences.ids == [
        [TOKENIZER.cls_id, *TOKENIZER.encode(SENTENCE[:10]).ids, TOKENIZER.sep_id],
        [TOKENIZER.cls_id, TOKENIZER.sep_id],
    ]
    assert WINDOWS([]).ids == []


def test_unknown_characters_are_named_with_their_fraction():
    sequences = WINDOWS([SENTENCE, "叶😀老桂👍", "😀", "叶 老"])
    assert sequences.unknown == {1: (("😀", "👍"), 0.4), 2: (("😀",), 1.0)}


def test_a_character_that_extends_another_is_no_token():
    """The variation selector of ❤️ is not counted, and the mark of an accent is not a character of its own."""
    assert WINDOWS(["❤\ufe0f叶"]).unknown == {0: (("❤",), 0.5)}


def characters(number):
    return [chr(0x4E00 + code) for code in range(number)]


def test_the_rare_end_of_a_vocabulary_by_frequency_is_unknown():
    tokens = [*SPECIALS, "[RARE0]", *characters(FREQUENT_CHARACTERS + 2)]
    windows = WindowTokenizer(CharTokenizer(tokens), 12)
    last, rare, missing = tokens[-3], tokens[-1], "㐀"
    assert windows([last + rare + missing]).unknown == {0: ((rare, missing), 2 / 3)}


def test_a_published_vocabulary_is_in_another_order():
    """Without [RARE…] tokens, only characters outside the vocabulary are unknown."""
    tokens = [*SPECIALS, *characters(FREQUENT_CHARACTERS + 2)]
    assert WindowTokenizer(CharTokenizer(tokens), 12)([tokens[-1] + "㐀"]).unknown == {0: (("㐀",), 0.5)}


@pytest.mark.parametrize("prompt", ["", "叶老桂：", "Query: "])
def test_the_prefix_of_a_prompt(prompt):
    """The tokens before those of the text are [CLS] and the prompt's."""
    text = "银行"
    (ids,) = WindowTokenizer(TOKENIZER, 64)([prompt + text]).ids
    assert ids[WINDOWS.prefix_length(prompt) : -1] == TOKENIZER.encode(text).ids
    assert (WINDOWS.pad_id, WINDOWS.matches_published) == (TOKENIZER.pad_id, False)


def test_unknown_characters_that_unigram_joins_are_all_there():
    tokenizer = UnigramTokenizer([*SPECIALS, "\u2581\t-1", "天\t-2", "地\t-2"])
    sequences = WindowTokenizer(tokenizer, 12)(["天龘靐地", "天地"])
    assert sequences.unknown[0].characters == ("龘", "靐")
    assert 0 < sequences.unknown[0].fraction < 1
    assert 1 not in sequences.unknown
