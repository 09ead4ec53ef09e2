"""The networks: losses against formulas, R-Drop of two passes, and labels that are tokens."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from nlpkit.nn.backbones import build
from nlpkit.nn.layers.dropout import Dropout
from nlpkit.nn.network import Inputs
from nlpkit.tasks.classify.network.model import ClassifyNetwork, TokenNetwork, pooled

SIZES = {"vocab_size": 30, "hidden_size": 16, "num_layers": 1, "num_heads": 2, "intermediate_size": 16}
MASK = torch.arange(6) < torch.tensor([[6], [4], [3]])
IDS = torch.randint(5, 30, (3, 6), generator=torch.Generator().manual_seed(0))
INPUTS = Inputs(IDS, MASK)
LABELS = torch.tensor([[0], [2], [1]])
SEVERAL = torch.tensor([[0, 2], [1, -1], [-1, -1]])
MASKED = {"positions": torch.tensor([1, 7, 14]), "ids": torch.tensor([9, 11, 29])}


def make(multiple=False, r_drop=0.0, dropout=0.0, *, tokens=False, masked=False, seed=0):
    torch.manual_seed(seed)
    backbone = build({"type": "roformer_v2", **SIZES, "dropout": dropout})
    if tokens:
        return TokenNetwork(backbone, [5, 6, 7], multiple, r_drop).eval()
    network = ClassifyNetwork(backbone, 3, multiple, r_drop, masked=masked)
    torch.nn.init.normal_(network.head.weight)
    return network.eval()


@pytest.mark.parametrize("tokens", [False, True])
def test_padding_does_not_matter(tokens):
    network = make(tokens=tokens)
    logits = network(INPUTS)
    assert (logits.shape, logits.dtype) == ((3, 3), torch.float32)
    for row, length in enumerate((6, 4, 3)):
        alone = network(Inputs(IDS[row : row + 1, :length], MASK[row : row + 1, :length]))
        torch.testing.assert_close(alone[0], logits[row], atol=1e-5, rtol=1e-4)


def test_a_sequence_is_its_first_state_plus_the_mean_of_all():
    states = torch.randn(2, 3, 4, generator=torch.Generator().manual_seed(0))
    found = pooled(states, torch.tensor([[True, True, False], [True, True, True]]))
    torch.testing.assert_close(found[0], states[0, 0] + (states[0, 0] + states[0, 1]) / 2)
    torch.testing.assert_close(found[1], states[1, 0] + states[1].mean(0))


@pytest.mark.parametrize("tokens", [False, True])
def test_the_loss_of_one_label_is_the_cross_entropy(tokens):
    network = make(tokens=tokens)
    logits = network(INPUTS).double()
    expected = np.mean(
        [(logits[row].exp().sum().log() - logits[row, label]).item() for row, label in enumerate([0, 2, 1])]
    )
    assert network.loss(INPUTS, {"labels": LABELS}).item() == pytest.approx(expected, rel=1e-5)


def several_loss(logits):
    """kexue.fm 7359 for `SEVERAL`, term by term."""
    total = 0.0
    for row, gold in zip(logits.tolist(), ({0, 2}, {1}, set()), strict=True):
        total += np.log1p(sum(np.exp(x) for i, x in enumerate(row) if i not in gold))
        total += np.log1p(sum(np.exp(-row[i]) for i in gold))
    return total / 3


@pytest.mark.parametrize("tokens", [False, True])
def test_the_loss_of_several_labels_has_its_threshold_at_0(tokens):
    network = make(multiple=True, tokens=tokens)
    expected = several_loss(network(INPUTS).detach())
    assert network.loss(INPUTS, {"labels": SEVERAL}).item() == pytest.approx(expected, rel=1e-5)


def two_passes(network, seed=3):
    """The logits of two passes with the dropout masks of a seed, as `loss` computes them."""
    torch.manual_seed(seed)
    mask = MASK.repeat(2, 1)
    logits = network.logits(network.backbone(IDS.repeat(2, 1), mask), mask).detach().double()
    torch.manual_seed(seed)
    return logits[:3].numpy(), logits[3:].numpy()


def softmax(logits):
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return powers / powers.sum(-1, keepdims=True)


def test_r_drop_of_one_label_by_hand():
    """The mean cross-entropy of both passes, and α (KL(p‖q) + KL(q‖p)) / 4."""
    network = make(r_drop=4.0, dropout=0.3).train()
    passes = two_passes(network)
    p, q = map(softmax, passes)
    assert np.abs(p - q).max() > 0.01
    entropy = -np.mean([np.log(each[range(3), [0, 2, 1]]) for each in (p, q)])
    distance = (p * np.log(p / q) + q * np.log(q / p)).sum(-1).mean() / 4
    loss = network.loss(INPUTS, {"labels": LABELS})
    assert loss.item() == pytest.approx(entropy + 4 * distance, rel=1e-4)
    two_passes(network)
    assert network.loss(INPUTS, {}).item() == pytest.approx(4 * distance, rel=1e-3)  # a batch without labels


def test_r_drop_of_several_labels_by_hand():
    """kexue.fm 9039: the distance of each label is that of two Bernoulli distributions."""
    network = make(multiple=True, r_drop=2.0, dropout=0.3).train()
    passes = two_passes(network)
    p, q = (1 / (1 + np.exp(-logits)) for logits in passes)
    both = (
        p * np.log(p / q)
        + (1 - p) * np.log((1 - p) / (1 - q))
        + q * np.log(q / p)
        + (1 - q) * np.log((1 - q) / (1 - p))
    )
    distance = both.sum(-1).mean() / 4
    loss = network.loss(INPUTS, {"labels": SEVERAL})
    expected = np.mean([several_loss(torch.from_numpy(logits)) for logits in passes]) + 2 * distance
    assert loss.item() == pytest.approx(expected, rel=1e-4)
    two_passes(network)
    assert network.loss(INPUTS, {}).item() == pytest.approx(2 * distance, rel=1e-3)


@pytest.mark.parametrize("multiple", [False, True])
def test_r_drop_needs_dropout(multiple):
    """Without it both passes are the same."""
    labels = {"labels": SEVERAL if multiple else LABELS}
    with_two, with_one = make(multiple, r_drop=4.0), make(multiple)
    assert with_two.loss(INPUTS, labels).item() == pytest.approx(with_one.loss(INPUTS, labels).item(), rel=1e-5)
    assert with_two.loss(INPUTS, {}).item() == 0
    with_two.train()  # the dropout before the head is 0.1
    assert with_two.loss(INPUTS, {}).item() > 0


def test_the_loss_of_an_unlabelled_batch_trains_the_network():
    network = make(r_drop=4.0, dropout=0.3).train()
    network.loss(INPUTS, {}).backward()
    assert network.backbone.embeddings.weight.grad.abs().sum() > 0
    assert network.head.weight.grad.abs().sum() > 0


def masked_loss(network, states=None):
    states = (network.backbone(IDS, MASK) if states is None else states).flatten(0, 1)[MASKED["positions"]]
    hidden = F.gelu(states @ network.masked.transform.weight.T)
    hidden = hidden / hidden.square().mean(-1, keepdim=True).sqrt()
    logits = hidden @ network.backbone.embeddings.weight.T + network.masked.bias
    return F.cross_entropy(logits, MASKED["ids"]).item()


@pytest.mark.parametrize("tokens", [False, True])
def test_masked_tokens_are_predicted_as_well(tokens):
    network = make(tokens=tokens, masked=True)
    plain, alone = network.loss(INPUTS, {"labels": LABELS}).item(), masked_loss(network)
    assert network.loss(INPUTS, {"labels": LABELS, **MASKED}).item() == pytest.approx(plain + alone, rel=1e-4)
    assert network.loss(INPUTS, MASKED).item() == pytest.approx(alone, rel=1e-4)  # an unlabelled batch
    none = {name: value[:0] for name, value in MASKED.items()}
    assert network.loss(INPUTS, {"labels": LABELS, **none}).item() == pytest.approx(plain, rel=1e-6)


def test_of_two_passes_masked_tokens_are_predicted_in_the_first():
    network = make(r_drop=1.0, dropout=0.3, masked=True).train()
    torch.manual_seed(3)
    states = network.backbone(IDS.repeat(2, 1), MASK.repeat(2, 1))
    first, second = (masked_loss(network, each) for each in states.chunk(2))
    assert abs(first - second) > 0.01
    losses = []
    for targets in ({}, MASKED):
        torch.manual_seed(3)
        losses.append(network.loss(INPUTS, targets).item())
    assert losses[1] - losses[0] == pytest.approx(first, rel=1e-3)


def test_without_masking_there_is_no_head_for_it():
    assert not any("masked" in name for name in make().state_dict())
    names = {name for name in make(masked=True).state_dict() if "masked" in name}
    assert names == {"masked.transform.weight", "masked.bias"}


def test_the_logits_of_labels_are_those_of_their_tokens():
    network = make(tokens=True)
    with torch.no_grad():
        network.masked.bias.copy_(torch.arange(30) / 10)
    first = network.backbone(IDS, MASK)[:, 0]
    hidden = F.gelu(first @ network.masked.transform.weight.T)
    hidden = hidden / hidden.square().mean(-1, keepdim=True).sqrt()
    everything = hidden @ network.backbone.embeddings.weight.T + network.masked.bias
    torch.testing.assert_close(network(INPUTS), everything[:, [5, 6, 7]], atol=1e-5, rtol=1e-4)
    names = {name for name in network.state_dict() if not name.startswith("backbone.")}
    assert names == {"masked.transform.weight", "masked.bias"}


def test_the_head_of_masked_tokens_starts_from_that_of_the_backbone():
    backbone = build({"type": "roformer_v2", **SIZES})
    extra = {"transform.weight": torch.full((16, 16), 0.5), "bias": torch.arange(30.0)}
    backbone.extra_weights = extra
    network = TokenNetwork(backbone, [5, 6])
    assert torch.equal(network.masked.transform.weight, extra["transform.weight"])
    assert torch.equal(network.masked.bias, extra["bias"])
    backbone.extra_weights = {"transform.weight": torch.ones(3, 3), "bias": torch.ones(7)}  # of another size
    network = TokenNetwork(backbone, [5, 6])
    assert torch.equal(network.masked.bias, torch.zeros(30))
    assert network.masked.transform.weight.shape == (16, 16)


def test_the_vectors_of_the_first_batch_are_standardized():
    network = make()
    network.calibrate_statistics(lambda step: (INPUTS, {"labels": LABELS}))
    vectors = pooled(network.backbone(IDS, MASK).float(), MASK)
    torch.testing.assert_close(network.standardize(vectors).mean(0), torch.zeros(16), atol=1e-5, rtol=0)
    assert network.standardize(vectors).square().mean().item() == pytest.approx(1, rel=1e-4)
    assert make(tokens=True).calibrate_statistics(None) is None  # has none


@pytest.mark.parametrize("tokens", [False, True])
def test_heads_and_losses_are_in_single_precision_under_autocast(tokens):
    network = make(tokens=tokens, masked=True)
    with torch.autocast("cpu", torch.bfloat16):
        assert network(INPUTS).dtype == torch.float32
        loss = network.loss(INPUTS, {"labels": LABELS, **MASKED})
    assert loss.dtype == torch.float32
    loss.backward()
    trained = [parameter for name, parameter in network.named_parameters() if not name.startswith("backbone.")]
    assert len(trained) == (2 if tokens else 4)
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in trained)


def test_the_dropout_before_the_head_is_one_that_training_sets():
    assert [type(module) for module in make().modules() if isinstance(module, torch.nn.Dropout)].count(Dropout) >= 2
