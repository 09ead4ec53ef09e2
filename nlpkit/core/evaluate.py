"""Evaluation of any task: predictions on gold texts, metrics, speed, and the search for the best threshold."""

import time
from collections.abc import Sequence
from typing import Any

from nlpkit.core.model import Model
from nlpkit.core.stream import WINDOW

THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(2, 19))  # 0.10 … 0.90


def predict_all(model: Model[Any], examples: Sequence[Any], threshold: float | None = None) -> list[Any]:
    """The model's answers to the texts of gold examples."""
    answers: list[Any] = []
    for start in range(0, len(examples), WINDOW):
        texts = [example.text for example in examples[start : start + WINDOW]]
        answers += [prediction.answer for prediction in model.predict(texts, threshold)]
    return answers


def evaluate(model: Model[Any], examples: Sequence[Any], threshold: float | None = None) -> dict[str, Any]:
    """The task's metrics, and with them texts, gold items off the unit boundaries, seconds and texts per second."""
    start = time.perf_counter()
    answers = predict_all(model, examples, threshold)
    seconds = time.perf_counter() - start
    misaligned = sum(model.task.misaligned(example, model.prepare(example.text)) for example in examples)
    return {
        **model.task.score(zip(examples, answers, strict=True)),
        "texts": len(examples),
        "misaligned": misaligned,
        "seconds": round(seconds, 3),
        "texts_per_second": round(len(examples) / seconds, 1) if seconds else None,
    }


def best_threshold(model: Model[Any], examples: Sequence[Any]) -> tuple[float, float]:
    """The one of `THRESHOLDS` with the best metric on the examples, and that metric; ties go to the nearest 0.5."""
    task = model.task
    answers = predict_all(model, examples, min(THRESHOLDS))

    def metric(threshold: float) -> float:
        pairs = zip(examples, (task.keep(answer, threshold) for answer in answers), strict=True)
        return float(task.score(pairs)[task.metric])

    best = max(THRESHOLDS, key=lambda threshold: (metric(threshold), -abs(threshold - 0.5)))
    return best, metric(best)
