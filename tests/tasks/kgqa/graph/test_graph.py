"""The graph on disk and its prefix tree, against dictionaries."""

import json
import os
import random
import signal
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as limited
from hypothesis import strategies as st
from support import environment, vocabulary

from nlpkit.core.text.normalization import normalize
from nlpkit.core.text.tokenizer import SPECIALS, CharTokenizer
from nlpkit.errors import DataError, ModelError, OutputError, UsageError
from nlpkit.tasks.kgqa.graph import graph as graph_module
from nlpkit.tasks.kgqa.graph import prefix_tree, sorted_runs
from nlpkit.tasks.kgqa.graph.build import build_graph
from nlpkit.tasks.kgqa.graph.graph import Fact, Graph
from nlpkit.tasks.kgqa.graph.store import FORMAT
from nlpkit.tasks.kgqa.graph.triples import join_subject, split_subject

TOKENIZER = CharTokenizer(vocabulary("中国江西长省会流经"))
BLIND = CharTokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "中", "国"])  # no shared tokens for rare characters
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

# Names that begin one another, brackets of all kinds, mixed case, characters that share a token or make none.
parts = st.text(st.sampled_from("中国江aAb（） é㐀㐐\u200b１"), min_size=1, max_size=4).filter(str.strip)
subjects = st.one_of(parts, st.builds("{}（{}）".format, parts, parts))
triples = st.lists(st.tuples(subjects, parts, parts), min_size=1, max_size=30)


# A build that has written something and does not end.
ENDLESS = """
import sys, time
from pathlib import Path
from nlpkit.tasks.kgqa.graph import build
from nlpkit.tasks.kgqa.graph import graph
def triples():
    for number in range(10_000):
        yield "新", "新", str(number)
    print("writing", flush=True)
    time.sleep(60)
build.CHUNK = 1000
folder = Path(sys.argv[1])
build.build_graph(triples(), folder, graph.Graph.open(folder).tokenizer)
"""


@pytest.fixture
def graph(tmp_path):
    return build_graph(TRIPLES, tmp_path / "G.kg", TOKENIZER)


@pytest.fixture
def small_limits(monkeypatch):
    """Everything that is done piece by piece is done in tiny pieces."""
    monkeypatch.setattr(prefix_tree, "HEAVY", 2)
    for name, value in (("BUCKET", 3), ("CHUNK", 2), ("BLOCK", 2)):
        monkeypatch.setattr(sorted_runs, name, value)
    monkeypatch.setattr("nlpkit.tasks.kgqa.graph.build.CHUNK", 2)
    monkeypatch.setattr("nlpkit.tasks.kgqa.graph.graph.CHUNK", 2)
    monkeypatch.setattr("nlpkit.tasks.kgqa.graph.graph.BLOCK", 2)


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


@pytest.mark.usefixtures("small_limits")
class TestAgainstDictionaries:
    @limited(max_examples=30)
    @given(triples)
    def test_a_graph(self, tmp_path_factory, triples):
        graph = build_graph(triples, tmp_path_factory.mktemp("g"), TOKENIZER)
        slow = Slow(triples)
        check_tree(graph, slow)
        check_facts(graph, slow)
        assert sorted(graph.triples()) == sorted(set(triples))
        assert len(graph) == len(set(triples)) == len(triples) - graph.manifest.counts["duplicates"]

    @limited(max_examples=15)
    @given(triples, triples)
    def test_adding_is_as_building_at_once(self, tmp_path_factory, old, new):
        folder = tmp_path_factory.mktemp("g")
        build_graph(old, folder, TOKENIZER)
        graph = build_graph(new, folder, TOKENIZER, add=True)
        slow = Slow(old + new)
        check_tree(graph, slow)
        check_facts(graph, slow)
        assert sorted(graph.triples()) == sorted(set(old + new))
        once = build_graph(old + new, tmp_path_factory.mktemp("g"), TOKENIZER)
        assert [fact for key in range(len(once.tree)) for fact in once.facts(key)] == [
            fact for key in range(len(graph.tree)) for fact in graph.facts(key)
        ]

    @limited(max_examples=15)
    @given(triples, st.text(st.sampled_from("中国國江aAｂb（） é"), max_size=12))
    def test_names(self, tmp_path_factory, triples, text):
        graph = build_graph(triples, tmp_path_factory.mktemp("g"), TOKENIZER)
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


@limited(max_examples=100)
@given(st.text(st.sampled_from("中a（）() "), max_size=8))
def test_a_subject_is_split_and_joined_again(subject):
    assert join_subject(*split_subject(subject)) == subject


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("江西（中国省份）", ("江西", "中国省份")),
        ("甲（乙）（丙）", ("甲", "乙）（丙")),  # what follows the first bracket
        ("（丙）", ("（丙）", "")),
        ("甲（）", ("甲（）", "")),
        ("甲）", ("甲）", "")),
        ("甲(乙)", ("甲(乙)", "")),
        ("甲（乙", ("甲（乙", "")),
    ],
)
def test_where_a_meaning_begins(subject, expected):
    assert split_subject(subject) == expected


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


