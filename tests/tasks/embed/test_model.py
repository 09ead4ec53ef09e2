"""The network that is trained: its poolings, and which losses a method and its weights add up."""

import pytest
import torch
import torch.nn.functional as F
from support import SENTENCE, vocabulary

from nlpkit.core.text.padding import pad_batch
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.nn.backbones import build
from nlpkit.nn.losses import cosent_loss, r_drop_loss, simcse_loss
from nlpkit.nn.network import Inputs
from nlpkit.tasks.embed.model import EmbedNetwork

TOKENIZER = CharTokenizer(vocabulary(SENTENCE))
TEXTS = ["叶老桂", "浙商银行工作", "小明", "北京大学", "工作", "老王"]
TARGETS = {
    "scores": torch.tensor([2.0, 0.0, 2.0]),
    "best": torch.tensor([True, False, True]),
    "sentences": torch.arange(6),
}


def network(pooling="mean", method="cosent", scale=20.0, contrast=0.0, r_drop=0.0):
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_layers": 2, "num_heads": 2, "intermediate_size": 16, "max_length": 32}
    backbone = build({"type": "roformer_v2", "vocab_size": TOKENIZER.vocab_size, **sizes})
    with torch.no_grad():
        backbone.embeddings.weight.mul_(30)  # vectors that differ
    return EmbedNetwork(backbone, pooling, method, scale, contrast, r_drop).eval()


@pytest.fixture
def inputs():
    sequences = [[TOKENIZER.cls_id, *TOKENIZER.encode(text).ids, TOKENIZER.sep_id] for text in TEXTS]
    return Inputs.of(*pad_batch(sequences, TOKENIZER.pad_id))


@pytest.mark.parametrize(
    ("pooling", "slow"),
    [
        ("cls", lambda states: states[-1][0]),
        ("mean", lambda states: states[-1].mean(0)),
        ("first-last", lambda states: (states[1].mean(0) + states[-1].mean(0)) / 2),
    ],
)
def test_vectors_are_pooled_without_the_padding(inputs, pooling, slow):
    model = network(pooling)
    with torch.no_grad():
        found = model(inputs)
        for row, vector in zip(inputs.input_ids, found, strict=True):
            ids = row[row != TOKENIZER.pad_id][None]
            states = [state[0] for state in model.backbone.hidden_states(ids, None)]
            torch.testing.assert_close(vector, slow(states), rtol=1e-4, atol=1e-4)
    assert found.dtype == torch.float32


def test_simcse_contrasts_all_sentences(inputs):
    model = network(method="simcse", scale=10.0)
    vectors = model(inputs)
    torch.testing.assert_close(model.loss(inputs, TARGETS), simcse_loss(vectors, 10.0, TARGETS["sentences"]))


def test_cosent_compares_the_cosines_of_the_pairs(inputs):
    model = network(scale=7.0)
    vectors = model(inputs)
    cosines = torch.stack([F.cosine_similarity(vectors[i], vectors[i + 1], dim=0) for i in (0, 2, 4)])
    torch.testing.assert_close(model.loss(inputs, TARGETS), cosent_loss(cosines, TARGETS["scores"], 7.0))


def test_contrast_adds_the_loss_of_the_best_pairs(inputs):
    plain = network().loss(inputs, TARGETS)
    anchors = torch.tensor([True, True, False, False, True, True])
    expected = simcse_loss(network()(inputs), 20.0, TARGETS["sentences"], anchors)
    assert expected > 0.01
    torch.testing.assert_close(network(contrast=0.5).loss(inputs, TARGETS), plain + 0.5 * expected)


def test_without_dropout_r_drop_adds_nothing(inputs):
    torch.testing.assert_close(network(r_drop=4.0).loss(inputs, TARGETS), network().loss(inputs, TARGETS))


def test_r_drop_compares_the_similarities_of_two_passes(inputs):
    """Of each sentence to every other one, without itself."""
    model = network(r_drop=4.0)
    first, second = torch.randn(2, 6, 16).unbind()
    passes = iter([first, second])
    model.forward = lambda given: next(passes)
    found = model.loss(inputs, TARGETS)

    def logits(vectors):
        unit = F.normalize(vectors, dim=-1)
        return torch.stack([torch.stack([20 * unit[i] @ unit[j] for j in range(6) if j != i]) for i in range(6)])

    def cosent(vectors):
        return cosent_loss(F.cosine_similarity(vectors[0::2], vectors[1::2]), TARGETS["scores"], 20.0)

    expected = (cosent(first) + cosent(second)) / 2 + 4 * r_drop_loss(logits(first), logits(second))
    torch.testing.assert_close(found, expected)


def test_gradients_reach_the_backbone(inputs):
    model = network(contrast=0.5)
    model.loss(inputs, TARGETS).backward()
    assert model.backbone.embeddings.weight.grad.abs().sum() > 0
