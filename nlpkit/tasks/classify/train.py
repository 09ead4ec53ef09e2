"""Training of a classifier with either backbone, and of the floor that an encoder is compared with."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nlpkit.core.training import job
from nlpkit.core.training.settings import FitOptions, TrainSettings
from nlpkit.core.training.trainer import RunProgress
from nlpkit.tasks.classify.data import Example
from nlpkit.tasks.classify.floors import floors
from nlpkit.tasks.classify.loading import FLOOR
from nlpkit.tasks.classify.ngram import train as ngram
from nlpkit.tasks.classify.task import ClassifyTask, WholeTextPredictor

NGRAM = "ngram"


def fit(
    task: ClassifyTask,
    train: Sequence[Example],
    dev: Sequence[Example] | None,
    folder: Path,
    settings: TrainSettings,
    options: FitOptions,
    report: Callable[[RunProgress], None],
) -> dict[str, Any]:
    """Train a classifier, and return its dev metrics with those of the floors.

    Beside an encoder of single texts an n-gram classifier is trained, which takes seconds, and stored in the folder
    `floor`. The arguments and errors are those of `core.training.job.fit`.
    """
    floor = None
    if options.backbone == NGRAM:
        metrics = ngram.fit(task, train, dev, folder, settings, options, report)
    else:
        metrics = job.fit(task, train, dev, folder, settings, options, report)
    if options.backbone == NGRAM or task.settings.pairs:
        shutil.rmtree(folder / FLOOR, ignore_errors=True)
    else:
        floor = _train_floor(task, train, dev, folder / FLOOR, settings.seed, options.sources)
    if dev is None:
        return metrics
    return metrics | {"floors": floors(task, dev, floor)}


def _train_floor(
    task: ClassifyTask,
    train: Sequence[Example],
    dev: Sequence[Example] | None,
    folder: Path,
    seed: int,
    sources: dict[str, list[str]] | None,
) -> WholeTextPredictor:
    plain = ClassifyTask(replace(task.settings, r_drop=0.0, mlm=0.0, ids=False))
    options = FitOptions(backbone=NGRAM, threshold=None, store="int8", sources=sources)
    return ngram.train_and_write(plain, train, dev, folder, TrainSettings(seed=seed), options)[0]
