"""Units read in parts, through a cache, give the states of all of them read at once."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpkit.nn.backbones import build
from nlpkit.nn.cache import Cache

BACKBONES = {
    "roformer_v2": {"hidden_size": 16, "num_layers": 2, "num_heads": 2, "intermediate_size": 32},
    "gau_alpha": {"hidden_size": 16, "num_layers": 2, "intermediate_size": 32, "key_size": 8},
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
def test_parts_with_padding_and_chosen_rows_are_like_the_whole(kind, data):
    network = backbone(kind)
    draw = data.draw
    count = draw(st.integers(1, 3))
    texts = [draw(st.lists(st.integers(1, 29), min_size=1, max_size=5)) for _ in range(count)]
    prefixes = [len(text) for text in texts]
    cache, valid = Cache(), torch.zeros(count, 0, dtype=torch.bool)
    parts = texts
    for turn in range(3):
        width = max(1, *map(len, parts))
        ids = torch.tensor([[*part, *([0] * (width - len(part)))] for part in parts])
        new = torch.tensor([[i < len(part) for i in range(width)] for part in parts])
        begins = torch.tensor([len(text) - len(part) for text, part in zip(texts, parts, strict=True)])
        positions = begins[:, None] + torch.arange(width)
        inner = new[:, None].expand(-1, width, -1)
        if turn:
            inner = inner & torch.ones(width, width).tril().bool()
        mask = torch.cat([valid[:, None].expand(-1, width, -1), inner], -1)
        mask[..., 0] = True
        segments = torch.full_like(ids, min(turn, 1))
        with torch.inference_mode():
            states = network(ids, mask, segments, positions, cache)
        valid = torch.cat([valid, new], 1)
        for row, (text, part) in enumerate(zip(texts, parts, strict=True)):
            if part:
                expected = whole(network, text, prefixes[row])
                torch.testing.assert_close(states[row, len(part) - 1], expected, atol=2e-5, rtol=1e-4)
        rows = draw(st.lists(st.integers(0, count - 1), min_size=1, max_size=4))
        cache = cache.rows(torch.tensor(rows))
        valid, texts, prefixes = valid[rows], [texts[row] for row in rows], [prefixes[row] for row in rows]
        count = len(rows)
        parts = [draw(st.lists(st.integers(1, 29), max_size=3)) for _ in rows]
        texts = [text + part for text, part in zip(texts, parts, strict=True)]


def whole(network, ids, prefix):
    """The last state of a row whose first units see each other, and the others what is before them."""
    size = len(ids)
    mask = torch.ones(size, size).tril().bool()
    mask[:prefix, :prefix] = True
    segments = (torch.arange(size) >= prefix).long()[None]
    with torch.inference_mode():
        return network(torch.tensor([ids]), mask[None], segments, torch.arange(size)[None])[0, -1]


def test_a_model_without_positions_says_so():
    config = {"model_type": "roformer", "vocab_size": 30, "embedding_size": 16, "hidden_size": 16,
              "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}  # fmt: skip
    network = build({"type": "auto", "config": config})
    ids = torch.tensor([[1, 2]])
    with pytest.raises(ValueError, match="takes no positions"):
        network(ids, torch.ones(1, 2, 2).bool(), None, torch.arange(2)[None])


def test_what_is_appended_stands_behind_what_was_there_and_moves_nothing():
    cache, parts = Cache(), [torch.rand(2, 1, size, 3) for size in (3, 2, 1, 4, 30, 1)]
    before = None
    for turn, part in enumerate(parts):
        whole = cache.append("0.key", part, 2)
        assert whole.equal(torch.cat(parts[: turn + 1], 2))
        assert cache.get("0.key") is whole
        if turn in (2, 3, 5):  # there was room
            assert whole.data_ptr() == before
        before = whole.data_ptr()
    assert cache.rows(torch.tensor([1])).get("0.key").equal(torch.cat(parts, 2)[1:])
