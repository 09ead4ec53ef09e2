"""Poolings and whitenings are compared on scored pairs; every sentence is encoded once per pooling."""

import re
from itertools import combinations

import numpy as np
import pytest
from support import NASTY, SENTENCE

from nlpkit.core.io.records import Line
from nlpkit.errors import DataError, ModelError, UsageError
from nlpkit.tasks.embed.data import Pair
from nlpkit.tasks.embed.encoder.linear_map import Moments, Whitening
from nlpkit.tasks.embed.evaluation import compare
from nlpkit.tasks.embed.loading import load
from nlpkit.tasks.embed.metric import spearman

SENTENCES = [SENTENCE[start : start + 9] for start in range(12)]


def pairs(texts, source, scores=lambda place: place % 5):
    chosen = list(combinations(texts, 2))
    return [
        Pair(first, second, float(scores(place)), Line("", source, place))
        for place, (first, second) in enumerate(chosen)
    ]


PAIRS = [*pairs([*SENTENCES[:9], "叶😀"], "a.tsv"), *pairs([*SENTENCES[6:], NASTY[0]], "b.tsv")]


def run(folder, poolings=("mean",), whitens=("none",), pairs=PAIRS, **more):
    notes = []
    results = list(compare(folder, "cpu", "fp32", pairs, poolings, whitens, note=notes.append, **more))
    return results, notes


def slow(embedder):
    """Spearman × 100 of each file, one pair at a time."""
    found = {}
    for source in ("a.tsv", "b.tsv"):
        own = [pair for pair in PAIRS if pair.line.source == source]
        vectors = [embedder.encode([pair.first, pair.second]) for pair in own]
        found[source] = 100 * spearman([pair.score for pair in own], [float(a @ b) for a, b in vectors])
    return found


@pytest.mark.parametrize("options", [{}, {"dim": 5}, {"prompt": "浙商："}])
def test_it_is_the_correlation_of_the_cosines(folder, options):
    (found,), notes = run(folder, ["cls"], **options)
    expected = slow(load(folder, "cpu", "fp32", "cls", **options))
    assert found["files"] == pytest.approx(expected, abs=0.5)  # near ties may fall to either side
    assert found["mean"] == pytest.approx(np.mean(list(found["files"].values())))
    assert notes == []
    assert (found["model"], found["pooling"], found["whitening"]) == (folder, "cls", "none")
    assert (found["dim"], found["pairs"]) == (options.get("dim", 64), len(PAIRS))
    assert found["sentences"] == len({text for pair in PAIRS for text in (pair.first, pair.second)}) == 14


def test_every_combination_in_order(folder):
    found, _ = run(folder, ["mean", "cls"], ["none", "self"])
    assert [(row["pooling"], row["whitening"]) for row in found] == [
        ("mean", "none"), ("mean", "self"), ("cls", "none"), ("cls", "self")
    ]  # fmt: skip
    for row in found:
        (alone,), _ = run(folder, [row["pooling"]], [row["whitening"]])
        assert alone["files"] == row["files"]


def test_self_is_a_whitening_of_the_sentences_of_each_file(folder):
    (found,), notes = run(folder, whitens=["self"], dim=3)  # with all dimensions, few texts are equally far apart
    embedder = load(folder, "cpu", "fp32")
    for source, value in found["files"].items():
        own = [pair for pair in PAIRS if pair.line.source == source]
        texts = list(dict.fromkeys(text for pair in own for text in (pair.first, pair.second)))
        moments = Moments(64)
        moments.add(embedder.raw([text for text in texts if text]).vectors)  # without the blank one
        whitened = embedder.with_postprocessing(Whitening(embedder.raw_provenance, moments), 3)
        cosines = [float(a @ b) for a, b in (whitened.encode([pair.first, pair.second]) for pair in own)]
        assert value == pytest.approx(100 * spearman([pair.score for pair in own], cosines), abs=0.5)
    assert [note.split(",")[0] for note in notes] == ["warning: --pooling mean --whiten self"] * 2
    assert "a.tsv: only 10 texts for 64 dimensions" in notes[0]


@pytest.fixture(scope="module")
def whitening(folder, tmp_path_factory):
    """A whitening of the mean, in a file."""
    path = tmp_path_factory.mktemp("whitening") / "w"
    embedder = load(folder, "cpu", "fp32")
    moments = Moments(64)
    moments.add(embedder.raw([SENTENCE[a : a + b] for a in range(12) for b in range(1, 9)]).vectors)
    Whitening(embedder.raw_provenance, moments).save(path)
    return str(path)


def test_a_whitening_of_another_pooling_is_left_out_with_a_note(folder, whitening):
    found, notes = run(folder, ["mean", "cls"], ["none", whitening], dim=8)
    assert [(row["pooling"], row["whitening"], row["dim"]) for row in found] == [
        ("mean", "none", 8), ("mean", whitening, 8), ("cls", "none", 8)
    ]  # fmt: skip
    (note,) = notes
    assert note.startswith(f"--pooling cls with --whiten {whitening} left out: this whitening was fitted for another")


def test_one_that_fits_no_pooling_is_an_error(folder, whitening):
    with pytest.raises(ModelError, match=r"fitted for another pooling \(mean, not cls\)"):
        run(folder, ["cls"], ["none", whitening])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"whitens": ["stored"]}, ModelError, "no whitening.safetensors in it"),
        ({"poolings": ["max"]}, UsageError, "--pooling max: one of"),
        ({"dim": 65}, UsageError, "--dim 65"),
        ({"pairs": pairs(SENTENCES[:4], "same.tsv", lambda place: 3)}, DataError, "same.tsv: all 6 scores are 3"),
    ],
)
def test_what_cannot_be_compared(folder, options, error, message):
    with pytest.raises(error, match=re.escape(message)):
        run(folder, **options)


def test_the_sentences_are_encoded_once_per_pooling(folder, monkeypatch):
    from nlpkit.tasks.embed.encoder.encoder_embedder import EncoderEmbedder

    usual, calls = EncoderEmbedder.raw, []
    monkeypatch.setattr(EncoderEmbedder, "raw", lambda self, texts: calls.append(list(texts)) or usual(self, texts))
    run(folder, ["mean", "cls"], ["none", "self"])
    assert len(calls) == 2
    assert all(len(texts) == len(set(texts)) == 14 for texts in calls)