def test_names_in_any_width_case_and_script(tmp_path):
    triples = [
        ("红楼梦（古典小说）", "作者", "曹雪芹"), ("Python", "设计者", "吉多"), ("ＰＨＰ", "设计者", "拉斯姆斯"),
        ("臺灣大學", "所在地", "臺北"), ("iPhone", "公司", "苹果"), ("IPHONE", "公司", "Apple"),
    ]  # fmt: skip
    graph = build_graph(triples, tmp_path / "G.kg", TOKENIZER)
    assert graph.names_in("紅樓夢ｐｙｔｈｏｎ") == [(0, 3, "红楼梦"), (3, 9, "Python")]
    assert graph.names_in("用php和台湾大学") == [(1, 4, "ＰＨＰ"), (5, 9, "臺灣大學")]
    assert [name for _, _, name in graph.names_in("Ｉｐｈｏｎｅ")] == ["iPhone", "IPHONE"]
    assert graph.find("PHP") == [Fact("ＰＨＰ", "", "设计者", ("拉斯姆斯",))]
    assert [fact.subject for fact in graph.find("iphone")] == ["iPhone", "IPHONE"]
    assert [fact.subject for fact in graph.find("IPHONE")] == ["IPHONE"]  # as the graph writes it
    (fact,) = graph.look_up("紅樓夢(古典小説)".replace("説", "說"), "作者")
    assert fact.objects == ("曹雪芹",)
    added = build_graph([("Ｊａｖａ", "设计者", "詹姆斯")], graph.folder, TOKENIZER, add=True)
    assert [name for _, _, name in added.names_in("java与PYTHON")] == ["Ｊａｖａ", "Python"]


def test_counts(graph):
    info = graph.info()
    expected = {"triples": 10, "keys": 8, "subjects": 6, "names": 5, "duplicates": 1, "unknown_names": 0}
    assert {name: info[name] for name in expected} == expected
    assert info["names_by_senses"] == {"1": 2, "2": 2}
    files = [path for path in graph.folder.rglob("*") if path.is_file() and path.parent != graph.folder]
    assert info["bytes"]["total"] == sum(path.stat().st_size for path in files)
    assert "work" not in {path.name for path in graph.folder.rglob("*")}


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


def test_a_vocabulary_too_large_for_two_bytes(tmp_path):
    tokenizer = CharTokenizer([*SPECIALS, *(f"[unused{i}]" for i in range(70_000)), "中", "国", "江"])
    graph = build_graph([("中国", "江", "1"), ("国", "江", "2")], tmp_path / "G.kg", tokenizer)
    assert [graph.tree.tokens(key).tolist() for key in range(2)] == [
        [*tokenizer.encode(name).ids, tokenizer.sep_id, tokenizer.ids["江"], tokenizer.sep_id, tokenizer.sep_id]
        for name in ("中国", "国")
    ]


