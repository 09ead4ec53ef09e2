"""Scores of candidates, and the shortlist."""

import numpy as np
import pytest
import torch
from kgqa_support import RUNTIMES, SIZES, TOKENIZER, make_graph, make_network, make_runner

from nlpkit.core.text.padding import TokenBudget
from nlpkit.tasks.kgqa.codec import Question
from nlpkit.tasks.kgqa.network.model import mention_border_scores
from nlpkit.tasks.kgqa.retrieval.candidates import CandidateFinder
from nlpkit.tasks.kgqa.retrieval.ranker import MAX_GAP, SHORTLIST, Ranker, Ranking
from nlpkit.tasks.kgqa.training.key_batch import collate

TEXTS = ("红楼梦的作者和长江的长度是多少？", "南京面积", "天气怎样", "曹雪芹的出生地在哪里？")


@pytest.fixture(scope="module")
def finder(tmp_path_factory):
    return CandidateFinder(make_graph(tmp_path_factory.mktemp("graph") / "g"))


@pytest.fixture(scope="module", params=RUNTIMES, ids="-".join)
def ranker(finder, request):
    kind, runtime = request.param
    return Ranker(make_runner(make_network(kind=kind), runtime), finder)


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


def test_candidates_of_unlikely_names_are_not_encoded(finder, monkeypatch):
    """The borders say that the subject is 长江; without them, all names are likely."""
    text = "红楼梦的作者和长江的长度是多少？"
    questions, (candidates,) = candidates_of(finder, [text])
    network = make_network()
    network.border_weight.data[:] = 1.0
    runner = make_runner(network)
    ranker = Ranker(runner, finder)
    (everything,) = ranker.rank(questions, [candidates])
    assert everything.candidates == candidates
    likeliest = text.index("长江") + 1  # after [CLS]

    def borders(states):
        scores = np.zeros((len(states), 2), dtype=np.float32)
        scores[likeliest, 0] = scores[likeliest + 1, 1] = 30
        return scores

    monkeypatch.setattr(runner, "border_scores", borders)
    (ranking,) = ranker.rank(questions, [candidates])
    assert ranking.candidates == [c for c in candidates if finder.graph.triple(c.key)[0] == "长江"]
    np.testing.assert_allclose(ranking.borders, 1.0, atol=1e-5)


@pytest.mark.parametrize(("object_tokens", "depends"), [(0, False), (2, True)])
def test_a_score_depends_on_the_object_where_it_is_read(tmp_path, ranker, object_tokens, depends):
    logits = []
    for objects in (("金陵", "6587平方千米"), ("石头城", "6587平方公里")):  # the second ones differ after two tokens
        triples = [("南京", predicate, text) for predicate, text in zip(("别名", "面积"), objects, strict=True)]
        finder = CandidateFinder(make_graph(tmp_path / objects[0], triples), object_tokens)
        questions, candidates = candidates_of(finder, ["南京面积"])
        (ranking,) = Ranker(ranker.runner, finder).rank(questions, candidates)
        logits.append(dict(zip([finder.graph.triple(c.key)[2] for c in candidates[0]], ranking.logits, strict=True)))
    first, second = logits
    assert first["面积"] == pytest.approx(second["面积"], abs=1e-5)
    assert (first["别名"] != pytest.approx(second["别名"], abs=1e-4)) == depends


def test_the_shortlist_keeps_the_best_candidates_in_their_order(finder, ranker):
    _, candidates = candidates_of(finder, [TEXTS[0], TEXTS[3]])
    random = np.random.default_rng(0)
    borders = [-random.exponential(1.5, (len(group), 2)).astype(np.float32) for group in candidates]
    sizes = {maximum: [] for maximum in (3, 99)}
    for maximum, found in sizes.items():
        shortlists = ranker.shortlists(candidates, borders, maximum)
        for group, scores, kept in zip(candidates, borders, shortlists, strict=True):
            features = np.array([candidate.features for candidate in group], dtype=np.float32)
            logits = ranker.runner.rank_without_states(features, scores)
            best = [
                i for i in sorted(range(len(group)), key=lambda i: -logits[i]) if logits[i] >= logits.max() - MAX_GAP
            ]
            assert kept.tolist() == sorted(best[:maximum])
            found.append(len(kept))
    assert max(sizes[3]) == 3
    assert max(sizes[99]) > 3
    assert sum(sizes[99]) < sum(map(len, candidates))


def test_facts_of_the_subject_are_not_displaced_by_those_of_other_names(tmp_path):
    """Beside the facts of two other names, as good by their strings, that of the subject is the last one."""
    triples = [("甲乙", "别称", "丙")] + [(name, f"谁{i}", "丁") for name in ("丙丁", "戊己") for i in range(SHORTLIST)]
    network = make_network()
    for parameter in network.wide.parameters():
        parameter.data.zero_()
    finder = CandidateFinder(make_graph(tmp_path / "g", triples))
    ranker = Ranker(make_runner(network), finder)
    _, (candidates,) = candidates_of(finder, ["丙丁戊己谁甲乙"])
    assert len(candidates) > SHORTLIST
    subject = [finder.graph.triple(candidate.key)[0] == "甲乙" for candidate in candidates]
    borders = np.array([(-0.1, -0.1) if value else (-1.5, -1.5) for value in subject], dtype=np.float32)
    kept = {}
    for weight in (0.0, 1.0):
        network.border_weight.data[:] = weight
        (indices,) = ranker.shortlists([candidates], [borders])
        kept[weight] = subject.index(True) in indices
    assert kept == {0.0: False, 1.0: True}


@pytest.mark.parametrize("kind", SIZES)
def test_scores_are_those_of_the_network_in_one_sequence(finder, kind):
    """As in training, where a question and its keys are encoded together."""
    network = make_network(kind=kind)
    questions, candidates = candidates_of(finder, [TEXTS[0], TEXTS[3]])
    tries = [finder.trie(group) for group in candidates]
    batch = collate(questions, tries, TOKENIZER.pad_id)
    leaves = [batch.index_of(index, leaf) for index, trie in enumerate(tries) for leaf in trie.leaves]
    features = torch.tensor([candidate.features for group in candidates for candidate in group])
    columns = torch.tensor([candidate.mention.columns for group in candidates for candidate in group])
    question_ids = torch.tensor([index for index, group in enumerate(candidates) for _ in group])
    with torch.inference_mode():
        states = network(batch.inputs)
        borders = network.border_scores(states, torch.tensor([len(question.ids) for question in questions]))
        borders = mention_border_scores(borders, question_ids, columns)
        logits = network.rank(states.flatten(0, 1)[leaves], features, borders)
    rankings = Ranker(make_runner(network), finder).rank(questions, candidates)
    assert all(len(group) <= SHORTLIST for group in candidates)
    np.testing.assert_allclose(np.concatenate([ranking.logits for ranking in rankings]), logits, atol=1e-4)
    found = np.concatenate([ranking.borders for ranking in rankings])
    np.testing.assert_allclose(found, borders.sum(-1).exp(), atol=1e-5)


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
