"""Backbones, and their construction from the description in a manifest."""

from typing import Any

from nlpkit.errors import ModelError
from nlpkit.nn.backbones.base import Backbone
from nlpkit.nn.backbones.bert import Bert, BertConfig
from nlpkit.nn.backbones.gau_alpha import GauAlpha, GauAlphaConfig
from nlpkit.nn.backbones.roformer_v2 import RoFormerV2, RoFormerV2Config

__all__ = ["Backbone", "build"]


def build(description: dict[str, Any]) -> Backbone:
    """Build a backbone with random weights from a description.

    Args:
        description: as returned by `Backbone.describe`.

    Raises:
        ModelError: an unknown type, or a field or value that this version does not support.
    """
    fields = dict(description)
    kind = fields.pop("type", None)
    try:
        if kind == "roformer_v2":
            return RoFormerV2(RoFormerV2Config(**fields))
        if kind == "gau_alpha":
            return GauAlpha(GauAlphaConfig(**fields))
        if kind == "bert":
            return Bert(BertConfig(**fields))
        if kind == "auto":
            from nlpkit.nn.backbones.auto import AutoBackbone

            return AutoBackbone.from_config(fields["config"])
    except Exception as error:  # transformers has many, with no common class
        problem = " ".join(str(error).split()) or type(error).__name__
        raise ModelError(f"the backbone's description does not fit this version of nlpkit ({problem})") from None
    raise ModelError(f"unknown backbone type {kind!r}; a newer nlpkit may know it")