class TestWhatCannotBe:
    def test_another_tokenizer(self, graph):
        other = CharTokenizer([*TOKENIZER.tokens, "新"])
        with pytest.raises(ModelError, match="was built with the tokenizer of another model; build it again"):
            Graph.open(graph.folder, other)
        with pytest.raises(ModelError, match="another model"):
            build_graph([("新", "新", "新")], graph.folder, other, add=True)
        cased = CharTokenizer(TOKENIZER.tokens, lowercase=False)
        with pytest.raises(ModelError, match="another model"):
            Graph.open(graph.folder, cased)

    @pytest.mark.parametrize("name", ["objects.npy", "names.trie", "vocab.txt", "key_starts.npy"])
    def test_a_truncated_file(self, graph, name):
        path = graph.folder / graph.manifest.generation / name
        os.truncate(path, path.stat().st_size - 1)
        with pytest.raises(DataError, match=rf"{name}: has .* bytes, not .*; build the graph again"):
            Graph.open(graph.folder)

    def test_a_file_that_is_gone(self, graph):
        (graph.folder / graph.manifest.generation / "objects.npy").unlink()
        with pytest.raises(DataError, match=r"objects\.npy: no such file; build the graph again"):
            Graph.open(graph.folder)

    def test_a_damaged_file(self, graph):
        path = graph.folder / graph.manifest.generation / "objects.npy"
        content = bytearray(path.read_bytes())
        graph.check()
        content[-1] ^= 1
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"objects\.npy: is damaged"):
            graph.check()

    @pytest.mark.parametrize("other", [1, 99])
    def test_another_version(self, graph, other):
        path = graph.folder / "manifest.json"
        path.write_text(json.dumps(json.loads(path.read_text()) | {"format": other, "version": "9.9"}))
        with pytest.raises(
            DataError, match=r"is a graph of nlpkit 9\.9, which this one .* cannot read; build it again"
        ):
            Graph.open(graph.folder)

    @pytest.mark.parametrize("content", ["", "[]", "{", f'{{"format": {FORMAT}}}', f'{{"format": {FORMAT}, "x": 2}}'])
    def test_a_broken_manifest(self, graph, content):
        (graph.folder / "manifest.json").write_text(content)
        with pytest.raises(DataError, match=r"manifest\.json: broken"):
            Graph.open(graph.folder)

    def test_no_graph(self, tmp_path):
        with pytest.raises(DataError, match=r"no such graph .*make one: nlpkit graph build"):
            Graph.open(tmp_path / "G.kg")
        with pytest.raises(DataError, match="is not a graph"):
            Graph.open(tmp_path)
        (tmp_path / "file").write_text("x")
        with pytest.raises(DataError, match="is a file; a graph is a folder"):
            Graph.open(tmp_path / "file")
        with pytest.raises(DataError, match="no such graph"):
            build_graph(TRIPLES, tmp_path / "G.kg", TOKENIZER, add=True)

    def test_no_triple(self, graph):
        with pytest.raises(DataError, match="no triple in the input"):
            build_graph([], graph.folder, TOKENIZER)
        assert Graph.open(graph.folder).manifest == graph.manifest

    def test_a_name_without_end(self, tmp_path):
        with pytest.raises(DataError, match=r"中中.* has 70,000 characters; shorten it"):
            build_graph([("中" * 70_000, "p", "o")], tmp_path / "G.kg", TOKENIZER)

    def test_too_many_keys(self, tmp_path, monkeypatch):
        monkeypatch.setattr(sorted_runs, "MAX_KEYS", 7)
        with pytest.raises(DataError, match="more than 7 pairs of subject and predicate; build several graphs"):
            build_graph(TRIPLES, tmp_path / "G.kg", TOKENIZER)

    def test_a_folder_that_cannot_be(self, tmp_path):
        (tmp_path / "file").write_text("x")
        with pytest.raises(UsageError, match="is a file; name a folder"):
            build_graph(TRIPLES, tmp_path / "file" / "G.kg", TOKENIZER)
        (tmp_path / "0123abcd").mkdir()
        with pytest.raises(OutputError, match="has other things in it, such as file; name a new folder"):
            build_graph(TRIPLES, tmp_path, TOKENIZER)

    def test_nothing_is_left_of_a_first_build_that_fails(self, tmp_path):
        with pytest.raises(DataError, match="no triple"):
            build_graph([], tmp_path / "new" / "G.kg", TOKENIZER)
        assert not (tmp_path / "new" / "G.kg").exists()


class TestAnOldGraphStays:
    def test_after_an_error(self, graph):
        def broken():
            yield ("新", "新", "新")
            raise DataError("no more", "x.tsv", 2)

        with pytest.raises(DataError, match="no more"):
            build_graph(broken(), graph.folder, TOKENIZER)
        assert sorted(Graph.open(graph.folder).triples()) == sorted(set(TRIPLES))
        assert {path.name for path in graph.folder.iterdir()} == {".lock", "manifest.json", graph.manifest.generation}

    def test_after_a_kill_and_what_it_left_goes(self, graph):
        command = [sys.executable, "-c", ENDLESS, str(graph.folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment()) as child:
            assert child.stdout.readline() == b"writing\n"
            assert any(path.stat().st_size for path in graph.folder.glob("*/work/triples"))
            with pytest.raises(OutputError, match="another build writes there"):
                build_graph([("新", "新", "新")], graph.folder, TOKENIZER, add=True)
            child.send_signal(signal.SIGKILL)
        assert sorted(Graph.open(graph.folder).triples()) == sorted(set(TRIPLES))
        assert len(generations(graph.folder)) == 2
        added = build_graph([("新", "新", "新")], graph.folder, TOKENIZER, add=True)
        assert sorted(added.triples()) == sorted({*TRIPLES, ("新", "新", "新")})
        assert len(generations(graph.folder)) == 1

    def test_who_opens_it_while_it_is_replaced_gets_the_new_one(self, graph, monkeypatch):
        old = graph.manifest
        build_graph([("新", "新", "新")], graph.folder, TOKENIZER)
        manifests = iter([old])  # read just before
        read = graph_module.read_manifest
        monkeypatch.setattr(graph_module, "read_manifest", lambda folder: next(manifests, None) or read(folder))
        assert list(Graph.open(graph.folder).triples()) == [("新", "新", "新")]

    def test_for_who_has_it_open(self, graph):
        build_graph([("新", "新", "新")], graph.folder, TOKENIZER)
        assert sorted(graph.triples()) == sorted(set(TRIPLES))
        assert list(Graph.open(graph.folder).triples()) == [("新", "新", "新")]


def generations(folder: Path):
    return [path for path in folder.iterdir() if path.is_dir()]


def test_a_new_fact_is_found_at_once(graph):
    sources = graph.manifest.sources
    added = build_graph([("长江", "流经", "青海")], graph.folder, TOKENIZER, add=True, sources=["more.tsv"])
    assert [fact.objects for fact in added.find("长江", "流经")] == [("江西", "湖北", "青海")]
    assert added.manifest.sources == [*sources, "more.tsv"]
