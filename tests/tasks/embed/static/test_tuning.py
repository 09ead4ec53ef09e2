"""Training of a table of static vectors, on sentences and on pairs of them."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from static_support import TOKENS, Contextual, sentences
from torch.nn import functional as F

from nlpkit.core.io.progress import silent
from nlpkit.tasks.embed.static import tuning
from nlpkit.tasks.embed.static.lexicon import Lexicon
from nlpkit.tasks.embed.static.settings import DistilSettings
from nlpkit.tasks.embed.static.tuning import Tuning

TEXTS = sentences(800)
SETTINGS = DistilSettings(batch_size=64, epochs=10, lr=0.1, pair_weight=0, similarity_weight=0)


def tuned(settings, texts=TEXTS):
    """The unit vectors of the texts by the trained table, and those of the model."""
    targets = torch.from_numpy(Contextual().encode(texts))
    lexicon = Lexicon(TOKENS)
    table = torch.randn(len(TOKENS), targets.shape[1], generator=torch.Generator().manual_seed(0))
    Tuning(lexicon, table, texts, targets, [], settings).run(silent)
    means = torch.zeros(len(texts), targets.shape[1])
    with torch.inference_mode():
        for ids, starts in lexicon.find(texts):
            means += F.embedding_bag(torch.from_numpy(ids), table, torch.from_numpy(starts), mode="sum")
    return F.normalize(means, dim=1).numpy(), targets.numpy()


def error_of_nearest(vectors, targets):
    """Mean error of the cosine of each text and the one that is nearest by the vectors."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -1)
    nearest = cosines.argmax(1)
    return float(np.abs(cosines.max(1) - (targets * targets[nearest]).sum(1)).mean())


@pytest.mark.parametrize("neighbourhood", [tuning.NEIGHBOURHOOD, 201])
def test_cosines_of_nearest_neighbours_come_closer_to_those_of_the_model(monkeypatch, neighbourhood):
    monkeypatch.setattr(tuning, "NEIGHBOURHOOD", neighbourhood)
    monkeypatch.setattr(tuning, "BLOCK", 64)
    without, weighted = (error_of_nearest(*tuned(replace(SETTINGS, similarity_weight=w))) for w in (0, 30))
    assert weighted < 0.7 * without


def test_few_sentences():
    vectors, _ = tuned(replace(SETTINGS, similarity_weight=30), TEXTS[:2])  # one of them is held out
    assert np.isfinite(vectors).all()
