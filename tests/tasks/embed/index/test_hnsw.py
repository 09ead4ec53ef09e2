"""HNSW: nearly the neighbours of an exact search, and files that are no graph."""

import sys
from pathlib import Path

import numpy as np
import pytest
from index_support import build, write
from static_support import sentences

from nlpkit.errors import ModelError, UsageError
from nlpkit.tasks.embed.encoder.postprocess import normalize
from nlpkit.tasks.embed.index.build import BuildSettings, embed_texts
from nlpkit.tasks.embed.index.hnsw import EXPANSION, has_usearch, new_hnsw, open_hnsw
from nlpkit.tasks.embed.loading import load


def test_the_graph_finds_nearly_all(tmp_path, index, model, texts):
    pytest.importorskip("usearch")
    graph = build(tmp_path / "idx", [write(tmp_path / "c.txt", texts)], model, method="graph")
    queries = load(model).encode(sentences(60, seed=6))
    exact, found = index.search(queries, 10), graph.search(queries, 10)
    assert [len(hits) for hits in found] == [10] * 60
    common = sum(len({hit.row for hit in a} & {hit.row for hit in b}) for a, b in zip(exact, found, strict=True))
    assert common > 0.9 * 600
    for query, hits in zip(queries, found, strict=True):
        for hit in hits:
            assert hit.score == pytest.approx(float(graph.vectors[hit.row] @ query), abs=1e-5)
    assert graph.search(queries, 10, "exact") == exact
    assert [len(hits) for hits in graph.search(queries[:1], 10)] == [10]
    with pytest.raises(UsageError, match="no graph"):
        index.search(queries, 10, "graph")


def test_the_graph_is_opened_once(tmp_path, model, texts, monkeypatch):
    pytest.importorskip("usearch")
    graph = build(tmp_path / "idx", [write(tmp_path / "c.txt", texts[:50])], model, method="graph")
    opened = []
    monkeypatch.setattr("nlpkit.tasks.embed.index.index.open_hnsw", lambda path: opened.append(path) or open_hnsw(path))
    queries = load(model).encode(texts[:3])
    assert graph.search(queries, 2) == graph.search(queries, 2)
    assert opened == [graph.folder / "graph.usearch"]


def test_without_usearch_a_graph_is_refused_at_once(tmp_path, model, monkeypatch):
    monkeypatch.setitem(sys.modules, "usearch", None)
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(ModelError, match=r"pip install 'nlpkit\[search\]'"):
        embed_texts(["no-such-file"], load(model), tmp_path / "idx", BuildSettings(method="graph"))


@pytest.fixture
def stored(tmp_path):
    """A file with the HNSW of 50 vectors in 8 dimensions, and the vectors."""
    pytest.importorskip("usearch")
    vectors = normalize(np.random.default_rng(0).standard_normal((50, 8)).astype(np.float32))
    hnsw = new_hnsw(8)
    hnsw.add(np.arange(50), vectors)
    hnsw.save(tmp_path / "graph.usearch")
    return tmp_path / "graph.usearch", vectors


@pytest.mark.parametrize("mapped", [True, False])
def test_a_file_is_opened_with_its_vectors(stored, mapped):
    path, vectors = stored
    hnsw = open_hnsw(path, mapped=mapped)
    assert (len(hnsw), hnsw.ndim, hnsw.expansion_search) == (50, 8, EXPANSION)
    assert hnsw.search(vectors, 1).keys[:, 0].tolist() == list(range(50))


def test_one_that_was_read_into_memory_takes_more(stored):
    path, vectors = stored
    hnsw = open_hnsw(path, mapped=False)
    hnsw.add(np.array([50]), -vectors[:1])
    assert len(hnsw) == 51
    assert hnsw.search(-vectors[0], 1).keys.tolist() == [50]


@pytest.mark.parametrize("content", [b"", b"usearch", b"\x00" * 4096])
def test_a_broken_file(tmp_path, content):
    pytest.importorskip("usearch")
    (tmp_path / "graph.usearch").write_bytes(content)
    with pytest.raises(ModelError, match=r"graph\.usearch: broken.*; build the index again"):
        open_hnsw(tmp_path / "graph.usearch")


def test_whether_usearch_is_installed(monkeypatch):
    monkeypatch.setitem(sys.modules, "usearch", None)
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    assert not has_usearch()
    for call in (lambda: new_hnsw(8), lambda: open_hnsw(Path("graph.usearch"))):
        with pytest.raises(ModelError, match=r"--method graph needs usearch; .* pip install 'nlpkit\[search\]'"):
            call()
