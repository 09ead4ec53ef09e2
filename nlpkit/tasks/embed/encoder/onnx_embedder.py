"""Embeddings by an encoder in ONNX Runtime, pooled in numpy."""

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from nlpkit.core.onnx.session import OnnxEncoder
from nlpkit.core.text.padding import pad_batch
from nlpkit.tasks.embed.encoder.encoder_embedder import EncoderEmbedder
from nlpkit.tasks.embed.encoder.postprocess import Postprocessor
from nlpkit.tasks.embed.encoder.tokenize import WindowTokenizer

LAYERS = {"cls": (), "mean": (), "first-last": (1,)}  # pooling: layers whose states it needs besides the last one
Floats = NDArray[np.float32]


class OnnxEmbedder(EncoderEmbedder):
    """An embedder with a transformer encoder in ONNX Runtime.

    Args:
        tokenizer: gives token sequences.
        encoder: of the model, with the states of `LAYERS`.
        pooling: a name of `LAYERS`.
        width: d of the encoder.
        name: of the model.
        fingerprint: of its weights.
        postprocessor: applied to raw vectors.
        prompt: text put before every input.
    """

    def __init__(
        self,
        tokenizer: WindowTokenizer,
        encoder: OnnxEncoder,
        pooling: str,
        width: int,
        name: str,
        fingerprint: str,
        postprocessor: Postprocessor,
        prompt: str = "",
    ):
        self.tokenizer, self.encoder, self.pooling, self.width = tokenizer, encoder, pooling, width
        self.name, self.fingerprint, self.postprocessor, self.prompt = name, fingerprint, postprocessor, prompt

    @override
    def forward(self, sequences: list[list[int]]) -> Floats:
        input_ids, attention_mask = pad_batch(sequences, self.tokenizer.pad_id)
        return pool(self.encoder.hidden_states(input_ids, attention_mask), attention_mask, self.pooling)


def pool(states: list[Floats], attention_mask: NDArray[np.bool_], pooling: str) -> Floats:
    """Return one vector [b, d] per sequence, as `nn.pooling.pool` does.

    Args:
        states: those of the layers in `LAYERS`, and the last ones, each [b, s, d].
        attention_mask: [b, s], True at tokens.
        pooling: a name of `LAYERS`.
    """
    if pooling == "cls":
        return states[-1][:, 0]
    weights = (attention_mask / attention_mask.sum(1, keepdims=True) / len(states)).astype(np.float32)[:, None]
    vectors: Floats = np.sum([np.matmul(weights, layer)[:, 0] for layer in states], axis=0)
    return vectors
