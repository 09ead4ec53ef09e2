"""The trained extractor: which units of a text a summary is made of, from their vectors (kexue.fm 8046, SPACES).

    nlpkit.json          as for every model; `"backbone": {"type": "extractor", …}`
    model.safetensors    the weights

Vectors of the units by `nlpkit embed`, with four features each, are mapped to a smaller width, pass through gated
convolutions of width 3 with growing dilation, x + α · LayerNorm(A · sigmoid(B)), and give a logit for each unit.
Prediction needs numpy only.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nlpkit.core.io.json_shapes import Size
from nlpkit.core.model.contents import OpenWeights, check_files
from nlpkit.core.model.manifest import MANIFEST, find, read_manifest, reader
from nlpkit.core.onnx.weights import StoredWeights
from nlpkit.errors import ModelError
from nlpkit.tasks import imported, spec
from nlpkit.tasks.summarize.summarizer import Spans, centrality

Floats = NDArray[np.float32]
Encode = Callable[[Sequence[str]], Floats]

TASK = "summarize"
FEATURES = 4  # centrality, 1 / rank, length / LENGTH_SCALE, cosine with the vector of the text
LENGTH_SCALE, VECTOR_SCALE = 20.0, 4.0
WIDTH, DILATIONS = 128, (1, 2, 4, 8, 1, 1)
_EPSILON = 1e-5  # of LayerNorm


@dataclass(frozen=True, slots=True)
class ExtractorSettings:
    """Settings of an extractor.

    Attributes:
        encoder: model of `nlpkit embed` that gives the vectors: its name or folder.
        fingerprint: of that model's weights.
        vectors: width of the vectors.
        width: of the convolutions.
        dilations: of the convolutions.
        length: maximum number of characters of a unit in training.
    """

    encoder: str
    fingerprint: str
    vectors: Size
    width: Size = WIDTH
    dilations: tuple[Size, ...] = DILATIONS
    length: Size = 120


def unit_inputs(encode: Encode, texts: Sequence[str], spans: Sequence[Spans]) -> Iterator[Floats]:
    """Yield the inputs of the network for the units of each text, [n, d + 4].

    Args:
        encode: returns vectors [n, d] of unit length.
        texts: texts.
        spans: of the units of each.
    """
    parts = [part for text, found in zip(texts, spans, strict=True) for part in (text, *_units(text, found))]
    vectors = encode(parts)
    begin = 0
    for text, found in zip(texts, spans, strict=True):
        own, units = vectors[begin], vectors[begin + 1 : begin + 1 + len(found)]
        begin += 1 + len(found)
        features = np.zeros((len(found), FEATURES), np.float32)
        features[:, 0] = centrality(text, found)
        features[:, 1] = 1 / np.arange(1, len(found) + 1)
        features[:, 2] = [(end - start) / LENGTH_SCALE for start, end in found]
        features[:, 3] = units @ own
        yield np.concatenate([VECTOR_SCALE * units, features], axis=1, dtype=np.float32)


def _units(text: str, spans: Spans) -> list[str]:
    return [text[start:end] for start, end in spans]


class Extractor:
    """Computes the logits of units.

    Args:
        encode: returns vectors [n, d] of unit length.
        settings: of the extractor.
        weights: by name.
        source: where they are from, for messages.

    Raises:
        ValueError: a weight is missing or has another shape.
    """

    def __init__(self, encode: Encode, settings: ExtractorSettings, weights: StoredWeights, source: str = ""):
        self.encode, self.settings, self._source = encode, settings, source
        width = settings.width
        self.first = weights.take("first.weight", width, settings.vectors + FEATURES).T
        self.layers = []
        for index, dilation in enumerate(settings.dilations):
            layer = weights.under(f"layers.{index}.")
            kernel = layer.take("convolution.weight", 2 * width, width, 3).transpose(2, 1, 0)  # [3, width, 2 · width]
            bias = layer.take("convolution.bias", 2 * width)
            norm = layer.take("norm.weight", width), layer.take("norm.bias", width)
            self.layers.append((dilation, kernel, bias, norm, layer.take("alpha")))
        self.last = weights.take("last.weight", 1, width)[0], weights.take("last.bias", 1)[0]
        weights.check_all_taken()

    @classmethod
    def load(cls, name: str, device: str = "auto", dtype: str = "auto", runtime: str = "auto") -> "Extractor":
        """Return the extractor of a model folder, with its encoder on a device.

        Raises:
            ModelError: no such model, none of `nlpkit train summarize`, a damaged one, or its encoder is missing or has
                other weights than in training.
        """
        folder = find(name)
        manifest = read_manifest(folder, TASK)
        check_files(folder, manifest)
        settings = reader(folder).shaped(MANIFEST, manifest.config, ExtractorSettings)
        try:
            embedder = imported(spec("embed").loader)(settings.encoder, device, dtype, runtime=runtime)
        except ModelError as error:
            raise ModelError(f"{folder}: its encoder cannot be loaded: {' '.join(str(error).split())}") from None
        if embedder.fingerprint != settings.fingerprint:
            raise ModelError(
                f"{folder}: was trained on other weights of {settings.encoder} than those here; train it again"
            )
        try:
            return cls(embedder.encode, settings, StoredWeights(OpenWeights(folder)), str(folder))
        except ValueError as error:
            raise ModelError(f"{folder}: the weights do not fit the manifest ({error}); copy the model again") from None

    def __call__(self, texts: Sequence[str], spans: Sequence[Spans]) -> list[list[float]]:
        """Return the score of each unit of each text: its probability relative to that of the best unit of the text.

        See `summarizer.Scorer`.
        """
        return [self.scores(x) for x in unit_inputs(self.encode, texts, spans)]

    def scores(self, x: Floats) -> list[float]:
        """Return the scores of the units of a text from their inputs [n, d + 4].

        Raises:
            ModelError: they are NaN or infinite, as the weights are damaged.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            logits = self.logits(x)
        if not np.isfinite(logits).all():
            raise ModelError(f"{self._source}: its weights give NaN or infinity; copy the model again")
        return np.exp(logits - logits.max(initial=-np.inf)).tolist()  # type: ignore[no-any-return]

    def logits(self, x: Floats) -> Floats:
        """Return logits [n] for inputs [n, d + 4]."""
        x = x @ self.first
        for dilation, kernel, bias, (scale, shift), alpha in self.layers:
            gated = sum(_shifted(x, (place - 1) * dilation) @ kernel[place] for place in range(3)) + bias
            value, gate = np.split(gated, 2, axis=1)
            product = value / (1 + np.exp(-np.clip(gate, -60, 60)))
            centred = product - product.mean(1, keepdims=True)
            normal = centred / np.sqrt(np.square(centred).mean(1, keepdims=True) + _EPSILON)
            x = x + alpha * (normal * scale + shift)
        return x @ self.last[0] + self.last[1]  # type: ignore[no-any-return]


def _shifted(x: Floats, offset: int) -> Floats:
    """Return x [n, d] whose row i is row i + offset of x, or zeros outside."""
    result = np.zeros_like(x)
    count = len(x) - abs(offset)
    if count > 0:
        begin = max(0, -offset)
        result[begin : begin + count] = x[begin + offset : begin + offset + count]
    return result
