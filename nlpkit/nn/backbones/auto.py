"""Whatever `transformers.AutoModel` loads: BERT, RoBERTa, MacBERT, RoFormer and their kin."""

from typing import Any

from torch import Tensor, nn

from nlpkit.nn.backbones.base import Backbone


class AutoBackbone(Backbone):
    """A transformers encoder with our signature. transformers is imported only when one is made."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model
        config: Any = model.config
        self.hidden_size: int = config.hidden_size
        self.vocab_size: int = config.vocab_size
        self.max_length: int = getattr(config, "max_position_embeddings", 512)
        self._segments = getattr(config, "type_vocab_size", 0) > 0

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> "AutoBackbone":
        """Random weights, from the dict of a transformers config."""
        from transformers import AutoConfig, AutoModel

        return cls(AutoModel.from_config(AutoConfig.for_model(**config)))

    @classmethod
    def from_folder(cls, folder: str) -> "AutoBackbone":
        """Weights and config of a Hugging Face folder."""
        from transformers import AutoModel
        from transformers.utils import logging

        logging.set_verbosity_error()
        logging.disable_progress_bar()
        return cls(AutoModel.from_pretrained(folder, local_files_only=True))

    def describe(self) -> dict[str, Any]:
        """See `Backbone`."""
        config: Any = self.model.config
        return {"type": "auto", "config": config.to_dict()}

    def forward(self, input_ids: Tensor, mask: Tensor | None, segment_ids: Tensor | None = None) -> Tensor:
        """See `Backbone`."""
        extra = {"token_type_ids": segment_ids} if self._segments and segment_ids is not None else {}
        return self.model(input_ids=input_ids, attention_mask=mask, **extra).last_hidden_state  # type: ignore[no-any-return]
