"""Look-ahead gains against the longest common subsequences of all keys."""

import random

import pytest
from kgqa_support import TOKENIZER, TRIPLES, lcs, make_graph

from nlpkit.tasks.kgqa.codec import Question
from nlpkit.tasks.kgqa.decoding.look_ahead import LookAhead


def question(text):
    return Question.encode(text, TOKENIZER, 64)


@pytest.mark.parametrize("seed", range(5))
def test_a_gain_is_that_of_the_best_key_below_the_node(tmp_path, seed):
    chance = random.Random(seed)
    triples = [("红楼梦", "".join(chance.choices("作者年代导演", k=chance.randint(1, 5))), "x") for _ in range(12)]
    tree = make_graph(tmp_path / "g", [*TRIPLES, *triples]).tree
    asked = question("".join(chance.choices("红楼梦的作者年代导演是谁", k=10)))
    look = LookAhead(asked, tree)
    keys = [tree.tokens(key).tolist() for key in range(len(tree))]
    for key, tokens in enumerate(keys):
        name_keys = tree.keys(tree.subject(tree.name_of(key)))
        node = tree.root
        for depth, token in enumerate(tokens):
            _, nodes = tree.next_tokens(node)
            if tree.sep_id in tokens[:depth]:
                below = [range(*tree.keys(child)) for child in nodes.tolist()]
                covered = lcs(tokens[:depth], asked.tokens)
                expected = [max(lcs(keys[other], asked.tokens) for other in span) - covered for span in below]
                assert look.gains(name_keys, tokens[:depth], nodes.tolist()).tolist() == expected
            node = tree.advance(node, token)


def test_names_with_too_many_keys_have_no_gains(tmp_path):
    graph = make_graph(tmp_path / "g")
    name = graph.names.form_of(graph.names.find("长江"))
    keys = graph.tree.keys(graph.tree.subject(name))
    look = LookAhead(question("长江的长度是多少？"), graph.tree)
    prefix = graph.tree.form(0, name).tolist()
    _, nodes = graph.tree.next_tokens(graph.tree.subject(name))
    assert look.gains(keys, prefix, nodes.tolist()).tolist() == [0, 2]  # 发源地, 长度
    few = LookAhead(question("长江的长度是多少？"), graph.tree, max_keys=1)
    assert few.gains(keys, prefix, nodes.tolist()) is None
