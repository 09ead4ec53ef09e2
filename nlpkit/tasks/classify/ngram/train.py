"""Training of the n-gram classifier: sparse updates by Adam, in seconds on one core."""

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from nlpkit.core.io.output import make_inside, open_inside
from nlpkit.core.model.checkpoint import dequantize, quantize, save
from nlpkit.core.model.manifest import LOG, UNBOUNDED, Manifest, check_model_folder
from nlpkit.core.training.settings import FitOptions, TrainSettings
from nlpkit.core.training.trainer import RunProgress
from nlpkit.errors import DataError, ModelError, UsageError
from nlpkit.nn.losses import sparse_multilabel_loss
from nlpkit.tasks.classify.data import Example
from nlpkit.tasks.classify.ngram.features import features
from nlpkit.tasks.classify.ngram.model import BITS, NgramRunner, values_of
from nlpkit.tasks.classify.task import ClassifyTask, WholeTextPredictor

LEARNING_RATE = 0.02
MIN_UPDATES, MAX_RATE = 500, 0.5  # a shorter run has a higher learning rate, so that its weights become as large
MIN_FREQUENCY = 2  # training texts that have an n-gram; one of one text only is noise
_USED = {"epochs", "batch_size", "lr", "seed", "decay", "compile", "save_every", "warmup"}
_NOT_USED = {"join", "fold_mask", "resume", "max_length"}  # device and dtype may come from the environment


def fit(
    task: ClassifyTask,
    train: Sequence[Example],
    dev: Sequence[Example] | None,
    folder: Path,
    settings: TrainSettings,
    options: FitOptions,
    report: Callable[[RunProgress], None],
) -> dict[str, Any]:
    """Train, keep the weights that are best on dev, write the model folder, and return the dev metrics.

    The arguments are those of `core.training.job.fit`.

    Raises:
        UsageError: a setting that this backbone does not have, or pairs of texts.
        DataError: the dev set is empty, or has an example that does not fit the task.
        OutputError: the folder cannot be written, or holds anything but such a model.
    """
    check_model_folder(folder, task.name)
    _check_settings(task, settings, options)
    if dev is not None and not dev:
        raise DataError("the dev set is empty", ", ".join((options.sources or {}).get("dev", [])) or None)
    for example in dev or ():
        task.validate(example)
    return train_and_write(task, train, dev, folder, settings, options, report)[1]


def train_and_write(
    task: ClassifyTask,
    train: Sequence[Example],
    dev: Sequence[Example] | None,
    folder: Path,
    settings: TrainSettings,
    options: FitOptions,
    report: Callable[[RunProgress], None] = lambda progress: None,
) -> tuple[WholeTextPredictor, dict[str, Any]]:
    """Return the trained predictor and its dev metrics; it is in the folder. The arguments are those of `fit`."""
    if options.threshold is not None:
        task = task.changed(threshold=options.threshold)
    log: list[bytes] = []

    def logged(progress: RunProgress) -> None:
        at = {"step": progress.step, "tokens": 0, "elapsed": round(progress.elapsed, 1)}
        log.append(orjson.dumps(at | {"loss": progress.loss, "lr": progress.lr}) + b"\n")
        if progress.metrics:
            log.append(orjson.dumps(at | {"dev": progress.metrics, "metric": task.metric}) + b"\n")
        report(progress)

    trained, training = train_classifier(task, train, dev, settings, logged)
    stored = dequantize(quantize(trained, options.store))  # what is evaluated is what will be loaded
    predictor = WholeTextPredictor(task, runner_of(stored, len(task.settings.labels)))
    metrics: dict[str, Any] = {}
    if dev is not None:
        if options.threshold is None:
            predictor = predictor.changed(**predictor.calibrate(dev))
        metrics = predictor.evaluate(dev)
    training |= {
        "metric": task.metric,
        "backbone": "ngram",
        "data": options.sources or {},
        "settings": asdict(settings),
    }
    manifest = Manifest(
        task=task.name,
        backbone={"type": "ngram", "bits": BITS},
        tokenizer={"kind": "ngram"},
        max_length=UNBOUNDED,
        config=asdict(predictor.settings),
        metrics={"dev": metrics} if metrics else {},
        training=training,
    )
    save(folder, manifest, None, trained, options.store)
    make_inside((folder / LOG).parent)
    with open_inside(folder / LOG, "wb") as stream:
        stream.write(b"".join(log))
    return predictor, metrics


