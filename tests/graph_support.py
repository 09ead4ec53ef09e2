"""What the graph tests share: a small graph, and the same graph as dictionaries."""

from collections import defaultdict

import numpy as np
from hypothesis import strategies as st
from support import vocabulary

from nlpkit.core.io.records import ErrorPolicy
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.tasks.kgqa.graph.sorted_runs import PieceSizes
from nlpkit.tasks.kgqa.graph.triples import TripleReader, split_subject

TOKENIZER = CharTokenizer(vocabulary("中国江西长省会流经"))
SMALL = PieceSizes(chunk=2, bucket=3)  # so that a graph of a few triples is built in many pieces
TRIPLES = [
    ("江西（中国省份）", "省会", "南昌市"),
    ("江西（中国省份）", "简称", "赣"),
    ("长江", "流经", "江西"),
    ("长江", "流经", "湖北"),
    ("长江", "长度", "6300余千米"),
    ("长江（公交车站）", "线路", "20路"),
    ("江", "部首", "氵"),
    ("江西", "简称", "赣（一个字）"),
    ("iPhone", "公司", "苹果"),
    ("IPHONE", "公司", "Apple"),
    ("长江", "流经", "湖北"),
]

# Names that are prefixes of others, all kinds of brackets, mixed case, characters that share a token or have none.
parts = st.text(st.sampled_from("中国江aAb（） é㐀㐐\u200b１"), min_size=1, max_size=4).filter(str.strip)
subjects = st.one_of(parts, st.builds("{}（{}）".format, parts, parts))
triples = st.lists(st.tuples(subjects, parts, parts), min_size=1, max_size=30)


class Slow:
    """The same graph as dictionaries: key -> (name, meaning, predicate) -> objects; and a trie of dictionaries."""

    def __init__(self, triples, tokenizer=TOKENIZER):
        self.facts = defaultdict(lambda: defaultdict(dict))
        self.trie = {}
        for subject, predicate, target in triples:
            name, meaning = split_subject(subject)
            key = []
            for part in (name, predicate, meaning):
                key += [*tokenizer.encode(part).ids, tokenizer.sep_id]
            self.facts[tuple(key)][name, meaning, predicate][target] = True
            node = self.trie
            for token in key:
                node = node.setdefault(token, {})
        self.keys = sorted(self.facts)

    def children(self, prefix):
        node = self.trie
        for token in prefix:
            node = node[token]
        return sorted(node)


def check_tree(graph, slow):
    """Every node of the tree against the trie, and every leaf's key."""
    tree = graph.tree
    assert len(tree) == len(slow.keys)
    waiting = [((), tree.root)]
    while waiting:
        prefix, node = waiting.pop()
        tokens, nodes = tree.next_tokens(node)
        assert (tokens.dtype, nodes.dtype) == (np.int32, np.int64)
        assert tokens.tolist() == slow.children(prefix)
        low, high = tree.keys(node)
        assert [key for key in slow.keys if key[: len(prefix)] == prefix] == slow.keys[low:high]
        assert tree.is_leaf(node) == (not tokens.size) == (prefix in slow.facts)
        assert tree.level(node) == prefix.count(TOKENIZER.sep_id)
        forced, end = tree.forced(node)
        assert slow.children(prefix + tuple(forced)) == tree.next_tokens(end)[0].tolist()
        assert len(tree.next_tokens(end)[0]) != 1
        for token, child in zip(tokens.tolist(), nodes.tolist(), strict=True):
            assert tree.advance(node, token) == child
            waiting.append(((*prefix, token), child))
    for rank, key in enumerate(slow.keys):
        assert tuple(tree.tokens(rank).tolist()) == key
        assert tree.rank(*tree.components(rank)) == rank
        assert tree.keys(tree.subject(tree.name_of(rank)))[0] <= rank


def check_facts(graph, slow):
    """What every key holds."""
    for rank, key in enumerate(slow.keys):
        found = graph.facts(rank)
        expected = {(n, m, p): tuple(objects) for (n, m, p), objects in slow.facts[key].items()}
        assert {fact[:3]: fact.objects for fact in found} == expected
        assert len(found) == len(expected)
        assert graph.triple(rank) in expected
        assert sorted(graph.objects(rank)) == sorted(set().union(*expected.values()))


def read_triples(path, content, **settings):
    """Return the triples of a file with this content."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(TripleReader(**settings).read([str(path)]))


def read_skipping(path, content, **settings):
    """Return the triples of a file, the numbers of the skipped lines, and the messages."""
    found = []
    errors = ErrorPolicy("skip", report=found.append)
    triples = read_triples(path, content, on_error=errors, **settings)
    assert errors.count == len(found)
    return triples, [error.line for error in found], [str(error) for error in found]
