"""Tokens encoded in parts, with a cache, get the states that they get when all are encoded at once."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpkit.nn.backbones import build
from nlpkit.nn.layers.kv_cache import KeyValueCache
from nlpkit.nn.tokens import TokenBatch

BACKBONES = {
    "roformer_v2": {"hidden_size": 16, "num_layers": 2, "num_heads": 2, "intermediate_size": 32},
    "gau_alpha": {"hidden_size": 16, "num_layers": 2, "intermediate_size": 32, "key_size": 8},
    "bert": {"hidden_size": 16, "num_layers": 2, "num_heads": 2, "intermediate_size": 32},
    "auto": {"config": {"model_type": "bert", "vocab_size": 30, "hidden_size": 16, "num_hidden_layers": 2,
                        "num_attention_heads": 2, "intermediate_size": 32}},
}  # fmt: skip
MADE = {}


def backbone(kind):
    if kind not in MADE:
        torch.manual_seed(1)
        sizes = {} if kind == "auto" else {"vocab_size": 30}
        MADE[kind] = build({"type": kind, **sizes, **BACKBONES[kind]}).eval()
    return MADE[kind]


@pytest.mark.parametrize("kind", BACKBONES)
@settings(max_examples=12)
@given(data=st.data())
def test_parts_of_chosen_rows_are_like_the_whole(kind, data):
    network = backbone(kind)
    draw = data.draw
    count = draw(st.integers(1, 3))
    texts = [draw(st.lists(st.integers(1, 29), min_size=1, max_size=5)) for _ in range(count)]
    prefixes = [len(text) for text in texts]
    cache, parts = KeyValueCache(), texts
    for turn in range(3):
        if any(parts):
            read = [row for row, part in enumerate(parts) if part]
            last = torch.tensor([len(part) for part in parts]).cumsum(0)[read] - 1
            with torch.inference_mode():
                states = network.forward_with_cache(new_tokens(texts, parts, min(turn, 1)), last, cache)
            for state, row in zip(states, read, strict=True):
                torch.testing.assert_close(state, whole(network, texts[row], prefixes[row]), atol=2e-5, rtol=1e-4)
        rows = draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=4))
        cache = cache.select(torch.tensor(rows))
        texts, prefixes, count = [texts[row] for row in rows], [prefixes[row] for row in rows], len(rows)
        parts = [draw(st.lists(st.integers(1, 29), max_size=3)) for _ in rows]
        texts = [text + part for text, part in zip(texts, parts, strict=True)]


def new_tokens(texts, parts, token_type):
    """The last part of each text; tokens of type 0 attend to their part, the others to all tokens before them."""
    ids = [token for part in parts for token in part]
    rows = [row for row, part in enumerate(parts) for _ in part]
    slots = [slot for part in parts for slot in range(len(part))]
    places = [
        len(text) - len(part) + slot for text, part in zip(texts, parts, strict=True) for slot in range(len(part))
    ]
    mask = torch.zeros(len(texts), max(slots) + 1, max(map(len, texts))).bool()
    for row, slot, place in zip(rows, slots, places, strict=True):
        mask[row, slot, : place + 1 if token_type else len(parts[row])] = True
    types = torch.full((len(ids),), token_type)
    return TokenBatch(torch.tensor(ids), types, *map(torch.tensor, (places, rows, places, slots)), mask)


def whole(network, ids, prefix):
    """The last state of a row whose first tokens attend to each other, and the others what is before them."""
    size = len(ids)
    mask = torch.ones(size, size).tril().bool()
    mask[:prefix, :prefix] = True
    segments = (torch.arange(size) >= prefix).long()[None]
    with torch.inference_mode():
        return network(torch.tensor([ids]), mask[None], segments, torch.arange(size)[None])[0, -1]


def test_new_tokens_are_appended_and_the_buffer_is_reused():
    parts = [torch.rand(2, size, 1, 3) for size in (3, 2, 1, 4, 30, 1)]
    cache, used, before = KeyValueCache(), 0, None
    for turn, part in enumerate(parts):
        size = part.shape[1]
        rows, slots = torch.ones(2, size).nonzero(as_tuple=True)
        new = TokenBatch(slots, slots, slots, rows, used + slots, slots, torch.ones(2, size, used + size).bool())
        found = cache.write("key", part.flatten(0, 1), new)
        used += size
        assert found.equal(torch.cat(parts[: turn + 1], 1))
        if turn in (1, 2, 5):  # the buffer had space
            assert found.data_ptr() == before
        before = found.data_ptr()
    selected = cache.select(torch.tensor([1]))
    assert selected.tensors["key"].equal(torch.cat(parts, 1)[1:])
    assert cache.tensors["key"].equal(torch.cat(parts, 1))


def test_positions_without_a_token_are_zeros():
    new = TokenBatch(*map(torch.tensor, ([7], [0], [0], [1], [2], [0])), torch.ones(2, 1, 3).bool())
    assert KeyValueCache().write("ids", new.input_ids, new).tolist() == [[0, 0, 0], [0, 0, 7]]
