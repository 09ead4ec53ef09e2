"""Training of any task from gold examples to a checkpoint folder: what `nlpkit train TASK` does."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from nlpkit.core.io.artefacts import file_entries, to_json
from nlpkit.core.model import checkpoint, contents
from nlpkit.core.model.device import keep_memory, pick_device, pick_dtype
from nlpkit.core.model.manifest import KIND, MANIFEST, STATE, Manifest, check_model_folder, read_manifest
from nlpkit.core.model.predictor import Predictor
from nlpkit.core.model.pretrained import fold_mask, load_backbone
from nlpkit.core.model.task import Task
from nlpkit.core.text.tokenizer import VOCABULARY
from nlpkit.core.training.settings import FitOptions, TrainSettings, learning_rates
from nlpkit.core.training.trainer import Hooks, RunProgress, Trainer
from nlpkit.errors import DataError, ModelError, UsageError
from nlpkit.nn.backbones import Backbone
from nlpkit.nn.layers.prepack import count_parameters
from nlpkit.nn.layers.shared_rows import make_plain, plain_weights
from nlpkit.nn.network import Dataset
from nlpkit.nn.optim.optimizers import freeze_layers


def fit(
    task: Task[Any, Any, Any],
    train: Sequence[Any],
    dev: Sequence[Any] | None,
    folder: Path,
    settings: TrainSettings,
    options: FitOptions,
    report: Callable[[RunProgress], None],
) -> dict[str, Any]:
    """Train, keep the weights that are best on dev, write the checkpoint folder, and return the dev metrics.

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
    task = _with_threshold(task, options.threshold)
    for example in dev or ():
        task.validate(example)
    predictor, dataset, settings = _prepare(task, train, settings, options)
    manifest = _describe(predictor, dataset, settings, options)
    calibrated = task.calibrated_fields if options.threshold is None else ()
    if options.resume and (metrics := _finished(folder, manifest, calibrated)) is not None:
        return metrics

    def keep(metrics: dict[str, Any]) -> None:
        manifest.metrics = {"dev": metrics} if metrics else {}
        checkpoint.save(folder, manifest, predictor.tokenizer.lines, plain_weights(predictor.network), options.store)

    predictor.task.prepare_training(predictor.network)
    updates = -(-dataset.steps_per_epoch // settings.accumulate)
    hooks = Hooks(
        evaluate=None if dev is None else lambda: predictor.evaluate(dev),
        metric=task.metric,
        keep=keep,
        report=report,
        evaluate_every=max(1, updates // options.evaluations),
        identity={**manifest.training, "max_length": predictor.max_length, "task": manifest.config},
    )
    trainer = Trainer(predictor.network, dataset, updates * settings.epochs, settings, hooks, folder, predictor.dtype)
    progress = trainer.run(resume=options.resume)
    make_plain(predictor.network)
    checkpoint.load_weights(predictor.network, folder)  # the best ones, as they are stored
    predictor.network.to(predictor.device)
    if dev is not None:
        if options.threshold is None:
            predictor = predictor.changed(**predictor.calibrate(dev))
        manifest.config, manifest.metrics = asdict(predictor.task.settings), {"dev": predictor.evaluate(dev)}
    manifest.files = file_entries(folder, (VOCABULARY, contents.WEIGHTS))
    manifest.training |= {"seconds": round(progress.elapsed), "best_step": progress.best_step}
    KIND.write(folder, manifest)
    (folder / STATE).unlink(missing_ok=True)
    return manifest.metrics.get("dev", {})  # type: ignore[no-any-return]


def _prepare(
    task: Task[Any, Any, Any], train: Sequence[Any], settings: TrainSettings, options: FitOptions
) -> tuple[Predictor[Any, Any], Dataset, TrainSettings]:
    """Return the untrained predictor on its device, the training data, and the settings with their learning rates."""
    keep_memory()
    torch.manual_seed(settings.seed)
    device = pick_device(options.device)
    backbone, tokenizer = load_backbone(options.backbone, lambda: (example.text for example in train))
    backbone, tokenizer = task.adapt(backbone, tokenizer, train)
    if options.fold_mask:
        fold_mask(backbone, tokenizer, options.fold_mask)
    lr, head_lr = learning_rates(settings, backbone.hidden_size)
    dataset = task.dataset(
        train,
        tokenizer,
        max_length=min(options.max_length, backbone.max_length),
        batch_size=settings.batch_size,
        seed=settings.seed,
        join=options.join,
    )
    _freeze(backbone, settings)
    network = task.network(backbone).to(device).eval()
    network.calibrate_statistics(dataset)
    runner = task.torch_runner(network, device, pick_dtype(options.dtype, device))
    predictor = task.predictor_type(task, runner, tokenizer, dataset.longest)
    return predictor, dataset, replace(settings, lr=lr, head_lr=head_lr)


def _freeze(backbone: Backbone, settings: TrainSettings) -> None:
    if settings.freeze_layers and settings.fgm:
        raise UsageError("--freeze-layers: keeps the embeddings fixed, which --fgm perturbs; pass only one of them")
    if settings.freeze_layers and settings.gradient_penalty:
        raise UsageError(
            "--freeze-layers: keeps the embeddings fixed, which --gradient-penalty needs; pass only one of them"
        )
    if settings.fgm and settings.gradient_penalty:
        raise UsageError("--fgm and --gradient-penalty: two ways to the same end; pass only one of them")
    try:
        freeze_layers(backbone, settings.freeze_layers)
    except ValueError:
        count = settings.freeze_layers
        raise UsageError(f"--freeze-layers {count}: the backbone has fewer layers; pass a smaller number") from None


def _with_threshold(task: Task[Any, Any, Any], threshold: float | None) -> Task[Any, Any, Any]:
    """Return the task with a decision threshold, if it has one."""
    has_one = threshold is not None and "threshold" in task.calibrated_fields
    return task.changed(threshold=threshold) if has_one else task


def _describe(
    predictor: Predictor[Any, Any], dataset: Dataset, settings: TrainSettings, options: FitOptions
) -> Manifest:
    task, network = predictor.task, predictor.network
    return Manifest(
        task=task.name,
        backbone=network.backbone.describe(),
        tokenizer=predictor.tokenizer.settings,
        max_length=predictor.max_length,
        config=asdict(task.settings),
        training={
            "metric": task.metric,
            "backbone": options.backbone,
            "fold_mask": options.fold_mask,
            "data": options.sources or {},
            "join": options.join,
            **dataset.diagnostics,
            "parameters": count_parameters(network),
            "settings": asdict(settings),
            "dtype": str(predictor.dtype).removeprefix("torch."),
        },
    )


def _finished(folder: Path, manifest: Manifest, calibrated: Sequence[str]) -> dict[str, Any] | None:
    """Return the dev metrics of a completed run in the folder: its state is removed, and its manifest has the duration.

    Raises:
        ModelError: it was a run with other options.
    """
    if (folder / STATE).exists() or not (folder / MANIFEST).exists():
        return None
    found = read_manifest(folder, manifest.task)
    if "seconds" not in found.training:
        return None
    same_task = _without(found.config, calibrated) == _without(_as_json(manifest.config), calibrated)
    same_run = all(found.training.get(name) == value for name, value in _as_json(manifest.training).items())
    if not (same_task and same_run):
        raise ModelError(f"{folder}: holds a finished run with other options; leave out --resume to replace it")
    return found.metrics.get("dev", {})  # type: ignore[no-any-return]


def _without(config: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    """Return the settings without some."""
    return {name: value for name, value in config.items() if name not in names}


def _as_json(value: dict[str, Any]) -> dict[str, Any]:
    """Return a dict as read back from JSON: tuples become lists."""
    result: dict[str, Any] = json.loads(to_json(value))
    return result
