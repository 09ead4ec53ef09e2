"""Beam search against brute force over all keys."""

import math
import random

import pytest
import torch
from kgqa_support import RUNTIMES, TOKENIZER, lcs, make_graph, make_network, make_runner, stepwise

from nlpkit.nn.network import Inputs
from nlpkit.tasks.kgqa.codec import Question
from nlpkit.tasks.kgqa.decoding.beam_search import beam_search

LETTERS = "红楼梦作者江"


def random_graph(folder, chance):
    def word(longest):
        return "".join(chance.choice(LETTERS) for _ in range(chance.randint(1, longest)))

    triples = set()
    for _ in range(chance.randint(1, 30)):
        meaning = f"（{word(2)}）" if chance.random() < 0.5 else ""
        triples.add((word(3) + meaning, word(3), word(2)))
    return make_graph(folder, sorted(triples)), [question(word(6)) for _ in range(3)]


def question(text):
    return Question.encode(text, TOKENIZER, 64)


def brute_force(network, tree, asked, look_ahead):
    """Every key with the log of the product of its renormalised probabilities, each from a row of its own."""
    keys = [tree.tokens(rank).tolist() for rank in range(len(tree))]
    begin, result = len(asked.ids), {}
    for rank, key in enumerate(keys):
        ids = torch.tensor([[*asked.ids, *key]])
        size = ids.shape[1]
        mask = torch.ones(size, size).tril().bool()
        mask[:begin, :begin] = True
        segments = (torch.arange(size) >= begin).long()[None]
        with torch.inference_mode():
            logs = network.generate(network(Inputs(ids, mask[None], segments))[0]).double().log_softmax(-1)
        total = 0.0
        for place, token in enumerate(key):
            prefix = key[:place]
            allowed = {other[place] for other in keys if other[:place] == prefix}
            chances = {t: math.exp(logs[begin + place - 1, t]) for t in allowed}
            if look_ahead and tree.sep_id in prefix and len(allowed) > 1:
                covered = lcs(prefix, asked.tokens)
                for t in allowed:
                    behind = [other for other in keys if other[: place + 1] == [*prefix, t]]
                    gain = max(lcs(other, asked.tokens) for other in behind) - covered
                    chances[t] **= 1 / (gain + 1)
            total += math.log(chances[token] / sum(chances.values()))
        result[rank] = total
    return result


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("look_ahead", [False, True])
def test_a_wide_beam_finds_every_key_with_its_exact_score(tmp_path, seed, look_ahead):
    graph, questions = random_graph(tmp_path / "g", random.Random(seed))
    kind, runtime = RUNTIMES[seed % len(RUNTIMES)]
    network = make_network(kind=kind, seed=seed)
    found = beam_search(make_runner(network, runtime), graph.tree, questions, len(graph.tree), look_ahead)
    for asked, hypotheses in zip(questions, found, strict=True):
        expected = brute_force(network, graph.tree, asked, look_ahead)
        assert {h.key: h.score for h in hypotheses} == pytest.approx(expected, abs=1e-3)
        assert math.fsum(math.exp(h.score) for h in hypotheses) == pytest.approx(1.0)
        ordered = [h.score for h in hypotheses]
        assert ordered == sorted(ordered, reverse=True)


@pytest.mark.parametrize("seed", range(6))
def test_a_narrow_beam_is_the_usual_one(tmp_path, seed):
    graph, questions = random_graph(tmp_path / "g", random.Random(100 + seed))
    network = make_network(seed=seed)
    runner = make_runner(network, RUNTIMES[seed % 2][1])
    keys = [graph.tree.tokens(rank).tolist() for rank in range(len(graph.tree))]
    together = {width: beam_search(runner, graph.tree, questions, width, False) for width in (1, 2, 3)}
    for row, asked in enumerate(questions):
        scores = brute_force(network, graph.tree, asked, False)
        beginnings = {}
        for key in keys:
            for place in range(1, len(key) + 1):  # the probability of a beginning is that of all keys that begin so
                behind = (math.exp(scores[rank]) for rank, k in enumerate(keys) if k[:place] == key[:place])
                beginnings[tuple(key[:place])] = math.log(math.fsum(behind))
        for width, found in together.items():
            expected = stepwise(beginnings, keys, width)
            assert [keys[h.key] for h in found[row]] == [list(key) for key, _ in expected]
            assert [h.score for h in found[row]] == pytest.approx([score for _, score in expected], abs=1e-3)


@pytest.mark.parametrize(("kind", "runtime"), RUNTIMES)
def test_questions_together_get_what_each_gets_alone(tmp_path, kind, runtime):
    """Whatever else shares the calls: rows that are done, longer questions, and runs of forced units read in pieces."""
    chance = random.Random(5)
    triples = [
        ("红楼梦" * chance.randint(1, 5) + "作者"[: chance.randint(0, 2)], p, "江")
        for p in "江者作梦"
        for _ in range(4)
    ]
    graph, runner = make_graph(tmp_path / "g", sorted(set(triples))), make_runner(make_network(kind=kind), runtime)
    asked = [question("".join(chance.choices(LETTERS, k=chance.randint(0, 30)))) for _ in range(9)]
    for look_ahead in (False, True):
        together = beam_search(runner, graph.tree, asked, 3, look_ahead)
        for one, found in zip(asked, together, strict=True):
            (alone,) = beam_search(runner, graph.tree, [one], 3, look_ahead)
            assert [h.key for h in found] == [h.key for h in alone]
            assert [h.score for h in found] == pytest.approx([h.score for h in alone], abs=1e-4)


def test_no_question_and_an_empty_one(tmp_path):
    graph, runner = make_graph(tmp_path / "g"), make_runner(make_network())
    assert beam_search(runner, graph.tree, [], 3) == []
    (alone,) = beam_search(runner, graph.tree, [question("")], 3)
    assert len(alone) == 3
