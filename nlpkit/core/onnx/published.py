"""BERT encoders of transformers in nlpkit's checkpoints, seen as nlpkit's own BERT, for which there is a graph."""

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlpkit.nn.configs import BERT_SIZES, bert_weight_names, is_plain_bert

OURS, THEIRS = "backbone.", "backbone.model."  # prefixes of the names of weights


def native(backbone: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the description of nlpkit's own BERT for a BERT of transformers; other descriptions unchanged.

    Args:
        backbone: description of a backbone, as in a manifest.
    """
    config = backbone.get("config")
    if backbone.get("type") != "auto" or not isinstance(config, dict) or not is_plain_bert(config):
        return backbone
    return {"type": "bert", **{ours: config[theirs] for theirs, ours in BERT_SIZES.items() if theirs in config}}


class NativeWeights(Mapping[str, NDArray[Any]]):
    """The weights of a network whose backbone is a BERT of transformers, by the names of nlpkit's own BERT.

    Args:
        weights: of the network, as stored.
        num_layers: of the backbone.
    """

    def __init__(self, weights: Mapping[str, NDArray[Any]], num_layers: int):
        self._weights = weights
        self._parts: dict[str, list[str]] = {name: [name] for name in weights if not name.startswith(OURS)}
        for ours, theirs in bert_weight_names(num_layers).items():
            self._parts[OURS + ours] = [THEIRS + name for name in theirs]

    def __getitem__(self, name: str) -> NDArray[Any]:
        parts = [self._weights[part] for part in self._parts[name]]
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def __contains__(self, name: object) -> bool:
        return all(part in self._weights for part in self._parts.get(str(name), ["?"]))

    def __iter__(self) -> Iterator[str]:
        return iter(self._parts)

    def __len__(self) -> int:
        return len(self._parts)
