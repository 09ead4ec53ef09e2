"""The lexicon against a search by hand."""

import unicodedata
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from static_support import TOKENS
from support import NASTY, texts

from nlpkit.core.text.vocabulary import lookup_form
from nlpkit.tasks.embed.static.lexicon import Lexicon

LEXICON = Lexicon(TOKENS)


def by_hand(text, tokens):
    """The tokens in a text by length, then place."""
    known = set(tokens)
    characters = []
    for character in text:
        form = next((form for form in (lookup_form(character), character) if form in known), None)
        if form is None and unicodedata.category(character) in ("Cf", "Mn", "Me"):
            continue
        unknown = lookup_form(character)
        characters.append(form or ("letter" if unknown.isascii() and unknown.isalnum() else None))
    found = []
    for length in range(1, max(map(len, tokens)) + 1):
        for start in range(len(characters) - length + 1):
            piece = characters[start : start + length]
            if None in piece or "".join(piece) not in known:
                continue
            before, after = characters[start - 1 : start], characters[start + length : start + length + 1]
            if length > 1 and (goes_on(before + piece[:1]) or goes_on(piece[-1:] + after)):
                continue
            found.append("".join(piece))
    return found


def goes_on(pair):
    return len(pair) == 2 and all(character and character.isascii() and character.isalnum() for character in pair)


def found(lexicon, batch):
    """The tokens of each text as strings, from what `find` gives."""
    result = [[] for _ in batch]
    for ids, starts in lexicon.find(batch):
        for place, (start, end) in enumerate(pairwise([*starts, len(ids)])):
            result[place] += [lexicon.tokens[index] for index in ids[start:end]]
    return result


snippets = st.lists(
    st.sampled_from([*TOKENS, "ＡＰＰ", "Iphone", " ", "\u200b", "é", "\n", "未", "a\u0301"]), max_size=12
)


@given(st.lists(st.one_of(texts, snippets.map("".join)), max_size=8))
def test_it_finds_what_a_search_by_hand_finds(batch):
    batch = [text.replace("\n", " ") for text in batch]
    assert found(LEXICON, batch) == [by_hand(text, TOKENS) for text in batch]


@pytest.mark.parametrize("text", NASTY)
def test_nasty_texts(text):
    assert found(LEXICON, ["今天", text, "今天"]) == [by_hand(t, TOKENS) for t in ("今天", text, "今天")]


def test_the_example_of_the_docstring():
    (first, first_starts), (second, second_starts), *rest = Lexicon(["今", "天", "气", "今天", "天气"]).find(
        ["今天天气", "天"]
    )
    assert (first.tolist(), first_starts.tolist()) == ([0, 1, 1, 2, 1], [0, 4])
    assert (second.tolist(), second_starts.tolist()) == ([3, 4], [0, 2])
    assert not any(len(ids) for ids, _ in rest)


def test_words_overlap_and_nest():
    assert found(LEXICON, ["花呗还款"]) == [["花", "呗", "还", "款", "花呗", "还款", "花呗还款"]]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("app", ["app"]),
        ("用APP吧", ["app"]),
        ("happy", []),
        ("apps", []),
        ("app2", []),
        ("ａｐｐ", ["app"]),
        ("app下载", ["app", "app下载"]),
    ],
)
def test_an_ascii_word_is_found_as_a_whole_only(text, words):
    assert [token for token in found(LEXICON, [text])[0] if len(token) > 1] == words


def test_a_large_lexicon():
    """Enough of them that places in the hash table are taken twice."""
    chance = np.random.default_rng(0)
    characters = [chr(0x4E00 + number) for number in range(500)]
    words = dict.fromkeys("".join(chance.choice(characters, chance.integers(2, 6))) for _ in range(5000))
    tokens = [*characters, *words]
    batch = ["".join(chance.choice(list(words), 6)) + "".join(chance.choice(characters, 10)) for _ in range(100)]
    assert found(Lexicon(tokens), batch) == [by_hand(text, tokens) for text in batch]


@pytest.mark.parametrize(
    ("tokens", "words"),
    [(["a", "b", "a"], "twice"), (["a", "ab", "b"], "before the words"), (["a", "ax"], "'ax' has a character")],
)
def test_what_is_no_lexicon(tokens, words):
    with pytest.raises(ValueError, match=words):
        Lexicon(tokens)


def test_nothing_to_find_and_nowhere_to_look():
    assert found(LEXICON, ["", "未", ""]) == [[], [], []]
    assert found(LEXICON, []) == []
    assert found(Lexicon(["天"]), ["天天"]) == [["天", "天"]]
