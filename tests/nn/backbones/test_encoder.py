"""What nlpkit's own encoders share: masks, types and positions of tokens, the first token alone, initial weights."""

import pytest
import torch
from backbone_support import TINY

from nlpkit.nn.backbones import build
from nlpkit.nn.backbones.roformer_v2 import RoFormerV2
from nlpkit.nn.configs import RoFormerV2Config


def test_hidden_states_and_attention_masks():
    backbone = RoFormerV2(RoFormerV2Config(**TINY)).eval()
    ids = torch.tensor([[2, 7, 9, 3]])
    states = backbone.hidden_states(ids, None)
    assert len(states) == 3
    torch.testing.assert_close(states[-1], backbone(ids, torch.ones(1, 4, dtype=torch.bool)))
    causal = torch.ones(1, 4, 4, dtype=torch.bool).tril()
    prefix = backbone(ids[:, :2], causal[:, :2, :2])
    torch.testing.assert_close(backbone(ids, causal)[:, :2], prefix, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    "description",
    [
        {"type": "roformer_v2", **TINY},
        {"type": "bert", **TINY},
        {"type": "gau_alpha", "vocab_size": 30, "hidden_size": 16, "num_layers": 2, "key_size": 8, "dropout": 0.0},
    ],
    ids=lambda description: description["type"],
)
def test_the_first_token_alone(description):
    torch.manual_seed(0)
    backbone = build(description).eval()
    ids, mask = torch.randint(5, 30, (3, 6)), torch.arange(6) < torch.tensor([6, 2, 4])[:, None]
    torch.testing.assert_close(backbone.first_token_states(ids, mask), backbone(ids, mask)[:, 0], atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(backbone.first_token_states(ids, None), backbone(ids, None)[:, 0], atol=1e-6, rtol=1e-5)


ALL = pytest.mark.parametrize("kind", ["roformer_v2", "gau_alpha", "bert"])


def made(kind, **changes):
    torch.manual_seed(0)
    sizes = {**TINY, **changes}
    if kind == "gau_alpha":
        del sizes["num_heads"]
        sizes["key_size"] = 8
    return build({"type": kind, **sizes}).eval()


@ALL
def test_types_and_positions_have_defaults(kind):
    backbone, ids = made(kind), torch.randint(5, 30, (2, 6))
    states = backbone(ids, None)
    zeros, places = torch.zeros_like(ids), torch.arange(6).expand(2, 6)
    torch.testing.assert_close(backbone(ids, None, zeros, places), states)
    assert not torch.allclose(backbone(ids, None, zeros + 1), states, atol=1e-3)
    assert not torch.allclose(backbone(ids, None, None, 2 * places), states, atol=1e-3)


@pytest.mark.parametrize(("kind", "relative"), [("roformer_v2", True), ("gau_alpha", True), ("bert", False)])
def test_rotary_positions_are_relative(kind, relative):
    backbone, ids = made(kind), torch.randint(5, 30, (2, 6))
    moved = backbone(ids, None, None, torch.arange(6) + 7)
    assert torch.allclose(moved, backbone(ids, None), atol=1e-5) is relative


@ALL
def test_padding_changes_nothing(kind):
    backbone, ids = made(kind), torch.randint(5, 30, (2, 6))
    mask = torch.ones_like(ids).bool()
    wide, wide_mask = torch.nn.functional.pad(ids, (0, 3)), torch.nn.functional.pad(mask, (0, 3))
    torch.testing.assert_close(backbone(wide, wide_mask)[:, :6], backbone(ids, mask), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("kind", ["roformer_v2", "gau_alpha"])
@pytest.mark.parametrize("layers", [1, 4])
def test_matrices_begin_smaller_in_deeper_encoders(kind, layers):
    """Truncated at two deviations, which makes the deviation 1/√(d·layers)."""
    backbone = made(kind, vocab_size=400, hidden_size=64, num_layers=layers)
    for weight in backbone.state_dict().values():
        if weight.dim() == 1:
            assert weight.tolist() == [1.0] * len(weight)
        elif weight.numel() > 1000:
            assert weight.std().item() == pytest.approx((64 * layers) ** -0.5, rel=0.1)


def test_an_encoder_on_the_meta_device_has_no_weights_yet():
    with torch.device("meta"):
        backbone = RoFormerV2(RoFormerV2Config(**TINY))
    assert all(parameter.is_meta for parameter in backbone.parameters())
