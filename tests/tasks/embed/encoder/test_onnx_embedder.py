"""Vectors of ONNX Runtime against those of torch."""

import numpy as np
import pytest
from embed_support import PLAIN
from support import SENTENCE

from nlpkit.errors import UsageError
from nlpkit.tasks.embed.encoder.onnx_embedder import LAYERS, OnnxEmbedder, pool
from nlpkit.tasks.embed.loading import load


@pytest.mark.parametrize("pooling", LAYERS)
@pytest.mark.parametrize("options", [{}, {"normalize": False}, {"prompt": "浙商："}], ids=str)
def test_vectors_are_those_of_torch(folder, pooling, options):
    texts = [*PLAIN, "", SENTENCE * 9, "叶", "Ａ股 café"]
    ours, theirs = (
        load(folder, "cpu", "fp32", pooling=pooling, runtime=runtime, **options) for runtime in ("onnx", "torch")
    )
    assert isinstance(ours, OnnxEmbedder)
    assert ours.provenance == theirs.provenance
    found, expected = ours.embed(texts), theirs.embed(texts)
    np.testing.assert_allclose(found.vectors, expected.vectors, rtol=1e-4, atol=2e-5)
    assert (found.windows, found.unknown, found.blank) == (expected.windows, expected.unknown, expected.blank)
    assert found.windows


def test_a_mean_leaves_padding_out():
    states = [np.arange(24, dtype=np.float32).reshape(2, 4, 3), np.ones((2, 4, 3), np.float32)]
    mask = np.arange(4) < np.array([[4], [1]])
    assert pool(states[:1], mask, "mean").tolist() == [[4.5, 5.5, 6.5], [12, 13, 14]]
    assert pool(states, mask, "first-last").tolist() == [[2.75, 3.25, 3.75], [6.5, 7, 7.5]]
    assert pool(states[:1], mask, "cls").tolist() == [[0, 1, 2], [12, 13, 14]]


def test_what_onnx_cannot_do(folder):
    with pytest.raises(UsageError, match="--pooling pooler: with ONNX Runtime one of cls, mean, first-last"):
        load(folder, "cpu", "fp32", pooling="pooler", runtime="onnx")
    with pytest.raises(UsageError, match="has no ONNX graph; leave it out"):
        load(folder, "cpu", "fp32", fixed=False, runtime="onnx")
