"""Backbones, and their construction from the description in a manifest."""

from typing import Any

from nlpkit.nn.backbones.base import Backbone
from nlpkit.nn.backbones.bert import Bert
from nlpkit.nn.backbones.gau_alpha import GauAlpha
from nlpkit.nn.backbones.roformer_v2 import RoFormerV2
from nlpkit.nn.configs import read_config, unsupported

__all__ = ["Backbone", "build"]


def build(description: dict[str, Any]) -> Backbone:
    """Build a backbone with random weights from a description.

    Args:
        description: as returned by `Backbone.describe`.

    Raises:
        ModelError: an unknown type, or a field or value that this version does not support.
    """
    kind = description.get("type")
    if kind == "auto":
        from nlpkit.nn.backbones.auto import AutoBackbone

        try:
            return AutoBackbone.from_config(description["config"])
        except Exception as error:  # transformers has many, with no common class
            raise unsupported(error) from None
    config = read_config(description)
    encoder: Backbone = _ENCODERS[str(kind)](config)
    return encoder


_ENCODERS: dict[str, Any] = {"roformer_v2": RoFormerV2, "gau_alpha": GauAlpha, "bert": Bert}
