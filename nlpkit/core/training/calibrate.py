"""Calibrate the threshold and the scores of a trained model on other gold texts: what `nlpkit calibrate` does."""

import shutil
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nlpkit.core.io.output import make_inside, replacing_inside
from nlpkit.core.model.contents import WEIGHTS
from nlpkit.core.model.manifest import (
    KIND,
    LOG,
    MANIFEST,
    check_model_folder,
    copy_inner_models,
    find,
    read_manifest,
)
from nlpkit.core.model.text_task import TextPredictor
from nlpkit.core.text.tokenizer import VOCABULARY


def calibrate(
    name: str,
    predictor: TextPredictor[Any],
    examples: Sequence[Any],
    output: Path,
    sources: Sequence[str],
    keep_threshold: bool = False,
) -> dict[str, Any]:
    """Write the model with a threshold and a calibration fitted on gold examples, and return its metrics on them.

    The weights are copied as they are. If the output is the folder of the model, only its manifest is replaced.

    Args:
        name: of the model; see `core.model.manifest.find`.
        predictor: of the model.
        examples: with gold annotation.
        output: folder to write.
        sources: names of the files of the examples, for the manifest.
        keep_threshold: return what the model returns now, and calibrate the scores alone.

    Raises:
        OutputError: the folder cannot be written, or holds anything but such a model.
    """
    folder = find(name)
    manifest = read_manifest(folder, predictor.task.name)
    check_model_folder(output, manifest.task)
    predictor = predictor.changed(**predictor.calibrate(examples, keep_threshold))
    metrics = predictor.evaluate(examples)
    manifest.config, manifest.metrics = asdict(predictor.settings), {"dev": metrics}
    manifest.training["calibrated_on"] = list(sources)
    if not (output.exists() and output.samefile(folder)):
        _copy(folder, output)
    KIND.write(output, manifest)
    return metrics


def _copy(folder: Path, output: Path) -> None:
    """Copy the files of a model to another folder, which is then incomplete until its manifest is written."""
    make_inside(output)
    (output / MANIFEST).unlink(missing_ok=True)
    make_inside((output / LOG).parent)
    for name in (VOCABULARY, WEIGHTS, LOG):
        if (folder / name).is_file():
            with replacing_inside(output / name) as written:
                shutil.copyfile(folder / name, written)
        else:  # of another model that was in the folder
            (output / name).unlink(missing_ok=True)
    copy_inner_models(folder, output)
