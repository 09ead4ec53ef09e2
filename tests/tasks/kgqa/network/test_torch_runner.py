"""The runner in torch: arrays in and out, without gradients."""

import numpy as np
import pytest
import torch
from kgqa_support import SIZES, TOKENIZER, make_network, make_runner

from nlpkit.nn.network import Inputs
from nlpkit.tasks.kgqa.codec import Question, question_tokens
from nlpkit.tasks.kgqa.retrieval.candidates import NUM_FEATURES


@pytest.mark.parametrize("kind", SIZES)
def test_it_computes_what_the_network_computes(kind):
    network = make_network(kind=kind).train()
    runner = make_runner(network)
    question = Question.encode("红楼梦的作者是谁？", TOKENIZER, 64)
    states = runner.encode(question_tokens([question]), np.arange(len(question.ids)), runner.new_cache())
    assert not network.training
    random = np.random.default_rng(0)
    features = random.random((len(states), NUM_FEATURES), dtype=np.float32)
    borders = random.random((len(states), 2), dtype=np.float32)
    with torch.inference_mode():
        inputs = Inputs(torch.tensor([question.ids]), torch.ones(1, len(question.ids)).bool())
        expected = network(inputs)[0]
        pairs = [
            (states, expected),
            (runner.generate(states), network.generate(expected)),
            (runner.border_scores(states), network.borders(expected)),
            (
                runner.rank(states, features, borders),
                network.rank(expected, *map(torch.from_numpy, (features, borders))),
            ),
            (
                runner.rank_without_states(features, borders),
                network.rank_without_states(*map(torch.from_numpy, (features, borders))),
            ),
        ]
    for found, wanted in pairs:
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, wanted.numpy(), rtol=1e-4, atol=1e-4)
