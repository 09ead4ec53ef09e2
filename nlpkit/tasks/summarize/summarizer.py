"""Extraction of the most important units of a text, without a model or with a trained one.

Without a model a unit is important if its character bigrams come again elsewhere in the text (`centrality`). Units that
repeat a chosen one are penalized (maximal marginal relevance, Carbonell and Goldstein 1998).
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from nlpkit.core.model.predictor import Prediction
from nlpkit.core.text.normalization import normalize
from nlpkit.tasks.summarize.units import is_delimiter, units, without_comma

POSITION = 0.4  # weight of 1 / rank
REDUNDANCY = 0.5  # weight of the similarity with a chosen unit
_SHORT = 8  # characters; shorter units are scored as if they had these

Spans = Sequence[tuple[int, int]]
Scorer = Callable[[Sequence[str], Sequence[Spans]], list[list[float]]]
"""Returns the score of each unit of each text, in [0, 1]; units with 0 are chosen only if there are no others."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """A chosen unit: its span of characters [start, end), and its score in [0, 1]."""

    start: int
    end: int
    score: float


class Summarizer:
    """Summarizes texts; a `core.model.predictor.Annotator`.

    Args:
        length: maximum number of characters of a summary.
        max_units: maximum number of its sentences or clauses; None for no limit but the length.
        scorer: scores the units of texts; by their centrality when None.
    """

    output_fields: ClassVar[tuple[str, ...]] = ("summary", "sentences")

    def __init__(self, length: int, max_units: int | None = None, scorer: Scorer | None = None):
        self.length, self.max_units, self.scorer = length, max_units, scorer or by_centrality

    def predictions(self, texts: Sequence[Any]) -> list[Prediction[list[Sentence]]]:
        """Return the chosen units of texts, in the order of the text."""
        return [Prediction(found) for found in self.summarize(texts)]

    def to_fields(self, text: str, answer: list[Sentence]) -> dict[str, Any]:
        """Return the summary and the units as JSON fields."""
        sentences = [{"start": s.start, "end": s.end, "score": round(s.score, 4)} for s in answer]
        return {"summary": joined(text, answer), "sentences": sentences}

    def summarize(self, texts: Sequence[str]) -> list[list[Sentence]]:
        """Return the chosen units of each text, in its order; none of a text without words.

        If all units are too long, the first characters of the best one are returned.
        """
        spans = [units(text, self.length) for text in texts]
        scores = self.scorer(texts, spans)
        return [self._chosen(*parts) for parts in zip(texts, spans, scores, strict=True)]

    def _chosen(self, text: str, spans: Spans, scores: Sequence[float]) -> list[Sentence]:
        grams = [bigrams(text[start:end]) for start, end in spans]
        candidates = [index for index, score in enumerate(scores) if score > 0] or list(range(len(spans)))
        chosen: list[int] = []
        similarity = [0.0] * len(spans)
        left = self.length
        while self.max_units is None or len(chosen) < self.max_units:
            fitting = [
                i
                for i in candidates
                if i not in chosen
                and (size := spans[i][1] - spans[i][0]) <= left
                and (size + len(chosen) <= left or self._fits(text, [spans[j] for j in sorted([*chosen, i])]))
            ]
            if not fitting:
                break
            best = max(fitting, key=lambda i: scores[i] - REDUNDANCY * similarity[i])
            chosen.append(best)
            left -= spans[best][1] - spans[best][0]
            similarity = [max(s, _similarity(grams[i], grams[best])) for i, s in enumerate(similarity)]
        if not chosen and spans:
            best = max(range(len(spans)), key=scores.__getitem__)
            start, end = spans[best]
            return [Sentence(start, min(end, start + self.length), scores[best])]
        found = [Sentence(*spans[index], scores[index]) for index in sorted(chosen)]
        if found:
            last = found[-1]
            found[-1] = Sentence(last.start, without_comma(text, last.start, last.end), last.score)
        return found

    def _fits(self, text: str, spans: Spans) -> bool:
        """Return whether units fit a summary with the spaces that `joined` puts between them."""
        return len(joined(text, [Sentence(start, end, 0.0) for start, end in spans])) <= self.length


def by_centrality(texts: Sequence[str], spans: Sequence[Spans]) -> list[list[float]]:
    """Return the centrality of the units of each text."""
    return [centrality(text, found) for text, found in zip(texts, spans, strict=True)]


def centrality(text: str, spans: Spans) -> list[float]:
    """Return the score of each unit of a text, in [0, 1].

    It is the sum of the further occurrences of its character bigrams in the text, over √max(8, length), scaled to 1,
    plus 0.4 / rank of the unit, as texts begin with what is important; scaled to 1 again. A unit without a bigram that
    comes again gets 0, unless no unit has one.

    Args:
        text: the text.
        spans: of its units.
    """
    counts = Counter(_pairs(text))
    sums = [
        sum(counts[gram] - 1 for gram in bigrams(text[start:end])) / math.sqrt(max(_SHORT, end - start))
        for start, end in spans
    ]
    top = max(sums, default=0.0)
    return [
        0.0 if top and not value else (value / (top or 1.0) + POSITION / rank) / (1 + POSITION)
        for rank, value in enumerate(sums, 1)
    ]


def joined(text: str, sentences: Sequence[Sentence]) -> str:
    """Return units as one text, with a space between two that are not Chinese."""
    parts: list[str] = []
    for sentence in sentences:
        part = text[sentence.start : sentence.end]
        if parts and parts[-1][-1:].isascii() and part[:1].isascii():
            parts.append(" ")
        parts.append(part)
    return "".join(parts)


def bigrams(text: str) -> set[str]:
    """Return the pairs of neighbouring characters of a text, without delimiters, in normal form."""
    return set(_pairs(text))


def _pairs(text: str) -> list[str]:
    normal = normalize(text)
    kept = [not is_delimiter(character) for character in normal]
    return [normal[i : i + 2] for i in range(len(normal) - 1) if kept[i] and kept[i + 1]]


def _similarity(one: set[str], other: set[str]) -> float:
    """Return the cosine of two sets."""
    return len(one & other) / math.sqrt(len(one) * len(other)) if one and other else 0.0
