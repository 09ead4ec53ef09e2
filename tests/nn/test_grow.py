"""Grown models against the small ones that they come from."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save

from nlpkit.core.task import Inputs
from nlpkit.nn.backbones.gau_alpha import GauAlpha, GauAlphaConfig
from nlpkit.nn.backbones.roformer_v2 import RoFormerV2, RoFormerV2Config
from nlpkit.nn.grow import grow_depth, grow_width
from nlpkit.tasks.pretrain.model import MaskedLanguageModel

TINY = {"vocab_size": 20, "hidden_size": 12, "num_layers": 2, "intermediate_size": 10, "dropout": 0.0}
ROFORMER = RoFormerV2Config(**TINY, num_heads=3)
GAU = GauAlphaConfig(**TINY, key_size=6)
BOTH = pytest.mark.parametrize("config", [ROFORMER, GAU], ids=["roformer_v2", "gau_alpha"])

IDS = torch.tensor([[2, 7, 9, 11, 3], [2, 5, 3, 0, 0]])
MASK = torch.tensor([[True] * 5, [True] * 3 + [False] * 2])
PAIRS = MASK[:, None, :] & torch.ones(5, 5, dtype=torch.bool).tril()  # [b, s, s]
POSITIONS, TARGETS = torch.tensor([1, 3, 6]), torch.tensor([4, 8, 15])


def network(config, weights=None, dtype=torch.float64):
    """A model with these weights, or with random ones that are large enough for every part to matter."""
    model = MaskedLanguageModel((RoFormerV2 if isinstance(config, RoFormerV2Config) else GauAlpha)(config)).to(dtype)
    if weights is None:
        torch.manual_seed(5)
        weights = {name: torch.randn_like(weight) for name, weight in model.state_dict().items()}
        weights |= {name: weight / weight.shape[-1] ** 0.5 for name, weight in weights.items() if "layers" in name}
    model.load_state_dict(weights)
    return model


@BOTH
@pytest.mark.parametrize("factor", [1, 2, 3])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-4)])
def test_a_wider_model_computes_the_same(config, factor, dtype, tolerance):
    small = network(config, dtype=dtype)
    weights, wider = grow_width(small.state_dict(), config, factor)
    large = network(wider, weights, dtype)
    assert (wider.hidden_size, wider.rotary_size) == (factor * config.hidden_size, config.rotary_size)
    logits = small(Inputs(IDS, MASK), POSITIONS)
    torch.testing.assert_close(large(Inputs(IDS, MASK), POSITIONS), logits, atol=tolerance, rtol=tolerance)
    assert logits.std() > 0.1
    for mask in (None, MASK, PAIRS):
        for segments in (None, MASK.long()):
            old, new = (model.backbone.hidden_states(IDS, mask, segments) for model in (small, large))
            for before, after in zip(old, new, strict=True):
                torch.testing.assert_close(after, before.repeat(1, 1, factor), atol=tolerance, rtol=tolerance)


@BOTH
def test_weights_as_small_as_initial_ones_are_above_the_epsilon(config):
    config = replace(config, hidden_size=192, num_layers=12)
    torch.manual_seed(5)
    small = MaskedLanguageModel((RoFormerV2 if isinstance(config, RoFormerV2Config) else GauAlpha)(config)).double()
    weights, wider = grow_width(small.state_dict(), config, 4)
    old, new = (model(Inputs(IDS, MASK), POSITIONS) for model in (small, network(wider, weights)))
    torch.testing.assert_close(new, old, atol=0, rtol=1e-6)


@BOTH
def test_copies_learn_different_things(config):
    weights, wider = grow_width(network(config).state_dict(), config, 2)
    large = network(wider, weights)
    targets = {"positions": POSITIONS, "ids": TARGETS}
    optimiser = torch.optim.SGD(large.parameters(), 0.01)
    for step in range(2):
        optimiser.zero_grad()
        large.loss(Inputs(IDS, MASK), targets).backward()
        optimiser.step()
        for name, parameter in large.named_parameters():
            gradient = parameter.grad
            if gradient.dim() == 1 or (step == 0 and name == "transform.weight"):
                continue
            if name.endswith("segments.weight"):
                gradient = gradient[:1]  # the other segment does not occur
            elif name.endswith("qkv.weight"):
                gradient = gradient.unflatten(0, (3, -1))[2]
            elif name.endswith("inner.weight") and isinstance(config, GauAlphaConfig):
                gradient = gradient[: wider.intermediate_size]
            axis = -1 if name.startswith(("backbone.embeddings", "backbone.segments")) else -2
            first, second = gradient.chunk(2, axis)
            assert (first - second).norm() > 0.01 * first.norm() > 0, (name, step)
    states = large.backbone(IDS, None)
    assert (states[..., : config.hidden_size] - states[..., config.hidden_size :]).abs().max() > 1e-4


@BOTH
def test_shares_are_uneven_and_repeatable(config):
    old = network(config).state_dict()
    (new, _), (again, _), (other, _) = (grow_width(old, config, 2, seed=seed) for seed in (1, 1, 2))
    share = new["transform.weight"][: config.hidden_size, : config.hidden_size] / old["transform.weight"]
    assert 0.3 <= share.min() < 0.35
    assert 0.65 < share.max() <= 0.7
    assert all(torch.equal(new[name], again[name]) for name in new)
    assert not torch.equal(new["transform.weight"], other["transform.weight"])


@BOTH
def test_a_deeper_model_repeats_the_stack(config):
    old = network(config).state_dict()
    weights, deeper = grow_depth(old, config, 3)
    assert deeper == replace(config, num_layers=6)
    large = network(deeper, weights)  # loads strictly, so the names are right
    assert save(weights)
    for name, weight in old.items():
        if name.startswith("backbone.layers.1."):
            for layer in (1, 3, 5):
                assert torch.equal(weights[name.replace("layers.1.", f"layers.{layer}.")], weight)
    assert torch.equal(large.transform.weight, old["transform.weight"])


@BOTH
@pytest.mark.parametrize("grow", [grow_width, grow_depth])
@pytest.mark.parametrize("factor", [0, -2])
def test_a_factor_below_one_is_refused(config, grow, factor):
    with pytest.raises(ValueError, match=f"not {factor}"):
        grow({}, config, factor)
