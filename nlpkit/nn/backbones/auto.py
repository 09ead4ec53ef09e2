"""Whatever `transformers.AutoModel` loads: BERT, RoBERTa, MacBERT, RoFormer and their kin.

A model is data: Python code that comes with it is never run. All calls of transformers that could run it are here, each
with `trust_remote_code=False`, as transformers otherwise asks on stdin, where the user's texts come from.
"""

import inspect
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nlpkit.nn.backbones.base import Backbone
from nlpkit.nn.layers.kv_cache import Cache, Units

NAMES_CODE = ("auto_map", "attn_implementation", "_attn_implementation", "experts_implementation")  # of a config
_REFUSED = "it needs Python code of its own, which nlpkit never runs; name a model whose class transformers has"
NOT_NEEDED = r"\b(pooler|embed_positions|position_ids)\b"  # weights not used, or computed where a file lacks them


class AutoBackbone(Backbone):
    """A transformers encoder with our signature, in fp32. transformers is imported only when one is made."""

    def __init__(self, model: Any):
        super().__init__()
        if "add_pooling_layer" in inspect.signature(type(model).__init__).parameters:
            model.pooler = None  # as that argument makes it; known only now, as AutoModel chooses the class
        self.model: nn.Module = model.float()  # transformers keeps the file's precision, too coarse for training
        config = model.config
        self.hidden_size: int = config.hidden_size
        self.vocab_size: int = config.vocab_size
        self.max_length: int = getattr(config, "max_position_embeddings", 512)
        self._segments = getattr(config, "type_vocab_size", 0) > 0
        self._positions = "position_ids" in inspect.signature(type(model).forward).parameters

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "AutoBackbone":
        """Return a backbone with random weights.

        Args:
            config: the dict of a transformers config; whatever names code in it is ignored.

        Raises:
            ValueError: transformers has no such model of its own.
        """
        _set_up_transformers()
        from transformers import AutoConfig, AutoModel

        try:
            return cls(AutoModel.from_config(AutoConfig.for_model(**without_code(config)), trust_remote_code=False))
        except ValueError:
            if "auto_map" in config:
                raise ValueError(_REFUSED) from None
            raise

    @classmethod
    def from_folder(cls, folder: str) -> "AutoBackbone":
        """Weights and config of a Hugging Face folder.

        Raises:
            ValueError: the model needs code of its own; or a weight is missing or misshapen, where transformers would
                go on with a random one.
        """
        _set_up_transformers()
        from transformers import AutoConfig, AutoModel

        with _refusing_code():
            config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            config._attn_implementation = None  # a config may name a kernel on the hub
            model, found = AutoModel.from_pretrained(
                folder, config=config, local_files_only=True, trust_remote_code=False,
                output_loading_info=True, ignore_mismatched_sizes=True,
            )  # fmt: skip
        unfit = [name for name in found["missing_keys"] if not re.search(NOT_NEEDED, name)]
        unfit += [name for name, *_ in found["mismatched_keys"]]
        if unfit:
            raise ValueError(f"missing or misshapen: {', '.join(sorted(unfit)[:3])}")
        return cls(model)

    @property
    def unit_embeddings(self) -> Tensor:
        """See `Backbone`."""
        weight: Tensor = self.model.get_input_embeddings().weight  # type: ignore[operator]
        return weight

    def describe(self) -> dict[str, Any]:
        """See `Backbone`."""
        config: Any = self.model.config
        return {"type": "auto", "config": without_code(config.to_dict())}

    def forward(
        self,
        input_ids: Tensor,
        mask: Tensor | None,
        segment_ids: Tensor | None = None,
        positions: Tensor | None = None,
    ) -> Tensor:
        """See `Backbone`.

        Raises:
            ValueError: positions are given, and this model takes none.
        """
        if positions is None:
            return self._run(input_ids, mask, segment_ids).last_hidden_state  # type: ignore[no-any-return]
        if not self._positions:
            raise ValueError(f"{type(self.model).__name__} takes no positions; take a BERT, RoFormerV2 or GAU-α")
        return self._run(input_ids, mask, segment_ids, position_ids=positions).last_hidden_state  # type: ignore[no-any-return]

    def read(self, units: Units, asked: Tensor, cache: Cache) -> Tensor:
        """See `Backbone`; everything is computed again, as each model keeps its own kind of memory."""
        ids, segments, positions = (
            cache.write(name, getattr(units, name), units) for name in ("input_ids", "segment_ids", "positions")
        )
        b, _, m = units.mask.shape
        before = cache.tensors.get("mask", units.mask.new_zeros(b, 0, 0))
        room = m - before.shape[1]
        mask = cache.tensors["mask"] = F.pad(before, (0, room, 0, room))
        mask[units.rows, units.places] = units.mask[units.rows, units.slots]
        return self.forward(ids, mask, segments, positions)[units.rows[asked], units.places[asked]]

    def hidden_states(self, input_ids: Tensor, mask: Tensor | None, segment_ids: Tensor | None = None) -> list[Tensor]:
        """See `Backbone`."""
        return list(self._run(input_ids, mask, segment_ids, output_hidden_states=True).hidden_states)

    def _run(self, input_ids: Tensor, mask: Tensor | None, segment_ids: Tensor | None, **more: Any) -> Any:
        extra = {"token_type_ids": segment_ids} if self._segments and segment_ids is not None else {}
        if mask is not None and mask.dim() == 3:
            mask = self._additive(mask)
        return self.model(input_ids=input_ids, attention_mask=mask, **extra, **more)

    def _additive(self, mask: Tensor) -> Tensor:
        """A mask [b, s, s] as [b, 1, s, s] to be added to the scores, the one that transformers takes as it is."""
        kind = mask.device.type  # autocast brings the scores, and this mask, to its own precision
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else next(self.parameters()).dtype
        allowed = torch.zeros(mask.shape, dtype=dtype, device=mask.device)
        return allowed.masked_fill(~mask, torch.finfo(dtype).min)[:, None]


def published_tokenizer(folder: str) -> Any:
    """Return the tokenizer of a Hugging Face folder, one of transformers.

    Raises:
        ValueError: it needs code of its own. Other errors of transformers have no common class.
    """
    _set_up_transformers()
    from transformers import AutoTokenizer

    with _refusing_code():
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def without_code(value: Any) -> Any:
    """Return a config (JSON values) without the fields, at any depth, that name code for transformers to load."""
    if isinstance(value, dict):
        return {name: without_code(item) for name, item in value.items() if name not in NAMES_CODE}
    return [without_code(item) for item in value] if isinstance(value, list) else value


@contextmanager
def _refusing_code() -> Iterator[None]:
    """Map what transformers says about a model with code of its own to one sentence."""
    try:
        yield
    except ValueError as error:
        if "trust_remote_code" in str(error):
            raise ValueError(_REFUSED) from None
        raise


def _set_up_transformers() -> None:
    from transformers import dynamic_module_utils
    from transformers.utils import logging

    dynamic_module_utils.TIME_OUT_REMOTE_CODE = 0  # it raises where it would ask, should a call lack our argument
    logging.set_verbosity_error()
    logging.disable_progress_bar()
