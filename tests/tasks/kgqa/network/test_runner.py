"""Functions that runners and those who call them share."""

import numpy as np
import torch

from nlpkit.tasks.kgqa.network.runner import log_softmax


def test_log_probabilities_are_those_of_torch():
    scores = np.random.default_rng(0).normal(0, 50, (3, 4, 2)).astype(np.float32)
    for axis in (-1, 1):
        expected = torch.from_numpy(scores).log_softmax(axis).numpy()
        np.testing.assert_allclose(log_softmax(scores, axis), expected, rtol=1e-5, atol=1e-5)
