"""Damaged files, manifests and folders of a graph."""

import json
import os

import pytest
from graph_support import TOKENIZER, TRIPLES

from nlpkit.errors import DataError
from nlpkit.tasks.kgqa.graph.build import build_graph
from nlpkit.tasks.kgqa.graph.graph import Graph
from nlpkit.tasks.kgqa.graph.store import FORMAT


@pytest.mark.parametrize("name", ["objects.npy", "names.trie", "vocab.txt", "key_starts.npy"])
def test_a_truncated_file(graph, name):
    path = graph.folder / graph.manifest.generation / name
    os.truncate(path, path.stat().st_size - 1)
    with pytest.raises(DataError, match=rf"{name}: has .* bytes, not .*; build the graph again"):
        Graph.open(graph.folder)


def test_a_file_that_is_gone(graph):
    (graph.folder / graph.manifest.generation / "objects.npy").unlink()
    with pytest.raises(DataError, match=r"objects\.npy: no such file; build the graph again"):
        Graph.open(graph.folder)


def test_a_damaged_file(graph):
    path = graph.folder / graph.manifest.generation / "objects.npy"
    content = bytearray(path.read_bytes())
    graph.check()
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"objects\.npy: is damaged"):
        graph.check()


@pytest.mark.parametrize(
    ("other", "problem"),
    [
        (1, r"which this one \(.*\) no longer reads; build the graph again"),
        (99, r"newer than this one \(.*\); upgrade nlpkit"),
    ],
)
def test_another_version(graph, other, problem):
    path = graph.folder / "manifest.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": other, "version": "9.9"}))
    with pytest.raises(DataError, match=rf"made by nlpkit 9\.9, {problem}"):
        Graph.open(graph.folder)


@pytest.mark.parametrize("content", ["", "[]", "{", f'{{"format": {FORMAT}}}', f'{{"format": {FORMAT}, "x": 2}}'])
def test_a_broken_manifest(graph, content):
    (graph.folder / "manifest.json").write_text(content)
    with pytest.raises(DataError, match=r"manifest\.json: (broken|is not that of a graph)"):
        Graph.open(graph.folder)


def test_no_graph(tmp_path):
    with pytest.raises(DataError, match=r"no such graph .*make one: nlpkit graph build"):
        Graph.open(tmp_path / "G.kg")
    with pytest.raises(DataError, match="is not a graph"):
        Graph.open(tmp_path)
    (tmp_path / "file").write_text("x")
    with pytest.raises(DataError, match="is a file; a graph is a folder"):
        Graph.open(tmp_path / "file")
    with pytest.raises(DataError, match="no such graph"):
        build_graph(TRIPLES, tmp_path / "G.kg", TOKENIZER, add=True)
