"""Training of the extractor on texts with reference summaries."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from nlpkit.core.io.progress import Progress
from nlpkit.core.model.checkpoint import save
from nlpkit.core.model.manifest import UNBOUNDED, Manifest, check_model_folder
from nlpkit.core.onnx.weights import StoredWeights
from nlpkit.errors import DataError
from nlpkit.nn.layers.dropout import Dropout
from nlpkit.tasks.summarize.data import Example
from nlpkit.tasks.summarize.evaluation import evaluate
from nlpkit.tasks.summarize.extractor import (
    FEATURES,
    TASK,
    Encode,
    Extractor,
    ExtractorSettings,
    Floats,
    unit_inputs,
)
from nlpkit.tasks.summarize.matching import matched
from nlpkit.tasks.summarize.settings import SummarizeSettings
from nlpkit.tasks.summarize.summarizer import Summarizer
from nlpkit.tasks.summarize.units import units

DROPOUT, WEIGHT_DECAY = 0.3, 0.05


class Item(NamedTuple):
    """A text of the training set: the inputs of its units [n, d + 4], and the target distribution [n]."""

    inputs: Tensor
    target: Tensor


class ExtractorNetwork(nn.Module):
    """The network of `extractor.Extractor` in torch, with the same names of weights."""

    def __init__(self, settings: ExtractorSettings):
        super().__init__()
        width = settings.width
        self.first = nn.Linear(settings.vectors + FEATURES, width, bias=False)
        self.layers = nn.ModuleList(_GatedConvolution(width, dilation) for dilation in settings.dilations)
        self.last = nn.Linear(width, 1)
        self.dropout = Dropout(DROPOUT)

    def forward(self, x: Tensor) -> Tensor:
        """Return logits [n] for inputs [n, d + 4]."""
        x = self.first(self.dropout(x))
        for layer in self.layers:
            x = layer(x, self.dropout)
        return self.last(self.dropout(x))[:, 0]  # type: ignore[no-any-return]


class _GatedConvolution(nn.Module):
    def __init__(self, width: int, dilation: int):
        super().__init__()
        self.convolution = nn.Conv1d(width, 2 * width, 3, padding=dilation, dilation=dilation)
        self.norm = nn.LayerNorm(width)
        self.alpha = nn.Parameter(torch.zeros(()))  # the layer starts as the identity

    def forward(self, x: Tensor, dropout: nn.Module) -> Tensor:
        value, gate = self.convolution(x.T[None])[0].T.chunk(2, dim=-1)
        result: Tensor = x + self.alpha * self.norm(dropout(value * gate.sigmoid()))
        return result


def fit(
    encode: Encode,
    settings: ExtractorSettings,
    train: Sequence[Example],
    dev: Sequence[Example],
    folder: Path,
    options: SummarizeSettings,
    sources: dict[str, list[str]],
    progress: Progress,
) -> dict[str, Any]:
    """Train, keep the weights with the best ROUGE-L on dev, write the model folder, and return the dev metrics.

    Args:
        encode: returns the vectors of texts.
        settings: of the extractor.
        train: texts with summaries.
        dev: the same.
        folder: to write.
        options: of the training.
        sources: names of the files, for the manifest.
        progress: called after every epoch.

    Raises:
        DataError: no training text has a unit and a summary.
        OutputError: the folder cannot be written, or holds anything but such a model.
    """
    check_model_folder(folder, TASK)
    torch.manual_seed(options.seed)
    items = training_items(encode, train, settings.length)
    if not items:
        raise DataError("no text with a summary", ", ".join(sources["training"]))
    network = ExtractorNetwork(settings)
    optimizer = torch.optim.AdamW(network.parameters(), lr=options.lr, weight_decay=WEIGHT_DECAY)
    best, weights = -1.0, network.state_dict()
    dev_inputs = _inputs(encode, dev, settings.length)
    for epoch in range(options.epochs):
        network.train()
        order = np.random.default_rng([options.seed, epoch]).permutation(len(items))
        for start in range(0, len(order), options.batch_size):
            batch = [items[index] for index in order[start : start + options.batch_size]]
            losses = [-(network(item.inputs).log_softmax(0) * item.target).sum() for item in batch]
            optimizer.zero_grad()
            torch.stack(losses).mean().backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        state = {name: value.detach().clone() for name, value in network.state_dict().items()}
        metrics = _evaluated(settings, state, dev, dev_inputs, options)
        if metrics["rouge_l"] > best:
            best, weights = metrics["rouge_l"], state
        progress("training", epoch + 1, options.epochs)
    metrics = _evaluated(settings, weights, dev, dev_inputs, options)
    manifest = Manifest(
        task=TASK,
        backbone={"type": "extractor"},
        tokenizer={},
        max_length=UNBOUNDED,
        config=asdict(settings),
        metrics={"dev": metrics},
        training={
            "metric": "rouge_l",
            "data": sources,
            "texts": len(items),
            "parameters": sum(value.numel() for value in weights.values()),
            "settings": asdict(options),
        },
    )
    save(folder, manifest, None, weights)
    return metrics


def training_items(encode: Encode, examples: Sequence[Example], length: int) -> list[Item]:
    """Return the training set; texts without a unit, or with an empty summary, are left out.

    The target is uniform over the units that the clauses of the summary match, counted as often as they match.

    Args:
        encode: returns the vectors of texts.
        examples: texts with summaries.
        length: maximum number of characters of a unit.
    """
    items = []
    for example, x in zip(examples, _inputs(encode, examples, length), strict=True):
        found = units(example.text, length)
        summary = [example.summary[start:end] for start, end in units(example.summary, length)]
        if found and summary:
            target = torch.zeros(len(found))
            for index in matched([example.text[start:end] for start, end in found], summary):
                target[index] += 1 / len(summary)
            items.append(Item(torch.from_numpy(x), target))
    return items


def _inputs(encode: Encode, examples: Sequence[Example], length: int) -> list[Floats]:
    texts = [example.text for example in examples]
    return list(unit_inputs(encode, texts, [units(text, length) for text in texts]))


def _evaluated(
    settings: ExtractorSettings,
    weights: dict[str, Tensor],
    dev: Sequence[Example],
    dev_inputs: Sequence[Floats],
    options: SummarizeSettings,
) -> dict[str, Any]:
    """Return the metrics on dev, whose units were encoded before."""
    extractor = Extractor(
        _no_encoder, settings, StoredWeights({name: value.numpy() for name, value in weights.items()})
    )
    summarizer = Summarizer(
        settings.length, options.sentences, lambda texts, spans: [extractor.scores(x) for x in dev_inputs]
    )
    found = evaluate(summarizer, dev)
    del found["texts_per_second"]  # that of the extractor alone
    return found


def _no_encoder(texts: Sequence[str]) -> Floats:
    raise AssertionError("the units of the dev set are encoded once, before training")
