"""Grown models against the small ones that they come from."""

from dataclasses import replace

import pytest
import torch
from safetensors.torch import save

from nlpkit.nn.backbones.gau_alpha import GauAlpha
from nlpkit.nn.backbones.roformer_v2 import RoFormerV2
from nlpkit.nn.configs import BertConfig, GauAlphaConfig, RoFormerV2Config
from nlpkit.nn.grow import grow_depth, grow_width
from nlpkit.nn.network import Inputs
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


def wide(config, weights, factor, **options):
    """Arguments of `network` for the wider model."""
    weights, config = grow_width(weights, config, factor, **options)
    return config, weights


@BOTH
@pytest.mark.parametrize("factor", [1, 2, 3])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-9), (torch.float32, 1e-4)])
def test_a_wider_model_computes_the_same(config, factor, dtype, tolerance):
    small = network(config, dtype=dtype)
    wider, weights = wide(config, small.state_dict(), factor)
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
def test_embeddings_as_small_as_real_ones_stay_above_the_epsilon(config):
    weights = network(config).state_dict()
    for name in ("backbone.embeddings.weight", "backbone.segments.weight"):
        weights[name] *= 0.01
    old, new = (network(*pair)(Inputs(IDS, MASK), POSITIONS) for pair in ((config, weights), wide(config, weights, 3)))
    torch.testing.assert_close(new, old, atol=1e-7, rtol=1e-6)


def gaps(model, config):
    """How far the gradients of the two copies of each weight are apart, as a share of their size."""
    model.zero_grad()
    model.loss(Inputs(IDS, MASK), {"positions": POSITIONS, "ids": TARGETS}).backward()
    found = {}
    for name, parameter in model.named_parameters():
        gradient = parameter.grad
        if gradient.dim() == 1:
            continue
        if name.endswith("qkv.weight"):
            gradient = gradient.unflatten(0, (3, -1))
        elif name.endswith("inner.weight") and isinstance(config, GauAlphaConfig):
            gradient = gradient[: -config.key_size].unflatten(0, (2, -1))
        first, second = gradient.chunk(2, -1 if name.startswith(("backbone.embeddings", "backbone.segments")) else -2)
        found[name] = ((first - second).norm() / first.norm()).item()
    return found


@BOTH
def test_copies_learn_different_things(config):
    model = network(*wide(config, network(config).state_dict(), 2))
    optimiser = torch.optim.SGD(model.parameters(), 0.1)
    first = gaps(model, config)
    assert first.pop("transform.weight") < 1e-9
    assert min(first.values()) > 0.01
    optimiser.step()
    assert min(gaps(model, config).values()) > 1e-3


@BOTH
def test_copies_with_equal_shares_would_not(config):
    model = network(*wide(config, network(config).state_dict(), 2, coefficients=(0.5, 0.5)))
    assert max(gaps(model, config).values()) < 1e-9


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


def test_a_bert_does_not_grow_in_width():
    config = BertConfig(vocab_size=30, hidden_size=16, num_heads=2)
    with pytest.raises(ValueError, match="only RoFormerV2 and GAU-α can grow in width; use depth"):
        grow_width({}, config, 2)
