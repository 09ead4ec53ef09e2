"""Scores of candidates, and the shortlist."""

import numpy as np
import pytest
from kgqa_support import TOKENIZER, make_graph, make_network

from nlpkit.core.text.padding import TokenBudget
from nlpkit.tasks.kgqa.codec import Question
from nlpkit.tasks.kgqa.retrieval.candidates import CandidateFinder
from nlpkit.tasks.kgqa.retrieval.ranker import Ranker, Ranking

TEXTS = ("红楼梦的作者和长江的长度是多少？", "南京面积", "天气怎样", "曹雪芹的出生地在哪里？")


@pytest.fixture(scope="module")
def finder(tmp_path_factory):
    return CandidateFinder(make_graph(tmp_path_factory.mktemp("graph") / "g"))


@pytest.fixture(scope="module")
def ranker(finder):
    network = make_network()
    return Ranker(network, finder, TOKENIZER.pad_id, network.device)


def candidates_of(finder, texts):
    questions = [Question.encode(text, TOKENIZER, 64) for text in texts]
    return questions, [finder.candidates(question, finder.mentions(question)) for question in questions]


@pytest.mark.parametrize("budget", [1, 60, 4096])
def test_a_score_does_not_depend_on_the_batch(finder, ranker, monkeypatch, budget):
    monkeypatch.setattr(ranker, "budget", TokenBudget(budget, budget))
    questions, candidates = candidates_of(finder, TEXTS)
    rankings = ranker.rank(questions, candidates)
    for question, group, ranking in zip(questions, candidates, rankings, strict=True):
        (alone,) = ranker.rank([question], [group])
        assert ranking.candidates == alone.candidates == group
        assert ranking.question is question
        np.testing.assert_allclose(ranking.logits, alone.logits, atol=1e-4)
        np.testing.assert_allclose(ranking.borders, alone.borders, atol=1e-5)
    assert len(rankings[2].logits) == 0


def test_the_shortlist_keeps_the_best_string_features_in_their_order(finder, ranker):
    _, candidates = candidates_of(finder, TEXTS)
    short = ranker.shortlists(candidates, 3)
    for group, kept in zip(candidates, short, strict=True):
        if len(group) <= 3:
            assert kept == group
            continue
        features = np.array([candidate.features for candidate in group], dtype=np.float32)
        tensor = ranker.network.bias.new_tensor(features)
        scores = ranker.network.score_features(tensor).detach().numpy()
        best = sorted(range(len(group)), key=lambda index: -scores[index])[:3]
        assert kept == [group[index] for index in sorted(best)]
    assert ranker.shortlists(candidates, 99) == candidates


def test_probabilities_and_order(finder):
    (question,), (group,) = candidates_of(finder, TEXTS[:1])
    logits = np.array([1.0, 2.0, 2.0, -1.0])
    ranking = Ranking(question, group[:4], logits, np.ones(4))
    probabilities, p_unanswerable = ranking.probabilities(2.0)
    weights = np.exp(np.append(logits, 0.0) / 2.0)
    expected = weights / weights.sum()
    np.testing.assert_allclose([*probabilities, p_unanswerable], expected)
    assert ranking.p_unanswerable(2.0) == p_unanswerable
    assert ranking.order() == [1, 2, 0, 3]
    empty = Ranking(question, [], np.empty(0), np.empty(0))
    assert empty.p_unanswerable(1.0) == 1.0
    assert empty.order() == []
