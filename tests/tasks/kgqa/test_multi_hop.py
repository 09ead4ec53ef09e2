"""Two-hop questions: possible first hops, and when two hops are preferred to one."""

import random

import pytest
from kgqa_support import TOKENIZER, TRIPLES, make_graph

from nlpkit.tasks.kgqa.codec import Question
from nlpkit.tasks.kgqa.data import Answer
from nlpkit.tasks.kgqa.multi_hop import MAX_CHAINS, find_chains, needs_second_hop
from nlpkit.tasks.kgqa.retrieval.candidates import CandidateFinder

LETTERS = "红楼梦作者江"


def question(text):
    return Question.encode(text, TOKENIZER, 64)


def chains_of(graph, text, best=None):
    return find_chains(graph, question(text), CandidateFinder(graph).mentions(question(text), 99), best)


def answer(subject, predicate, *objects):
    return Answer(subject, "", predicate, objects or ("x",), 1.0)


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    return make_graph(tmp_path_factory.mktemp("graph") / "g")


@pytest.mark.parametrize(
    ("text", "remaining"),
    [
        ("红楼梦的作者的出生地是哪里？", "曹雪芹的出生地是哪里？"),
        ("请问《红楼梦》的作者出生地是哪里？", "请问曹雪芹出生地是哪里？"),
        ("紅樓夢作者的出生地", "曹雪芹的出生地"),
    ],
)
def test_a_literal_first_hop(graph, text, remaining):
    chain = chains_of(graph, text)[0]
    assert chain.literal
    assert chain.question == remaining
    assert chain.question[chain.start : chain.end] == "曹雪芹"
    assert (chain.first.subject, chain.first.predicate, chain.first.objects) == ("红楼梦", "作者", ("曹雪芹",))


def test_a_paraphrased_first_hop_is_the_best_answer(graph):
    text = "红楼梦是谁写的，他的出生地在哪里？"
    assert chains_of(graph, text) == []
    (key,) = (key for key in range(len(graph.tree)) if graph.triple(key) == ("红楼梦", "古典小说", "作者"))
    (chain,) = chains_of(graph, text, Answer("红楼梦", "古典小说", "作者", ("曹雪芹",), 0.9, key=key))
    assert (chain.literal, chain.question) == (False, "曹雪芹是谁写的，他的出生地在哪里？")


def test_an_object_with_several_names_is_split(tmp_path):
    graph = make_graph(tmp_path / "g", [*TRIPLES, ("江", "作者", "曹雪芹、南京")])
    assert [chain.first.objects for chain in chains_of(graph, "江的作者的别名")] == [("曹雪芹",), ("南京",)]


def brute_force(triples, text):
    """Return the remaining question and object of every literal first hop."""
    found = set()
    subjects = {subject for subject, _, _ in triples}
    for subject, predicate, target in triples:
        for start in range(len(text)):
            for joint in ("", "的"):
                head = subject + joint + predicate
                if text.startswith(head, start) and target in subjects:
                    found.add((text[:start] + target + text[start + len(head) :], start, target))
    return found


@pytest.mark.parametrize("seed", range(10))
def test_literal_first_hops_against_brute_force(tmp_path, seed):
    chance = random.Random(seed)
    words = sorted({"".join(chance.choices(LETTERS, k=chance.randint(1, 3))) for _ in range(8)})
    triples = sorted({(chance.choice(words), chance.choice(words), chance.choice(words)) for _ in range(12)})
    graph = make_graph(tmp_path / "g", triples)
    for _ in range(20):
        text = chance.choice(words) + chance.choice(["", "的"]) + chance.choice(words) + "的" + chance.choice(words)
        chains = chains_of(graph, text)
        found = {(chain.question, chain.start, chain.first.objects[0]) for chain in chains}
        expected = brute_force(triples, text)
        assert found <= expected  # of a name that the question contains twice, only the first mention counts
        assert len(chains) <= MAX_CHAINS
        assert found or not any(start == 0 for _, start, _ in expected)
        lengths = [len(chain.first.predicate) for chain in chains]
        assert lengths == sorted(lengths, reverse=True)
        for chain in chains:
            assert chain.literal
            assert chain.end - chain.start == len(chain.first.objects[0])


@pytest.mark.parametrize(
    ("text", "second", "single", "more"),
    [
        ("红楼梦的作者的出生地是哪里？", "出生地", "作者", True),
        ("红楼梦的作者的出生地是哪里？", "代表作", "作者", False),  # the remaining question does not ask for it
        ("红楼梦的作者的出生地是哪里？", "作者", "出生地", False),  # both hops have the same predicate
        ("红楼梦的作者的出生地是哪里？", "出生", "作者的出生地", False),  # one hop covers more
    ],
)
def test_two_hops_must_cover_more_of_the_question(graph, text, second, single, more):
    chain = chains_of(graph, text)[0]
    assert chain.covers_more(second, answer("红楼梦", single), question(text)) is more


@pytest.mark.parametrize(
    ("text", "partial"),
    [
        ("红楼梦的作者的别名", True),
        ("《紅樓夢》作者的别名", True),
        ("红楼梦的作者是谁", False),
        ("红楼梦是哪位作者的", False),
    ],
)
def test_a_partial_answer(text, partial):
    assert needs_second_hop(answer("红楼梦", "作者"), question(text)) is partial
