"""Building a graph, adding to it, and what stays after an error."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from graph_support import SMALL, TOKENIZER, TRIPLES, Slow, check_facts, check_tree, triples
from hypothesis import given
from hypothesis import settings as limited
from support import environment

from nlpkit.errors import DataError, OutputError, UsageError
from nlpkit.tasks.kgqa.graph import graph as graph_module
from nlpkit.tasks.kgqa.graph import sorted_runs
from nlpkit.tasks.kgqa.graph.build import build_graph
from nlpkit.tasks.kgqa.graph.graph import Graph

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
folder = Path(sys.argv[1])
build.build_graph(triples(), folder, graph.Graph.open(folder).tokenizer, sizes=build.PieceSizes(chunk=1000))
"""


@pytest.mark.usefixtures("small_format")
@limited(max_examples=15)
@given(triples, triples)
def test_adding_gives_the_same_graph_as_building_at_once(tmp_path_factory, old, new):
    folder = tmp_path_factory.mktemp("g")
    build_graph(old, folder, TOKENIZER, sizes=SMALL)
    graph = build_graph(new, folder, TOKENIZER, add=True, sizes=SMALL)
    slow = Slow(old + new)
    check_tree(graph, slow)
    check_facts(graph, slow)
    assert sorted(graph.triples(chunk_size=2)) == sorted(set(old + new))
    once = build_graph(old + new, tmp_path_factory.mktemp("g"), TOKENIZER)
    assert [fact for key in range(len(once.tree)) for fact in once.facts(key)] == [
        fact for key in range(len(graph.tree)) for fact in graph.facts(key)
    ]


def test_a_new_fact_is_found_at_once(graph):
    sources = graph.manifest.sources
    added = build_graph([("长江", "流经", "青海")], graph.folder, TOKENIZER, add=True, sources=["more.tsv"])
    assert [fact.objects for fact in added.find("长江", "流经")] == [("江西", "湖北", "青海")]
    assert added.manifest.sources == [*sources, "more.tsv"]


def test_counts(graph):
    info = graph.info()
    expected = {"triples": 10, "keys": 8, "subjects": 6, "names": 5, "duplicates": 1, "unknown_names": 0}
    assert {name: info[name] for name in expected} == expected
    assert info["names_by_senses"] == {"1": 2, "2": 2}
    files = [path for path in graph.folder.rglob("*") if path.is_file() and path.parent != graph.folder]
    assert info["bytes"]["total"] == sum(path.stat().st_size for path in files)
    assert "work" not in {path.name for path in graph.folder.rglob("*")}


def test_no_triple(graph):
    with pytest.raises(DataError, match="no triple in the input"):
        build_graph([], graph.folder, TOKENIZER)
    assert Graph.open(graph.folder).manifest == graph.manifest


def test_a_name_that_is_too_long(tmp_path):
    with pytest.raises(DataError, match=r"中中.* has 70,000 characters; shorten it"):
        build_graph([("中" * 70_000, "p", "o")], tmp_path / "G.kg", TOKENIZER)


def test_too_many_keys(tmp_path, monkeypatch):
    monkeypatch.setattr(sorted_runs, "MAX_KEYS", 7)
    with pytest.raises(DataError, match="more than 7 pairs of subject and predicate; build several graphs"):
        build_graph(TRIPLES, tmp_path / "G.kg", TOKENIZER)


def test_a_folder_with_other_contents(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="is a file; name a folder"):
        build_graph(TRIPLES, tmp_path / "file" / "G.kg", TOKENIZER)
    (tmp_path / "0123abcd").mkdir()
    with pytest.raises(OutputError, match="has other things in it, such as file; name a new folder"):
        build_graph(TRIPLES, tmp_path, TOKENIZER)


def test_nothing_is_left_of_a_first_build_that_fails(tmp_path):
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
