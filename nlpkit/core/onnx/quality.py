"""The quality of a model in int8, measured before its release; `auto` takes int8 only where it holds.

The card of an embedded model (card.json) has the figure of its quality test in fp32 and in int8: with weights of 8 bits
and with those of 7 bits, which a CPU without VNNI instructions needs. The figures are out of 100:

    "int8": {"data": "CLUENER dev", "metric": "F1", "fp32": 77.8, "bits_8": 77.8, "bits_7": 77.7, "weights": "55d5…"}

`weights` is the beginning of the SHA-256 of the weights that were tested; other weights have no figure.
tests/bench/int8_quality.py makes the tests and writes the cards.
"""

from dataclasses import dataclass
from typing import Any

from nlpkit.core.io.json_shapes import conform
from nlpkit.core.onnx.choice import has_vnni


@dataclass(frozen=True, slots=True)
class Int8Quality:
    """The figures of a quality test, out of 100; see the module."""

    data: str
    metric: str
    fp32: float
    bits_8: float
    bits_7: float
    weights: str


def int8_loss(card: dict[str, Any], weights: str) -> float | None:
    """Return how much of its figure a model loses in int8 on this CPU, out of 100; None if that was not measured.

    Args:
        card: of the model; empty if there is none.
        weights: their SHA-256.

    Raises:
        ValueError: the card is damaged.
    """
    if "int8" not in card:
        return None
    quality = conform(card["int8"], Int8Quality)
    figure = quality.bits_8 if has_vnni() else quality.bits_7
    return round(quality.fp32 - figure, 2) if quality.weights and weights.startswith(quality.weights) else None