def train_classifier(
    task: ClassifyTask,
    train: Sequence[Example],
    dev: Sequence[Example] | None,
    settings: TrainSettings,
    report: Callable[[RunProgress], None] = lambda progress: None,
    bits: int = BITS,
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the best weights by name, and what the manifest says of the training.

    Args:
        task: with the labels.
        train: the training set.
        dev: on which the best weights are selected, after every epoch; None keeps the last ones.
        settings: its `epochs`, `batch_size`, `lr` and `seed`.
        report: called after every epoch.
        bits: binary logarithm of the number of buckets.
    """
    started, data = time.monotonic(), _Data(task, train, bits)
    classifier = _Classifier(len(task.settings.labels), bits, multiple=task.settings.multiple)
    weight_optimizer = torch.optim.SparseAdam([classifier.weight])  # their learning rate is set in every step
    bias_optimizer = torch.optim.Adam([classifier.bias])
    steps = -(-len(train) // settings.batch_size)
    progress = RunProgress(total_steps=steps * settings.epochs)
    lr = settings.lr
    if lr is None:
        lr = min(MAX_RATE, LEARNING_RATE * max(1.0, MIN_UPDATES / progress.total_steps))
    best = classifier.state(data.idf)
    for epoch in range(settings.epochs):
        order = np.random.default_rng([settings.seed, epoch]).permutation(len(train))
        for batch in data.batches(order, settings.batch_size):
            progress.lr = lr * (1 - progress.step / progress.total_steps)
            for optimizer in (weight_optimizer, bias_optimizer):
                optimizer.param_groups[0]["lr"] = progress.lr
                optimizer.zero_grad()
            loss = classifier.loss(*batch)
            loss.backward()  # type: ignore[no-untyped-call]
            weight_optimizer.step()  # type: ignore[no-untyped-call]
            bias_optimizer.step()
            progress.step += 1
            progress.loss = loss.item()
        if not math.isfinite(progress.loss):
            raise ModelError(f"the loss is {progress.loss} at step {progress.step}; a smaller --lr may help")
        progress.elapsed = time.monotonic() - started
        state = classifier.state(data.idf)
        if dev:
            progress.metrics = WholeTextPredictor(task, runner_of(state, len(task.settings.labels))).evaluate(dev)
        value = progress.metrics[task.metric] if dev else float(progress.step)
        if value > progress.best:
            progress.best, progress.best_step, best = value, progress.step, state
        report(progress)
    return best, {
        "texts": len(train),
        "parameters": sum(value.numel() for value in best.values()),
        "seconds": round(progress.elapsed),
        "best_step": progress.best_step,
    }


def runner_of(weights: dict[str, Tensor], num_labels: int) -> NgramRunner:
    """Return the runner of weights by name."""
    weight, idf, bias = (weights[name].numpy() for name in ("weight", "idf", "bias"))
    return NgramRunner(np.ascontiguousarray(weight.T), idf[0], bias, num_labels)


class _Data:
    """The training set as n-grams.

    Attributes:
        idf: inverse document frequencies [2^bits].
    """

    def __init__(self, task: ClassifyTask, train: Sequence[Example], bits: int):
        text_indices, self.buckets = features([example.text for example in train], bits)
        self.starts = np.searchsorted(text_indices, np.arange(len(train) + 1))
        frequencies = np.bincount(self.buckets, minlength=1 << bits)
        self.idf = (np.log((1 + len(train)) / (1 + frequencies)) + 1).astype(np.float32)
        self.idf[frequencies < MIN_FREQUENCY] = 0  # left out
        self.values = values_of(text_indices, self.buckets, self.idf, len(train))
        self.labels = torch.from_numpy(task.label_indices(train))

    def batches(self, order: NDArray[np.int64], size: int) -> Iterator[tuple[Tensor, Tensor, Tensor, Tensor]]:
        """Yield buckets [k], their values [k], the start of each text [n], and labels of the texts."""
        for first in range(0, len(order), size):
            texts = order[first : first + size]
            counts = self.starts[texts + 1] - self.starts[texts]
            places = np.concatenate([np.arange(self.starts[text], self.starts[text + 1]) for text in texts])
            starts = np.cumsum(counts) - counts
            arrays = self.buckets[places], self.values[places], starts
            yield (*(torch.from_numpy(array) for array in arrays), self.labels[torch.from_numpy(texts)])  # type: ignore[misc]


class _Classifier:
    def __init__(self, num_labels: int, bits: int, *, multiple: bool):
        self.multiple = multiple
        self.weight = nn.Parameter(torch.zeros(1 << bits, num_labels))
        self.bias = nn.Parameter(torch.zeros(num_labels))

    def loss(self, buckets: Tensor, values: Tensor, starts: Tensor, labels: Tensor) -> Tensor:
        sums = F.embedding_bag(buckets, self.weight, starts, mode="sum", sparse=True, per_sample_weights=values)
        logits = sums + self.bias
        return sparse_multilabel_loss(logits, labels) if self.multiple else F.cross_entropy(logits, labels[:, 0])

    def state(self, idf: NDArray[np.float32]) -> dict[str, Tensor]:
        weight, bias = self.weight.detach().T, self.bias.detach()
        if not self.multiple:  # see `ngram.model`
            weight, bias = weight[1:] - weight[:1], bias[1:] - bias[:1]
        return {"weight": weight.contiguous().clone(), "idf": torch.from_numpy(idf)[None], "bias": bias.clone()}


def _check_settings(task: ClassifyTask, settings: TrainSettings, options: FitOptions) -> None:
    """Check that no setting is given that only encoders have.

    Raises:
        UsageError: one is, or the task has pairs of texts.
    """
    if task.settings.pairs:
        raise UsageError("--backbone ngram: reads single texts, and the n-grams of a pair say little; name an encoder")
    given = [field.name for field in fields(settings) if field.name not in _USED and _differs(settings, field)]
    given += [field.name for field in fields(options) if field.name in _NOT_USED and _differs(options, field)]
    given += [name for name in ("r_drop", "mlm", "ids") if getattr(task.settings, name)]
    if task.unlabelled:
        given.append("unlabelled")
    if given:
        names = ", ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(f"{names}: nothing that --backbone ngram has; leave out, or name an encoder")


def _differs(settings: Any, field: Any) -> bool:
    return bool(getattr(settings, field.name) != field.default)
