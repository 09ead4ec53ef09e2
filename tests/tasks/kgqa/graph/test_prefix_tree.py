"""The prefix tree and its facts against dictionaries."""

import random

import pytest
from graph_support import SMALL, TOKENIZER, Slow, check_facts, check_tree, triples
from hypothesis import given
from hypothesis import settings as limited

from nlpkit.core.text.tokenizer import SPECIALS, CharTokenizer
from nlpkit.errors import DataError
from nlpkit.tasks.kgqa.graph.build import build_graph
from nlpkit.tasks.kgqa.graph.graph import Graph


@pytest.mark.usefixtures("small_format")
@limited(max_examples=30)
@given(triples)
def test_every_node_and_key(tmp_path_factory, triples):
    graph = build_graph(triples, tmp_path_factory.mktemp("g"), TOKENIZER, sizes=SMALL)
    slow = Slow(triples)
    check_tree(graph, slow)
    check_facts(graph, slow)
    assert sorted(graph.triples(chunk_size=2)) == sorted(set(triples))
    assert len(graph) == len(set(triples)) == len(triples) - graph.manifest.counts["duplicates"]


def test_a_larger_graph_with_the_usual_limits(tmp_path):
    chance = random.Random(0)
    names = ["".join(chance.choices("中国江西长", k=chance.randint(1, 6))) for _ in range(700)]
    triples = [(chance.choice(names), "p" + "会省"[i % 2] * (i % 7), str(i % 900)) for i in range(3000)]
    triples += [("江", f"省{i}", "x") for i in range(1200)]  # a name that is a heavy node
    graph = build_graph(triples, tmp_path / "G.kg", TOKENIZER)
    assert len(graph.tree.heavy.nodes) > 2
    slow = Slow(triples)
    check_facts(graph, slow)
    for key in chance.sample(slow.keys, 300):
        node = graph.tree.root
        for depth, token in enumerate(key):
            assert graph.tree.next_tokens(node)[0].tolist() == slow.children(key[:depth])
            node = graph.tree.advance(node, token)
        assert graph.tree.keys(node) == (slow.keys.index(key), slow.keys.index(key) + 1)
        with pytest.raises(KeyError):
            graph.tree.advance(node, TOKENIZER.sep_id)


def test_a_token_outside_of_the_vocabulary_is_damage(tmp_path):
    """As after a flipped bit in a large graph; the network has no embedding for it."""
    build_graph([(name, "省", "会") for name in ("江", "长", "江西")], tmp_path / "g", TOKENIZER)
    tree = Graph.open(tmp_path / "g", TOKENIZER).tree
    assert tree.vocab_size == TOKENIZER.vocab_size
    tree.vocab_size = min(tree.tokens(0).tolist())
    for call in (
        lambda: tree.tokens(0),
        lambda: tree.next_tokens(tree.root),
        lambda: tree.next_tokens(tree.subject(0)),
        lambda: tree.forced(tree.subject(0)),
    ):
        with pytest.raises(DataError, match="a token that is not in the vocabulary"):
            call()


def test_a_vocabulary_too_large_for_two_bytes(tmp_path):
    tokenizer = CharTokenizer([*SPECIALS, *(f"[unused{i}]" for i in range(70_000)), "中", "国", "江"])
    graph = build_graph([("中国", "江", "1"), ("国", "江", "2")], tmp_path / "G.kg", tokenizer)
    assert [graph.tree.tokens(key).tolist() for key in range(2)] == [
        [*tokenizer.encode(name).ids, tokenizer.sep_id, tokenizer.ids["江"], tokenizer.sep_id, tokenizer.sep_id]
        for name in ("中国", "国")
    ]
