"""Tokens encoded in parts with a key/value cache get the states that torch computes for them."""

import numpy as np
import pytest
import torch
from support import randomize

from nlpkit.core.onnx.cached import CachedOnnxEncoder, OnnxCache
from nlpkit.core.onnx.weights import StoredWeights
from nlpkit.nn.backbones import build
from nlpkit.nn.configs import read_config
from nlpkit.nn.layers.kv_cache import KeyValueCache
from nlpkit.nn.tokens import TokenBatch

SIZES = {"vocab_size": 40, "hidden_size": 32, "num_layers": 3, "num_heads": 4, "intermediate_size": 48}


def made(kind):
    """A module with random weights, and its encoder in ONNX Runtime."""
    description = {"type": kind, **SIZES, "max_length": 32}
    module = build(description).eval()
    randomize(module, 3)
    weights = StoredWeights({name: value.numpy() for name, value in module.state_dict().items()})
    return module, CachedOnnxEncoder(read_config(description), weights)


def part(random, lengths, counts, token_type):
    """New tokens for sequences with these lengths, some of them none; each attends to itself and to random others."""
    sequences = np.arange(len(counts)).repeat(counts)
    slots = np.concatenate([np.arange(count) for count in counts])
    positions = lengths[sequences] + slots
    mask = random.random((len(counts), max(counts), (lengths + counts).max())) < 0.6
    mask &= np.arange(mask.shape[2]) < (lengths + counts)[:, None, None]
    mask[sequences, slots, positions] = True
    ids = random.integers(1, 40, len(slots))
    types = np.full_like(ids, token_type)
    return TokenBatch(ids, types, random.permutation(positions), sequences, positions, slots, mask)


@pytest.mark.parametrize("kind", ["bert", "roformer_v2"])
@pytest.mark.parametrize("seed", range(4))
def test_states_are_those_of_torch(kind, seed):
    module, encoder = made(kind)
    random = np.random.default_rng(seed)
    lengths, ours, theirs = np.zeros(4, dtype=np.int64), OnnxCache(), KeyValueCache()
    for turn in range(4):
        counts = random.integers(0 if turn else 1, 5, len(lengths))
        counts[random.integers(len(counts))] = 3
        tokens = part(random, lengths, counts, min(turn, 1))
        queries = np.flatnonzero(random.random(len(tokens.input_ids)) < 0.7)
        found = encoder(tokens, queries, ours)
        with torch.inference_mode():
            expected = module.forward_with_cache(tokens.map(torch.from_numpy), torch.from_numpy(queries), theirs)
        np.testing.assert_allclose(found, expected.numpy(), rtol=2e-4, atol=2e-5)
        kept = random.integers(0, len(lengths), 3)
        lengths, ours, theirs = (lengths + counts)[kept], ours.select(kept), theirs.select(kept)


@pytest.mark.parametrize("kind", ["bert", "roformer_v2"])
def test_no_states_may_be_needed(kind):
    _, encoder = made(kind)
    cache = OnnxCache()
    tokens = part(np.random.default_rng(0), np.zeros(2, dtype=np.int64), np.array([3, 1]), 0)
    assert encoder(tokens, np.empty(0, dtype=np.int64), cache).shape == (0, 32)
    assert {values.shape for values in cache.states.values()} == {(2, 3, 32)}


def test_a_selection_is_a_copy():
    _, encoder = made("bert")
    cache = OnnxCache()
    encoder(part(np.random.default_rng(0), np.zeros(2, dtype=np.int64), np.array([3, 1]), 0), np.array([0]), cache)
    selected = cache.select(np.array([1, 1]))
    selected.states["key_0"][:] = 0
    assert cache.states["key_0"][1].any()


@pytest.mark.parametrize("kind", ["bert", "roformer_v2"])
def test_positions_beyond_the_trained_ones(kind):
    """RoPE has them; a BERT takes the last one."""
    module, encoder = made(kind)
    ids = np.arange(1, 5)
    positions = np.array([30, 31, 32, 300])
    order = np.arange(4)
    tokens = TokenBatch(ids, 0 * ids, positions, 0 * ids, order, order, np.ones((1, 4, 4), dtype=np.bool_))
    with torch.inference_mode():
        expected = module.forward_with_cache(tokens.map(torch.from_numpy), torch.arange(4), KeyValueCache())
    np.testing.assert_allclose(encoder(tokens, order, OnnxCache()), expected.numpy(), rtol=2e-4, atol=2e-5)
    encoder(tokens._replace(position_ids=positions + 10_000), order, OnnxCache())
