"""Training a task from gold examples to a checkpoint folder: what `nlpkit train TASK` does, for every task."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch

from nlpkit.core.model import checkpoint
from nlpkit.core.model.checkpoint import Store
from nlpkit.core.model.device import keep_memory, pick_device, pick_dtype
from nlpkit.core.model.manifest import MANIFEST, STATE, Manifest, check_model_folder, read_manifest, to_json, write_json
from nlpkit.core.model.model import Model
from nlpkit.core.model.pretrained import fold_mask, load_backbone
from nlpkit.core.model.task import Dataset, Task
from nlpkit.core.training.evaluate import evaluate
from nlpkit.core.training.trainer import Hooks, Progress, Trainer, TrainSettings
from nlpkit.errors import DataError, ModelError


@dataclass(frozen=True, slots=True)
class FitOptions:
    """What is not the loop's own business.

    Attributes:
        backbone: see `core.model.pretrained.load_backbone`.
        max_length: units in a row, [CLS] and [SEP] included; at most the backbone's.
        fold_mask: share of units that were masked in the backbone's pretraining, to take [MASK] out of it; 0 leaves it.
        join: train also on texts made of up to so many, see `core.dataset.with_joined`; 1 is only the texts themselves.
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
    fold_mask: float = 0.0
    join: int = 1
    device: str = "auto"
    dtype: str = "auto"
    threshold: float | None = 0.5
    store: Store = "fp32"
    resume: bool = False
    evaluations: int = 1
    sources: dict[str, list[str]] | None = None


def fit(
    task: Task[Any, Any],
    train: Sequence[Any],
    dev: Sequence[Any] | None,
    folder: Path,
    settings: TrainSettings,
    options: FitOptions,
    report: Callable[[Progress], None],
) -> dict[str, Any]:
    """Trains, keeps the weights that are best on dev, and writes the checkpoint folder; gives the dev metrics.

    Without a dev set the last weights are kept, and there are no metrics.

    Raises:
        DataError: no training or dev example, or one that does not fit the task.
        ModelError: the backbone cannot be loaded, or there is nothing to resume that fits the options.
        OutputError: the folder cannot be written, or holds anything but such a model.
    """
    check_model_folder(folder, task.name)
    for name, examples in (("training", train), ("dev", dev)):
        if examples is not None and not examples:
            raise DataError(f"the {name} set is empty", ", ".join((options.sources or {}).get(name, [])) or None)
    task = task if options.threshold is None else task.at(options.threshold)
    for example in dev or ():
        task.check(example)
    model, dataset, settings = _prepare(task, train, settings, options)
    manifest = _describe(model, dataset, settings, options)
    if options.resume and (metrics := _finished(folder, manifest, task.fitted)) is not None:
        return metrics

    def keep(metrics: dict[str, Any]) -> None:
        manifest.metrics = {"dev": metrics} if metrics else {}
        checkpoint.save(folder, manifest, model.tokenizer, model.network.state_dict(), options.store)

    updates = -(-dataset.steps_per_epoch // settings.accumulate)
    hooks = Hooks(
        evaluate=None if dev is None else lambda: evaluate(model, dev),
        metric=task.metric,
        keep=keep,
        report=report,
        evaluate_every=max(1, updates // options.evaluations),
        identity={**manifest.training, "max_length": model.max_length, "task": manifest.config},
    )
    trainer = Trainer(model.network, dataset, updates * settings.epochs, settings, hooks, folder, model.dtype)
    progress = trainer.run(resume=options.resume)
    checkpoint.load_weights(model.network, folder)  # the best ones, as they are stored
    model.network.to(model.device)
    if dev is not None:
        if options.threshold is None:
            model.task = task.tuned(model, dev)
        manifest.config, manifest.metrics = asdict(model.task), {"dev": evaluate(model, dev)}
    manifest.files = checkpoint.entries(folder)
    manifest.training |= {"seconds": round(progress.elapsed), "best_step": progress.best_step}
    write_json(folder / MANIFEST, asdict(manifest))
    (folder / STATE).unlink(missing_ok=True)
    return manifest.metrics.get("dev", {})  # type: ignore[no-any-return]


def _prepare(
    task: Task[Any, Any], train: Sequence[Any], settings: TrainSettings, options: FitOptions
) -> tuple[Model[Any], Dataset, TrainSettings]:
    """The untrained model on its device, the training rows, and the settings with their rates worked out."""
    keep_memory()
    torch.manual_seed(settings.seed)
    device = pick_device(options.device)
    backbone, tokenizer = load_backbone(options.backbone, lambda: (example.text for example in train))
    if options.fold_mask:
        fold_mask(backbone, tokenizer, options.fold_mask)
    lr, head_lr = settings.rates(backbone.hidden_size)
    dataset = task.dataset(
        train,
        tokenizer,
        max_length=min(options.max_length, backbone.max_length),
        batch_size=settings.batch_size,
        seed=settings.seed,
        join=options.join,
    )
    network = task.network(backbone).to(device).eval()
    network.measure(dataset)
    # A model is not asked to read rows longer than any that it has learnt from.
    model = Model(task, network, tokenizer, dataset.longest, device, pick_dtype(options.dtype, device))
    return model, dataset, replace(settings, lr=lr, head_lr=head_lr)


def _describe(model: Model[Any], dataset: Dataset, settings: TrainSettings, options: FitOptions) -> Manifest:
    return Manifest(
        task=model.task.name,
        backbone=model.network.backbone.describe(),
        tokenizer=model.tokenizer.settings,
        max_length=model.max_length,
        config=asdict(model.task),
        training={
            "metric": model.task.metric,
            "backbone": options.backbone,
            "fold_mask": options.fold_mask,
            "data": options.sources or {},
            "join": options.join,
            **dataset.notes,
            "parameters": checkpoint.count_parameters(model.network),
            "settings": asdict(settings),
            "dtype": str(model.dtype).removeprefix("torch."),
        },
    )


def _finished(folder: Path, manifest: Manifest, fitted: Sequence[str]) -> dict[str, Any] | None:
    """The dev metrics of a run in this folder that came to its end: no state is left, and it says how long it took.

    Raises:
        ModelError: that run was another one.
    """
    if (folder / STATE).exists() or not (folder / MANIFEST).exists():
        return None
    found = read_manifest(folder, manifest.task)
    if "seconds" not in found.training:
        return None
    same_task = _but(found.config, fitted) == _but(_as_json(manifest.config), fitted)
    same_run = all(found.training.get(name) == value for name, value in _as_json(manifest.training).items())
    if not (same_task and same_run):
        raise ModelError(f"{folder}: holds a finished run with other options; leave out --resume to replace it")
    return found.metrics.get("dev", {})  # type: ignore[no-any-return]


def _but(config: dict[str, Any], fitted: Sequence[str]) -> dict[str, Any]:
    """Settings without those that are found on dev."""
    return {name: value for name, value in config.items() if name not in fitted}


def _as_json(value: dict[str, Any]) -> dict[str, Any]:
    """What is left of a dict once a file has held it: tuples become lists."""
    result: dict[str, Any] = json.loads(to_json(value))
    return result
