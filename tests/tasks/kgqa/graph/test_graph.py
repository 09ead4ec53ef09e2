"""Looking up facts and names."""

import pytest
from graph_support import SMALL, TOKENIZER, Slow, triples
from hypothesis import given
from hypothesis import settings as limited
from hypothesis import strategies as st

from nlpkit.core.text.normalization import normalize
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.errors import ModelError
from nlpkit.tasks.kgqa.graph.build import build_graph
from nlpkit.tasks.kgqa.graph.graph import Fact, Graph
from nlpkit.tasks.kgqa.graph.triples import split_subject

BLIND = CharTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "中", "国"])  # no shared tokens for rare characters


@pytest.mark.usefixtures("small_format")
@limited(max_examples=15)
@given(triples, st.text(st.sampled_from("中国國江aAｂb（） é"), max_size=12))
def test_names(tmp_path_factory, triples, text):
    graph = build_graph(triples, tmp_path_factory.mktemp("g"), TOKENIZER, sizes=SMALL)
    names = {split_subject(subject)[0] for subject, _, _ in triples}
    spans = [(i, j) for i in range(len(text)) for j in range(i + 1, len(text) + 1)]
    expected = [(i, j, name) for i, j in spans for name in names if normalize(name) == normalize(text[i:j])]
    assert sorted(graph.names_in(text)) == sorted(expected)
    wanted = {(n, m, p): o for facts in Slow(triples).facts.values() for (n, m, p), o in facts.items()}
    for subject, predicate, _ in triples:
        name, meaning = split_subject(subject)
        found = {fact[:3]: fact.objects for fact in graph.find(subject, predicate)}
        expected = {k: tuple(o) for k, o in wanted.items() if k[0] == name and k[2] == predicate
                    and meaning in ("", k[1])}  # fmt: skip
        assert found == expected
        assert set(graph.senses_of(name)) == {m for n, m, _ in wanted if n == name}
        others = {split_subject(s)[0] for s, _, _ in triples if normalize(split_subject(s)[0]) == normalize(name)}
        wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in name)
        spellings = {graph.names.text(spelling) for spelling in graph.names_matching(wide)}
        assert spellings == ({wide} if wide in names else others)


def test_facts_as_written(graph):
    assert list(graph.find("长江", "流经")) == [Fact("长江", "", "流经", ("江西", "湖北"))]
    assert list(graph.find("江西（中国省份）", "简称")) == [Fact("江西", "中国省份", "简称", ("赣",))]
    assert graph.senses_of("江西") == ["", "中国省份"]
    assert graph.senses_of("没有") == []
    assert [fact.objects for fact in graph.find("IPHONE")] == [("Apple",)]
    (key,) = {
        graph.tree.rank(*graph.tree.components(key)) for key in range(len(graph.tree)) if "苹果" in graph.objects(key)
    }
    assert graph.objects(key) == ["苹果", "Apple"]  # one key with two surface forms
    assert graph.facts(key) == [Fact("iPhone", "", "公司", ("苹果",)), Fact("IPHONE", "", "公司", ("Apple",))]
    assert graph.names_in("江西的长江") == [(0, 1, "江"), (0, 2, "江西"), (3, 5, "长江"), (4, 5, "江")]
    assert graph.names_starting("长") == ["长江"]


def test_names_outside_the_vocabulary_are_reached_and_told_apart(tmp_path):
    triples = [("江", "国", "1"), ("湖", "国", "2"), ("中", "国", "3")]
    graph = build_graph(triples, tmp_path / "G.kg", BLIND)
    assert graph.manifest.counts["unknown_names"] == 1  # one form, of two names
    node = graph.tree.root
    for token in [BLIND.unk_id, BLIND.sep_id, BLIND.ids["国"], BLIND.sep_id, BLIND.sep_id]:
        node = graph.tree.advance(node, token)
    (key,) = range(*graph.tree.keys(node))
    assert graph.facts(key) == [Fact("江", "", "国", ("1",)), Fact("湖", "", "国", ("2",))]
    assert [fact.objects for fact in graph.find("湖")] == [("2",)]


def test_the_tokenizer_comes_back(graph):
    assert graph.tokenizer.fingerprint == TOKENIZER.fingerprint
    assert Graph.open(graph.folder, graph.tokenizer).manifest == graph.manifest


def test_another_tokenizer_is_refused(graph):
    other = CharTokenizer([*TOKENIZER.tokens, "新"])
    with pytest.raises(ModelError, match="was built with the tokenizer of another model; build it again"):
        Graph.open(graph.folder, other)
    with pytest.raises(ModelError, match="another model"):
        build_graph([("新", "新", "新")], graph.folder, other, add=True)
    cased = CharTokenizer(TOKENIZER.tokens, lowercase=False)
    with pytest.raises(ModelError, match="another model"):
        Graph.open(graph.folder, cased)


def test_predicates_of_a_range_of_keys(tmp_path):
    """Several where different strings have the same tokens, the first one of the first triple."""
    triples = [("红楼梦", "URL", "x"), ("红楼梦", "url", "y"), ("红楼梦", "作者", "z"), ("长江", "长度", "w")]
    graph = build_graph(triples, tmp_path / "g", TOKENIZER)
    found = graph.predicates_of(0, len(graph.tree))
    assert [predicates[0] for predicates in found] == [graph.triple(key)[2] for key in range(len(graph.tree))]
    assert sorted(map(set, found), key=len) == sorted(
        [{fact.predicate for fact in graph.facts(key)} for key in range(len(graph.tree))], key=len
    )
    for key in range(len(graph.tree)):
        assert graph.predicates_of(key, key + 1) == found[key : key + 1]
