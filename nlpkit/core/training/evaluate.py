"""Evaluation of any task: answers to gold texts, metrics and speed."""

import time
from collections.abc import Callable, Sequence
from typing import Any

from nlpkit.core.io.stream import WINDOW
from nlpkit.core.model.model import Model

More = Callable[[list[tuple[Any, Any]]], dict[str, Any]]  # further figures of (gold, answer) pairs


def evaluate(model: Model[Any], examples: Sequence[Any], more: More | None = None) -> dict[str, Any]:
    """The task's metrics and notes, and with them the number of texts, seconds and texts per second."""
    start = time.perf_counter()
    answers: list[Any] = []
    for first in range(0, len(examples), WINDOW):
        answers += model.task.answers(model, examples[first : first + WINDOW])
    seconds = time.perf_counter() - start
    pairs = list(zip(examples, answers, strict=True))
    return {
        **model.task.score(pairs),
        **(more(pairs) if more else {}),
        "texts": len(examples),
        **model.task.notes(model, examples),
        "seconds": round(seconds, 3),
        "texts_per_second": round(len(examples) / seconds, 1) if seconds else None,
    }
