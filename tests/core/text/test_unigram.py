"""The Unigram tokenizer: segmentations against a slow search, offsets, normalization, and files."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpkit.core.model.contents import load_tokenizer
from nlpkit.core.text.tokenizer import SPECIALS, UnigramTokenizer, from_settings
from nlpkit.errors import ModelError

CHARACTERS = "今天气不错ab"
WORDS = ["今天", "天气", "天气不错", "不错", "今天天", "ab", "\u2581今天", "\u2581a", "气不"]


def vocabulary(seed=0):
    chance = random.Random(seed)
    pieces = ["\u2581", *CHARACTERS, *WORDS]
    return [*SPECIALS, *(f"{piece}\t{-chance.uniform(1, 9):.4f}" for piece in pieces)]


TOKENIZER = UnigramTokenizer(vocabulary())


def best(text, scores):
    """The most probable segmentation of a text, by all prefixes."""
    found = {0: (0.0, [])}
    for end in range(1, len(text) + 1):
        ways = [
            (found[begin][0] + scores[text[begin:end]], [*found[begin][1], text[begin:end]])
            for begin in range(end)
            if text[begin:end] in scores
        ]
        found[end] = max(ways)
    return found[len(text)][1]


@given(st.text(alphabet=CHARACTERS, min_size=1, max_size=14), st.integers(0, 5))
def test_the_pieces_are_the_most_probable_ones(text, seed):
    lines = vocabulary(seed)
    tokenizer = UnigramTokenizer(lines)
    scores = {piece: float(score) for piece, score in (line.split("\t") for line in lines[len(SPECIALS) :])}
    assert [tokenizer.tokens[number] for number in tokenizer.encode(text).ids] == best("\u2581" + text, scores)


@given(st.text(max_size=30))
def test_spans_are_inside_the_text_and_in_order(text):
    encoding = TOKENIZER.encode(text)
    assert len(encoding.ids) == len(encoding.starts) == len(encoding.ends)
    assert all(0 <= start <= end <= len(text) for start, end in zip(encoding.starts, encoding.ends, strict=True))
    assert encoding.starts == sorted(encoding.starts)


def test_white_space_width_and_invisible_characters():
    plain = TOKENIZER.encode("今天 天气")
    for text in ("今天   天气", "今天\u3000天气", "今\u200b天\t天气", "今天\n天气\x00"):
        assert TOKENIZER.encode(text).ids == plain.ids
    assert TOKENIZER.encode("ＡＢ").ids != TOKENIZER.encode("ab").ids
    lower = UnigramTokenizer(vocabulary(), lowercase=True)
    assert lower.encode("ＡＢ").ids == lower.encode("ab").ids
    assert UnigramTokenizer(vocabulary(), normalize=True).encode("氣").ids == TOKENIZER.encode("气").ids


def test_an_unknown_character_is_unk_with_its_span():
    encoding = TOKENIZER.encode("今天龘不错")
    at = encoding.ids.index(TOKENIZER.unk_id)
    assert (encoding.starts[at], encoding.ends[at]) == (2, 3)
    assert TOKENIZER.rare_ids == [TOKENIZER.unk_id]


@pytest.mark.parametrize("options", [{}, {"lowercase": True}, {"normalize": True}], ids=str)
def test_it_comes_back_from_its_folder(tmp_path, options):
    before = UnigramTokenizer(vocabulary(), **options)
    before.save(tmp_path)
    after = load_tokenizer(tmp_path, before.settings, before.vocab_size)
    assert isinstance(after, UnigramTokenizer)
    assert (after.lines, after.settings, after.fingerprint) == (before.lines, before.settings, before.fingerprint)
    assert from_settings(after.lines, after.settings).encode("今天").ids == before.encode("今天").ids


def test_probabilities_count_in_the_fingerprint():
    assert UnigramTokenizer(vocabulary(1)).fingerprint != TOKENIZER.fingerprint


def test_a_line_without_a_number_is_an_error():
    with pytest.raises(ModelError, match="line 6 of the vocabulary: 'x' is not a number"):
        UnigramTokenizer([*SPECIALS, "今\tx"])
