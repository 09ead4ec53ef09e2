"""Encoders that `transformers.AutoModel` loads, such as BERT, RoBERTa, MacBERT and RoFormer.

Python code in a model folder is never run. All calls of transformers that could run it are in this module, each with
`trust_remote_code=False`: otherwise transformers asks on stdin, from which nlpkit reads texts.
"""

import inspect
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from nlpkit.nn.backbones.base import Backbone
from nlpkit.nn.layers.kv_cache import KeyValueCache
from nlpkit.nn.tokens import TokenBatch

CODE_FIELDS = ("auto_map", "attn_implementation", "_attn_implementation", "experts_implementation")  # of a config.json
OPTIONAL_WEIGHTS = r"\b(pooler|embed_positions|position_ids)\b"  # not used, or computed by transformers
_REFUSED = "it needs Python code of its own, which nlpkit never runs; choose a model whose class is in transformers"


class AutoBackbone(Backbone):
    """A transformers encoder as a `Backbone`, in fp32; transformers is imported when one is constructed."""

    def __init__(self, model: Any):
        super().__init__()
        if "add_pooling_layer" in inspect.signature(type(model).__init__).parameters:
            model.pooler = None  # the effect of that argument, which AutoModel cannot pass before it knows the class
        self.model: nn.Module = model.float()  # the precision of the file may be too low for training
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
            config: the fields of a transformers configuration; those that name code are ignored.

        Raises:
            ValueError: the class is not one of transformers.
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
        """Load the configuration and the weights of a Hugging Face folder.

        Raises:
            ValueError: the model needs code of its own; or a weight is missing or has the wrong shape, which
                transformers would replace by random values, whatever memory they take.
        """
        _set_up_transformers()
        from transformers import AutoConfig, AutoModel

        with _refusing_code():
            config = AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
            config._attn_implementation = None  # a config may name a kernel on the hub
            _check_size(config, folder)
            model, report = AutoModel.from_pretrained(
                folder, config=config, local_files_only=True, trust_remote_code=False,
                output_loading_info=True, ignore_mismatched_sizes=True,
            )  # fmt: skip
        unusable = [name for name in report["missing_keys"] if not re.search(OPTIONAL_WEIGHTS, name)]
        unusable += [name for name, *_ in report["mismatched_keys"]]
        if unusable:
            raise ValueError(f"weights missing or of the wrong shape: {', '.join(sorted(unusable)[:3])}")
        return cls(model)

    @property
    @override
    def token_embeddings(self) -> Tensor:
        weight: Tensor = self.model.get_input_embeddings().weight  # type: ignore[operator]
        return weight

    @override
    def describe(self) -> dict[str, Any]:
        config: Any = self.model.config
        return {"type": "auto", "config": without_code(config.to_dict())}

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor | None,
        token_type_ids: Tensor | None = None,
        position_ids: Tensor | None = None,
    ) -> Tensor:
        """Return the last hidden states; see `Backbone.forward`.

        Raises:
            ValueError: the model does not support `position_ids`.
        """
        if position_ids is None:
            return self._run(input_ids, attention_mask, token_type_ids).last_hidden_state  # type: ignore[no-any-return]
        if not self._positions:
            raise ValueError(f"{type(self.model).__name__} takes no position_ids; choose a BERT, RoFormerV2 or GAU-α")
        return self._run(input_ids, attention_mask, token_type_ids, position_ids=position_ids).last_hidden_state  # type: ignore[no-any-return]

    def forward_with_cache(self, tokens: TokenBatch[Tensor], query_indices: Tensor, cache: KeyValueCache) -> Tensor:
        """Encode new tokens; see `Backbone`. All tokens are encoded again, as the caches of transformers differ."""
        ids, token_type_ids, position_ids = (
            cache.write(name, getattr(tokens, name), tokens) for name in ("input_ids", "token_type_ids", "position_ids")
        )
        b, _, m = tokens.attention_mask.shape
        before = cache.tensors.get("attention_mask", tokens.attention_mask.new_zeros(b, 0, 0))
        added = m - before.shape[1]
        mask = cache.tensors["attention_mask"] = F.pad(before, (0, added, 0, added))
        sequences, positions = tokens.sequence_ids, tokens.cache_positions
        mask[sequences, positions] = tokens.attention_mask[sequences, tokens.slots]
        states = self.forward(ids, mask, token_type_ids, position_ids)
        return states[sequences[query_indices], positions[query_indices]]

    @override
    def hidden_states(
        self, input_ids: Tensor, attention_mask: Tensor | None, token_type_ids: Tensor | None = None
    ) -> list[Tensor]:
        return list(self._run(input_ids, attention_mask, token_type_ids, output_hidden_states=True).hidden_states)

    def _run(self, input_ids: Tensor, attention_mask: Tensor | None, token_type_ids: Tensor | None, **more: Any) -> Any:
        extra = {"token_type_ids": token_type_ids} if self._segments and token_type_ids is not None else {}
        if attention_mask is not None and attention_mask.dim() == 3:
            attention_mask = self._additive(attention_mask)
        return self.model(input_ids=input_ids, attention_mask=attention_mask, **extra, **more)

    def _additive(self, attention_mask: Tensor) -> Tensor:
        """Return a mask [b, s, s] as the terms [b, 1, s, s] of the scores, a form that transformers does not change."""
        kind = attention_mask.device.type  # under autocast the scores and the mask have its precision
        dtype = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else next(self.parameters()).dtype
        allowed = torch.zeros(attention_mask.shape, dtype=dtype, device=attention_mask.device)
        return allowed.masked_fill(~attention_mask, torch.finfo(dtype).min)[:, None]


def _check_size(config: Any, folder: str) -> None:
    """Raise ValueError if a configuration describes more weights than the files in its folder can have."""
    from transformers import AutoModel

    stored = sum(path.stat().st_size for kind in ("*.safetensors", "*.bin") for path in Path(folder).glob(kind))
    with torch.device("meta"):
        model = AutoModel.from_config(config, trust_remote_code=False)
    needed = sum(weight.numel() for weight in model.parameters())
    if needed > 2 * stored:  # a byte holds two weights at most
        raise ValueError(f"config.json describes {needed:,} weights, more than there are")


def published_tokenizer(folder: str) -> Any:
    """Return the transformers tokenizer of a Hugging Face folder.

    Raises:
        ValueError: it needs code of its own. Other errors of transformers have no common class.
    """
    _set_up_transformers()
    from transformers import AutoTokenizer

    with _refusing_code():
        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def without_code(value: Any) -> Any:
    """Return a configuration (JSON values) without the fields, at any depth, that name code to load."""
    if isinstance(value, dict):
        return {name: without_code(item) for name, item in value.items() if name not in CODE_FIELDS}
    return [without_code(item) for item in value] if isinstance(value, list) else value


@contextmanager
def _refusing_code() -> Iterator[None]:
    """Replace the error of transformers about a model with code of its own by a message in one sentence."""
    try:
        yield
    except ValueError as error:
        if "trust_remote_code" in str(error):
            raise ValueError(_REFUSED) from None
        raise


def _set_up_transformers() -> None:
    from transformers import dynamic_module_utils
    from transformers.utils import logging

    dynamic_module_utils.TIME_OUT_REMOTE_CODE = 0  # raise instead of asking, should a call lack `trust_remote_code`
    logging.set_verbosity_error()
    logging.disable_progress_bar()
