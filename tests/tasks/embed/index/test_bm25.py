"""BM25 against a slow one in pure Python, with and without terms that are only looked up; files that are damaged."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support import texts

from nlpkit.core.io.artefacts import Reader
from nlpkit.errors import ModelError
from nlpkit.tasks.embed.index.bm25 import Bm25
from nlpkit.tasks.embed.index.manifest import K1, B
from nlpkit.tasks.embed.index.postings import COUNTS, LENGTHS, ROWS, STARTS, TERMS, write_bm25
from nlpkit.tasks.embed.index.terms import ANALYZER, terms


def opened(folder):
    sizes = {name: len(np.load(folder / name)) for name in (TERMS, ROWS, LENGTHS)}
    described = {"analyzer": ANALYZER, "k1": K1, "b": B, "terms": sizes[TERMS], "postings": sizes[ROWS]}
    return Bm25(Reader(folder, ModelError, "build the index again"), described, sizes[LENGTHS])


def built(folder, lines):
    write_bm25(folder, lines, len(lines))
    return opened(folder)


def by_hand(lines, query):
    """Return the score of each text."""
    counts = [Counter(terms(line)) for line in lines]
    mean = max(1, sum(count.total() for count in counts) / len(lines))
    scores = [0.0] * len(lines)
    for term in terms(query):
        df = sum(term in count for count in counts)
        idf = math.log(1 + (len(lines) - df + 0.5) / (df + 0.5))
        for row, count in enumerate(counts):
            frequency = min(count[term], 255)
            scores[row] += idf * frequency / (frequency + K1 * (1 - B + B * count.total() / mean))
    return scores


def check(bm25, lines, query, k, min_fraction=0.0):
    expected = by_hand(lines, query)
    hits = bm25.search(query, k, min_fraction)
    best = max(expected)
    few = sorted((row for row, score in enumerate(expected) if score), key=lambda row: (-expected[row], row))[:k]
    few = [row for row in few if expected[row] >= min_fraction * best]
    assert len(hits) == len(few)
    np.testing.assert_allclose([hit.score for hit in hits], [expected[row] for row in few], rtol=1e-4)
    np.testing.assert_allclose([hit.score for hit in hits], [expected[hit.row] for hit in hits], rtol=1e-4)
    order = [(-hit.score, hit.row) for hit in hits]
    assert order == sorted(order)
    rows = [hit.row for hit in hits]
    assert bm25.scores(query, rows).tolist() == [hit.score for hit in hits]


@settings(max_examples=60)
@given(lines=st.lists(texts, min_size=1, max_size=10), query=texts, k=st.integers(1, 12))
def test_scores_are_those_of_the_formula(tmp_path_factory, lines, query, k):
    check(built(tmp_path_factory.mktemp("bm25"), lines), lines, query, k)


@pytest.fixture(scope="module")
def lines():
    """Texts with frequent and rare words: the frequent ones are only looked up."""
    chance = np.random.default_rng(0)
    words = np.array([f"w{number}" for number in range(2000)])
    weights = 1 / np.arange(1, 2001)
    return [" ".join(chance.choice(words, 12, p=weights / weights.sum())) for _ in range(3000)]


@pytest.fixture(scope="module")
def bm25(tmp_path_factory, lines):
    return built(tmp_path_factory.mktemp("bm25"), lines)


@pytest.mark.parametrize("k", [1, 10, 3000])
@pytest.mark.parametrize("min_fraction", [0.0, 0.5])
@pytest.mark.parametrize(
    "query", ["w0", "w1999", "w0 w1 w2 w900", "w0 w0 w1 w1500 w700 w900", "w3 w3 w40 w41", "unknown", ""]
)
def test_frequent_terms_that_are_looked_up_give_the_same(bm25, lines, query, k, min_fraction):
    check(bm25, lines, query, k, min_fraction)


def test_frequent_terms_are_looked_up(bm25, monkeypatch):
    """Their postings are not read as a whole."""
    read = []
    usual = Bm25._postings

    def postings(self, term):
        read.append(term.end - term.start)
        return usual(self, term)

    monkeypatch.setattr(Bm25, "_postings", postings)
    (hit, *_) = bm25.search("w0 w1 w1500 w1600 w1700", 1)
    assert hit.score > 0
    assert read
    assert max(read) < 100


def test_equal_texts_come_in_their_order(tmp_path):
    found = built(tmp_path, ["天气", "今天天气", "天气", "花呗", "天气"])
    assert [hit.row for hit in found.search("天气", 10)] == [0, 2, 4, 1]
    assert [hit.row for hit in found.search("天气", 2)] == [0, 2]


def test_a_rare_name_is_found_among_many(tmp_path):
    many = [f"第{number}条新闻：今天天气不错，记者王小明报道" for number in range(500)]
    found = built(tmp_path, [*many, "叶老桂在浙商银行", "订单号 20231107-X9"])
    assert found.search("记者叶老桂今天的天气", 1)[0].row == 500
    assert found.search("20231107", 1)[0].row == 501
    assert found.search("ｘ９", 1)[0].row == 501


def save(name, values):
    return lambda folder: np.save(folder / name, values(np.load(folder / name)))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda folder: (folder / ROWS).unlink(), f"{ROWS}: no such file"),
        (lambda folder: (folder / TERMS).write_bytes(b"x"), f"{TERMS}: not a .npy file"),
        (save(LENGTHS, lambda values: values[1:]), rf"{LENGTHS}: holds <u4 \[3\], not <u4 \[4\]"),
        (save(COUNTS, lambda values: values.astype("<f4")), f"{COUNTS}: holds <f4"),
        (save(STARTS, lambda values: values[:-1]), f"{STARTS}: holds"),
    ],
)
def test_a_file_that_does_not_fit_is_refused(tmp_path, damage, words):
    described = built(tmp_path, ["今天天气", "花呗还款", "天气", "今天"])
    settings = {"terms": len(described._terms), "postings": len(described._rows), "k1": K1, "b": B, "analyzer": 1}
    damage(tmp_path)
    with pytest.raises(ModelError, match=words):
        Bm25(Reader(tmp_path, ModelError, "build the index again"), settings, 4)


@pytest.mark.parametrize(
    ("damage", "words", "fails"),
    [
        (save(ROWS, lambda values: values + 4), f"{ROWS}: leads to rows that are not there", True),
        (save(STARTS, lambda values: values[::-1]), f"{STARTS}: broken at term", True),
        (save(STARTS, lambda values: values + 2**60), f"{STARTS}: broken at term", True),
        (save(TERMS, lambda values: values[::-1]), f"{TERMS}: is not in ascending order", False),
        (save(ROWS, lambda values: values * 0), f"{ROWS}: is not in ascending order", False),
        (save(COUNTS, lambda values: values * 0), f"{COUNTS}: has a count of 0", False),
    ],
)
def test_broken_postings_are_one_error(tmp_path, damage, words, fails):
    """Those that cannot be read in a query, the others by `verify`."""
    built(tmp_path, ["今天天气", "花呗还款", "天气", "今天"]).verify()
    damage(tmp_path)
    broken = opened(tmp_path)
    if fails:
        with pytest.raises(ModelError, match=words):
            broken.search("今天天气花呗", 3)
    with pytest.raises(ModelError, match=rf"{tmp_path.name}/bm25-.*; build the index again"):
        broken.verify()
