"""Loading a classifier of any kind."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nlpkit.core.model.loading import load_predictor
from nlpkit.core.model.manifest import MANIFEST, find, read_manifest, reader
from nlpkit.errors import UsageError
from nlpkit.tasks import default_model
from nlpkit.tasks.classify.ngram.model import NgramRunner
from nlpkit.tasks.classify.settings import ClassifySettings
from nlpkit.tasks.classify.task import ClassifyPredictor, ClassifyTask, WholeTextPredictor

FLOOR = "floor"  # folder in that of an encoder: the n-gram classifier trained on the same data

AnyPredictor = ClassifyPredictor | WholeTextPredictor


def load(
    name: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    *,
    runtime: str = "auto",
    threshold: float | None = None,
    top: int | None = None,
    labels: Sequence[str] | None = None,
) -> AnyPredictor:
    """Return the predictor of a classifier, or with `labels` one that compares texts with the names of labels.

    Args:
        name: embedded model, folder or hub name (default: the embedded model of the task); with `labels` a model of
            `nlpkit embed`.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`; n-gram models compute on the CPU.
        dtype: `auto`, `fp32`, `bf16`, `fp16`, `int8`; precision of the backbone.
        runtime: `auto`, `onnx` or `torch`; see `core.onnx.choice.onnx_dtype`.
        threshold: minimum score of a label (default: the model's own).
        top: number of labels to list; see `ClassifyTask`.
        labels: names of labels, each perhaps with a description: `sport` or `sport=matches, athletes and clubs`.

    Raises:
        ModelError: no such model, or not one for classification.
        UsageError: an option that the model does not have, or more labels to list than there are.
    """
    if labels is not None:
        from nlpkit.tasks.classify.zero_shot import load_zero_shot

        predictor: AnyPredictor = load_zero_shot(labels, name, device, dtype, runtime=runtime, top=top)
    else:
        predictor = _load(find(name or default_model("classify")), name, device, dtype, runtime, top)
    return predictor if threshold is None else predictor.changed(threshold=threshold)


def _load(folder: Path, name: str | None, device: str, dtype: str, runtime: str, top: int | None) -> AnyPredictor:
    manifest = read_manifest(folder, "classify")
    if manifest.backbone.get("type") != "ngram":
        found: Any = load_predictor(
            str(folder),
            ClassifyTask,
            device,
            dtype,
            runtime=runtime,
            make_task=lambda settings, _: ClassifyTask(settings, top=top),
        )
        return found  # type: ignore[no-any-return]
    if runtime != "auto":
        raise UsageError(
            f"--runtime {runtime}: {name or folder.name} has no network, only n-gram weights; leave it out"
        )
    settings = reader(folder).shaped(MANIFEST, manifest.config, ClassifySettings)
    runner = NgramRunner.load(folder, manifest, len(settings.labels), multiple=settings.multiple)
    return WholeTextPredictor(ClassifyTask(settings, top=top), runner)


def load_floor(name: str) -> WholeTextPredictor | None:
    """Return the n-gram classifier in the folder of an encoder, with which it is compared; None if it has none."""
    folder = find(name) / FLOOR
    if not (folder / MANIFEST).exists():
        return None
    predictor = _load(folder, None, "cpu", "auto", "auto", None)
    return predictor if isinstance(predictor, WholeTextPredictor) else None
