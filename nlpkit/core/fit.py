"""Training a task from gold examples to a checkpoint folder: what `nlpkit train TASK` does, for every task."""

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nlpkit.core import checkpoint
from nlpkit.core.backbone import load_backbone
from nlpkit.core.dataset import Dataset
from nlpkit.core.device import keep_memory, pick_device, pick_dtype
from nlpkit.core.evaluate import best_threshold, evaluate
from nlpkit.core.manifest import MANIFEST, Manifest, read_manifest, write_json
from nlpkit.core.model import Model
from nlpkit.core.task import Task
from nlpkit.core.train import STATE, Hooks, Progress, Trainer, TrainSettings
from nlpkit.errors import DataError


@dataclass(frozen=True, slots=True)
class FitOptions:
    """What is not the loop's own business.

    Attributes:
        backbone: see `core.backbone.load_backbone`.
        max_length: units in a row, [CLS] and [SEP] included; at most the backbone's.
        device: as for `pick_device`.
        dtype: as for `pick_dtype`; bf16 and fp16 mean autocast here.
        threshold: a probability, or None to look for the best one on dev.
        half: store the weights as fp16.
        resume: go on from the last state in the folder.
        evaluations: how many times an epoch the dev set is scored.
        sources: the names of the files, for the manifest.
    """

    backbone: str
    max_length: int = 256
    device: str = "auto"
    dtype: str = "auto"
    threshold: float | None = 0.5
    half: bool = False
    resume: bool = False
    evaluations: int = 1
    sources: dict[str, list[str]] | None = None


def fit(
    task: Task[Any, Any, Any, Any],
    train: Sequence[Any],
    dev: Sequence[Any],
    folder: Path,
    settings: TrainSettings,
    options: FitOptions,
    report: Callable[[Progress], None],
) -> dict[str, Any]:
    """Trains, keeps the weights that are best on dev, and writes the checkpoint folder; gives the dev metrics.

    Raises:
        DataError: no training or dev example.
        ModelError: the backbone cannot be loaded, or a state to resume does not fit.
    """
    for name, examples in (("training", train), ("dev", dev)):
        if not examples:
            raise DataError(f"the {name} set is empty", ", ".join((options.sources or {}).get(name, [])) or None)
    keep_memory()
    torch.manual_seed(settings.seed)
    device = pick_device(options.device)
    dtype = pick_dtype(options.dtype, device)
    backbone, tokenizer = load_backbone(options.backbone, lambda: (example.text for example in train))
    network = task.network(backbone).to(device)
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = settings.dropout
    longest = min(options.max_length, network.backbone.max_length)
    dataset = Dataset(task, train, tokenizer, longest, settings.batch_size, settings.seed)
    # A model is not asked to read rows longer than any that it has learnt from.
    model = Model(task, network, tokenizer, dataset.longest, device, dtype)
    manifest = Manifest(
        task=task.name,
        backbone=backbone.describe(),
        tokenizer={"kind": tokenizer.kind, "lowercase": tokenizer.lowercase},
        max_length=model.max_length,
        training={
            "backbone": options.backbone,
            "data": options.sources or {},
            "texts": len(train),
            "misaligned": dataset.misaligned,
            "settings": asdict(settings),
            "dtype": str(dtype).removeprefix("torch."),
        },
    )

    def score() -> dict[str, Any]:
        with nullcontext() if dtype == torch.float32 else torch.autocast(device.type, dtype):
            return evaluate(model, dev)

    def keep(metrics: dict[str, Any]) -> None:
        manifest.config, manifest.metrics = asdict(model.task), {"dev": metrics}  # type: ignore[call-overload]
        manifest.training["parameters"] = checkpoint.count_parameters(network)
        checkpoint.save(folder, manifest, tokenizer, network.state_dict(), half=options.half)

    updates = -(-dataset.steps_per_epoch // settings.accumulate)
    hooks = Hooks(score, task.metric, keep, report, max(1, updates // options.evaluations))
    trainer = Trainer(network, dataset, updates * settings.epochs, settings, hooks, folder, dtype)
    start = time.monotonic()
    progress = trainer.run(resume=options.resume)
    manifest = read_manifest(folder)
    checkpoint.load_weights(network, folder)
    network.to(device)
    if options.threshold is None:
        model.task = replace(task, threshold=best_threshold(model, dev)[0])  # type: ignore[type-var]
    manifest.config = asdict(model.task)  # type: ignore[call-overload]
    manifest.metrics = {"dev": evaluate(model, dev)}
    manifest.training |= {
        "seconds": round(progress.elapsed or time.monotonic() - start),
        "best_step": progress.best_step,
    }
    write_json(folder / MANIFEST, asdict(manifest))
    (folder / STATE).unlink(missing_ok=True)
    return manifest.metrics["dev"]  # type: ignore[no-any-return]
