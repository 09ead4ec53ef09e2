"""Scores of summaries against references, beside those of the beginning of the text."""

import time
from collections.abc import Sequence
from typing import Any

from nlpkit.tasks.summarize.data import Example
from nlpkit.tasks.summarize.rouge import rouge
from nlpkit.tasks.summarize.summarizer import Summarizer, joined
from nlpkit.tasks.summarize.units import units, without_comma


def evaluate(summarizer: Summarizer, examples: Sequence[Example]) -> dict[str, Any]:
    """Return the metrics of a summarizer, and of the floors: the first unit, and the first characters.

    Args:
        summarizer: with the length of its summaries.
        examples: with references.
    """
    start = time.perf_counter()
    texts = [example.text for example in examples]
    summaries = [joined(text, found) for text, found in zip(texts, summarizer.summarize(texts), strict=True)]
    seconds = time.perf_counter() - start
    references = [example.summary for example in examples]
    length = summarizer.length
    floors = {
        "first_unit": [_first_unit(example.text, length) for example in examples],
        "first_characters": [example.text[:length] for example in examples],
    }
    return {
        **_scores(summaries, references),
        "floors": {name: _scores(found, references) for name, found in floors.items()},
        "characters": sum(map(len, summaries)) / max(1, len(summaries)),
        "texts": len(examples),
        "texts_per_second": round(len(examples) / seconds, 1) if seconds else None,
    }


def _scores(summaries: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    return rouge(list(zip(summaries, references, strict=True)))


def _first_unit(text: str, length: int) -> str:
    found = units(text, length)
    return text[found[0][0] : without_comma(text, *found[0])][:length] if found else ""
