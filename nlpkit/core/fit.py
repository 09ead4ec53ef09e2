"""Training a task from gold examples to a checkpoint folder: what `nlpkit train TASK` does, for every task."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from nlpkit.core import checkpoint
from nlpkit.core.backbone import load_backbone
from nlpkit.core.checkpoint import Store
from nlpkit.core.dataset import Dataset, with_joined
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
        join: train also on texts made of up to so many, see `with_joined`; 1 is only the texts themselves.
        device: as for `pick_device`.
        dtype: as for `pick_dtype`; bf16 and fp16 mean autocast here.
        threshold: a probability, or None to look for the best one on dev.
        store: precision of the weights on disk.
        resume: go on from the last state in the folder.
        evaluations: how many times an epoch the dev set is scored.
        sources: the names of the files, for the manifest.
    """

    backbone: str
    max_length: int = 256
    join: int = 1
    device: str = "auto"
    dtype: str = "auto"
    threshold: float | None = 0.5
    store: Store = "fp32"
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
    if options.resume and _finished(folder):
        return read_manifest(folder).metrics["dev"]  # type: ignore[no-any-return]
    model, dataset = _prepare(task, train, settings, options)
    manifest = _describe(model, dataset, settings, options)

    def score() -> dict[str, Any]:
        with nullcontext() if model.dtype == torch.float32 else torch.autocast(model.device.type, model.dtype):
            return evaluate(model, dev)

    def keep(metrics: dict[str, Any]) -> None:
        manifest.metrics = {"dev": metrics}
        checkpoint.save(folder, manifest, model.tokenizer, model.network.state_dict(), options.store)

    updates = -(-dataset.steps_per_epoch // settings.accumulate)
    hooks = Hooks(score, task.metric, keep, report, max(1, updates // options.evaluations))
    trainer = Trainer(model.network, dataset, updates * settings.epochs, settings, hooks, folder, model.dtype)
    progress = trainer.run(resume=options.resume)
    checkpoint.load_weights(model.network, folder)  # the best ones, as they are stored
    model.network.to(model.device)
    if options.threshold is None:
        model.task = replace(task, threshold=best_threshold(model, dev)[0])  # type: ignore[type-var]
    manifest.config, manifest.metrics = asdict(model.task), {"dev": evaluate(model, dev)}
    manifest.training |= {"seconds": round(progress.elapsed), "best_step": progress.best_step}
    write_json(folder / MANIFEST, asdict(manifest))
    (folder / STATE).unlink(missing_ok=True)
    return manifest.metrics["dev"]  # type: ignore[no-any-return]


def _prepare(
    task: Task[Any, Any, Any, Any], train: Sequence[Any], settings: TrainSettings, options: FitOptions
) -> tuple[Model[Any], Dataset]:
    """The untrained model on its device, and the training rows."""
    keep_memory()
    torch.manual_seed(settings.seed)
    device = pick_device(options.device)
    backbone, tokenizer = load_backbone(options.backbone, lambda: (example.text for example in train))
    network = task.network(backbone).to(device)
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.p = settings.dropout
    longest = min(options.max_length, backbone.max_length)
    train = with_joined(task, train, options.join, settings.seed)
    dataset = Dataset(task, train, tokenizer, longest, settings.batch_size, settings.seed)
    # A model is not asked to read rows longer than any that it has learnt from.
    return Model(task, network, tokenizer, dataset.longest, device, pick_dtype(options.dtype, device)), dataset


def _describe(model: Model[Any], dataset: Dataset, settings: TrainSettings, options: FitOptions) -> Manifest:
    return Manifest(
        task=model.task.name,
        backbone=model.network.backbone.describe(),
        tokenizer={"kind": model.tokenizer.kind, "lowercase": model.tokenizer.lowercase},
        max_length=model.max_length,
        config=asdict(model.task),
        training={
            "backbone": options.backbone,
            "data": options.sources or {},
            "rows": len(dataset.rows),
            "join": options.join,
            "misaligned": dataset.misaligned,
            "parameters": checkpoint.count_parameters(model.network),
            "settings": asdict(settings),
            "dtype": str(model.dtype).removeprefix("torch."),
        },
    )


def _finished(folder: Path) -> bool:
    """Whether the last run here came to its end: there is no state, and the manifest says how long it took."""
    if (folder / STATE).exists():
        return False
    return (folder / MANIFEST).exists() and "seconds" in read_manifest(folder).training
