"""HNSW in segments of a range of rows: the same results, continued builds, old segments, and damage."""

import pytest
from index_support import build, write

from nlpkit.errors import ModelError
from nlpkit.tasks.embed.index.build import BUILDING, BuildSettings, embed_texts, finalize
from nlpkit.tasks.embed.index.hnsw import open_hnsw
from nlpkit.tasks.embed.index.index import Index
from nlpkit.tasks.embed.loading import load

pytest.importorskip("usearch")
SMALL = {"segment_size": 300, "chunk_size": 200, "save_every": 0.0}


@pytest.fixture
def corpus(tmp_path, texts):
    return write(tmp_path / "c.txt", texts[:1000])


def segments(folder):
    return sorted(path.name for path in folder.glob("graph*.usearch"))


def test_segments_find_what_an_exact_search_finds(tmp_path, model, texts, corpus):
    index = build(tmp_path / "idx", [corpus], model, method="graph", finishing=SMALL)
    assert segments(tmp_path / "idx") == ["graph-1.usearch", "graph-2.usearch", "graph-3.usearch", "graph.usearch"]
    assert {"graph.usearch", "graph-3.usearch"} <= set(index.manifest.files)
    queries = load(model).encode(texts[:40])
    exact, found = index.search(queries, 10, "exact"), index.search(queries, 10)
    assert [len(hits) for hits in found] == [10] * 40
    assert all(hits == sorted(hits, key=lambda hit: -hit.score) for hits in found)
    assert {hit.row // 300 for hits in found for hit in hits} == {0, 1, 2, 3}
    common = sum(len({hit.row for hit in a} & {hit.row for hit in b}) for a, b in zip(exact, found, strict=True))
    assert common > 0.9 * 400
    index.verify()


def test_a_killed_build_goes_on_in_its_segment(tmp_path, model, corpus):
    embedder, folder = load(model), tmp_path / "idx"
    embed_texts([str(corpus)], embedder, folder, BuildSettings(method="graph"))

    def killed(stage, done, total):
        if (stage, done) == ("HNSW", 600):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finalize(folder, {}, killed, **SMALL)
    assert [len(open_hnsw(folder / BUILDING / name)) for name in ("graph.usearch", "graph-1.usearch")] == [300, 200]
    steps = []
    finalize(folder, {}, lambda stage, done, total: steps.append(done), **SMALL)
    assert steps == [600, 800, 900, 1000]
    assert sum(len(open_hnsw(folder / name)) for name in segments(folder)) == 1000


def test_a_smaller_index_leaves_no_segment_of_the_larger_one(tmp_path, model, texts, corpus):
    folder = tmp_path / "idx"
    build(folder, [corpus], model, method="graph", finishing=SMALL)
    index = build(folder, [write(corpus, texts[:400])], model, method="graph", finishing=SMALL)
    assert segments(folder) == ["graph-1.usearch", "graph.usearch"]
    assert len(index.search(load(model).encode(texts[:1]), 5)[0]) == 5
    build(folder, [corpus], model, method="exact")
    assert segments(folder) == []


@pytest.mark.parametrize("name", ["graph.usearch", "graph-2.usearch"])
def test_a_flipped_bit_is_an_error_before_usearch_reads_it(tmp_path, model, texts, corpus, name, monkeypatch):
    """Also in files that are too large for their checksums to be compared on opening."""
    folder = tmp_path / "idx"
    build(folder, [corpus], model, method="graph", finishing=SMALL)
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 4
    (folder / name).write_bytes(content)
    monkeypatch.setattr("nlpkit.core.io.artefacts.Reader.check.__defaults__", ((), 0))
    index = Index.open(folder)
    assert index.search(load(model).encode(texts[:1]), 1, "exact")
    with pytest.raises(ModelError, match=rf"{name}: is damaged \(its checksum differs\)"):
        index.search(load(model).encode(texts[:1]), 1)


def test_a_missing_segment_is_an_error(tmp_path, model, corpus):
    folder = tmp_path / "idx"
    build(folder, [corpus], model, method="graph", finishing=SMALL)
    (folder / "graph-2.usearch").unlink()
    with pytest.raises(ModelError, match=r"graph-2\.usearch: no such file"):
        Index.open(folder)
