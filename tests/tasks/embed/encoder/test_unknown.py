"""Blank texts, and the directions of unknown characters against a slow reference."""

from hashlib import shake_128

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import texts

from nlpkit.tasks.embed.encoder.unknown import Unknown, blank_texts, cleared, is_blank, with_directions

DIM = 12


@pytest.mark.parametrize("text", ["", " ", "\t\n", "\u3000\u00a0", "\u200b\ufeff\u2060", "\u200d", " \u200c ", "\x00"])
def test_white_space_and_invisible_characters_are_blank(text):
    assert is_blank(text)


@pytest.mark.parametrize("text", ["中", ".", " a ", "😀", "\u0301", "\u200bx"])
def test_anything_that_can_be_seen_is_not(text):
    assert not is_blank(text)


@given(st.lists(texts, max_size=6), st.lists(texts, max_size=2))
def test_the_blank_ones_are_found_and_cleared(batch, more):
    batch += ["", *more, "\u3000"]
    vectors = np.ones((len(batch), 3), np.float32)
    blank = blank_texts(batch)
    found = cleared(vectors, blank)
    assert [index in blank for index in range(len(batch))] == [is_blank(text) for text in batch]
    assert found.any(axis=1).tolist() == [not is_blank(text) for text in batch]
    assert vectors.all()  # the given ones are not changed


def direction(character):
    """Signs from the bits of a hash, the highest bit of a byte first."""
    digest = shake_128(character.encode("utf-8", "surrogatepass")).digest(4)
    return [1.0 if digest[place // 8] >> (7 - place % 8) & 1 else -1.0 for place in range(DIM)]


def slow(vector, characters, fraction):
    """The vector plus `fraction` of its own length in the direction of the sum of the characters' directions."""
    total = [sum(values) for values in zip(*map(direction, characters), strict=True)]
    length = sum(value**2 for value in total) ** 0.5
    own = sum(float(value) ** 2 for value in vector) ** 0.5 or 1.0
    return [v + fraction * own * t / length if length else v for v, t in zip(vector.tolist(), total, strict=True)]


unknowns = st.builds(Unknown, st.lists(st.characters(), min_size=1, max_size=5).map(tuple), st.floats(0.01, 1))


@given(st.dictionaries(st.integers(0, 3), unknowns), st.integers(0, 99), st.sampled_from([1.0, 0.0, 40.0]))
def test_directions_are_added_in_proportion(unknown, seed, scale):
    vectors = (scale * np.random.default_rng(seed).standard_normal((4, DIM))).astype(np.float32)
    before = vectors.copy()
    found = with_directions(vectors, unknown)
    np.testing.assert_array_equal(vectors, before)
    for index in range(4):
        if index in unknown:
            np.testing.assert_allclose(found[index], slow(vectors[index], *unknown[index]), atol=1e-4)
        else:
            np.testing.assert_array_equal(found[index], vectors[index])


def test_the_first_dimensions_have_the_first_signs():
    """So that a truncated vector is the vector of the truncated model."""
    zeros, unknown = np.zeros((1, 100), np.float32), {0: Unknown(("😀",), 1.0)}
    whole, part = with_directions(zeros, unknown), with_directions(zeros[:, :9], unknown)
    np.testing.assert_array_equal(np.sign(whole[:, :9]), np.sign(part))
    assert np.linalg.norm(whole) == pytest.approx(np.linalg.norm(part)) == pytest.approx(1)


def test_characters_have_directions_of_their_own():
    characters = [chr(code) for code in range(0x1F600, 0x1F640)]
    unknown = {index: Unknown((character,), 1.0) for index, character in enumerate(characters)}
    vectors = with_directions(np.zeros((len(characters), 512), np.float32), unknown)
    cosines = vectors @ vectors.T - np.eye(len(characters))
    assert np.abs(cosines).max() < 0.25  # 5.5 standard deviations of a random sign vector
