"""Classification without training: the label whose name, or description, is nearest to the text in `nlpkit embed`."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlpkit.core.model.manifest import MANIFEST, find, read_manifest
from nlpkit.errors import UsageError
from nlpkit.tasks import imported, spec
from nlpkit.tasks.classify.settings import ClassifySettings
from nlpkit.tasks.classify.task import ClassifyTask, WholeTextPredictor

SCALE = 20.0  # inverse temperature of the cosines, as usual in contrastive training; it does not change the order


class SimilarityRunner:
    """Computes scale · cosine of texts with labels.

    Args:
        encode: returns vectors [n, d] of unit length.
        labels: texts of the labels [c].
        scale: of the cosines.
    """

    device_type = "cpu"

    def __init__(self, encode: Callable[[Sequence[str]], NDArray[np.float32]], labels: Sequence[str], scale: float):
        self.encode, self.scale = encode, scale
        self.vectors = encode(labels)
        self.parameters = self.vectors.size

    def __call__(self, texts: Sequence[str]) -> NDArray[Any]:
        """Return logits [n, c]."""
        result: NDArray[Any] = self.scale * (self.encode(texts) @ self.vectors.T)
        return result


def load_zero_shot(
    labels: Sequence[str], model: str | None, device: str, dtype: str, *, runtime: str, top: int | None
) -> WholeTextPredictor:
    """Return a predictor that compares texts with labels.

    Args:
        labels: each `NAME` or `NAME=DESCRIPTION`; with a description, that is what texts are compared with.
        model: of `nlpkit embed`; its default model when None.
        device: as for `nlpkit.load`.
        dtype: as for `nlpkit.load`.
        runtime: as for `nlpkit.load`.
        top: see `ClassifyTask`.

    Raises:
        UsageError: fewer than two labels, an empty one, or one given twice; or the model is a classifier itself.
        ModelError: the model is none of `nlpkit embed`.
    """
    names, texts = parse_labels(labels)
    if model is not None and (find(model) / MANIFEST).exists() and read_manifest(find(model)).task == "classify":
        raise UsageError(
            f"--labels: {model} has labels of its own; leave out --labels, or name a model of `nlpkit embed`"
        )
    embedder = imported(spec("embed").loader)(model, device, dtype, runtime=runtime)
    task = ClassifyTask(ClassifySettings(names), top=top)
    return WholeTextPredictor(task, SimilarityRunner(embedder.encode, texts, SCALE))


def parse_labels(labels: Sequence[str]) -> tuple[tuple[str, ...], list[str]]:
    """Return the names of labels, and the texts that stand for them.

    Raises:
        UsageError: fewer than two labels, an empty one, or one given twice.
    """
    parts = [label.partition("=") for label in labels]
    names = tuple(name.strip() for name, _, _ in parts)
    texts = [description.strip() if equals else name.strip() for name, equals, description in parts]
    empty = [label for label, name, text in zip(labels, names, texts, strict=True) if not (name and text)]
    if empty:
        raise UsageError(f"--labels: {empty[0]!r} has no name or no description; write NAME or NAME=DESCRIPTION")
    if twice := next((name for index, name in enumerate(names) if name in names[:index]), None):
        raise UsageError(f"--labels: {twice} is given twice; give each label once")
    if len(names) < 2:
        raise UsageError("--labels: one label only; name two or more, separated by commas")
    return names, texts
