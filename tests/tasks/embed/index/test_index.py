"""Exact search against a slow one, and files that are damaged."""

import numpy as np
import pytest
from damage import flips
from index_support import build, change, write
from static_support import sentences

from nlpkit.errors import ModelError
from nlpkit.tasks.embed.index.index import Index
from nlpkit.tasks.embed.index.top_k import Hit
from nlpkit.tasks.embed.loading import load


def by_hand(vectors, query, k):
    """(row, score) of the k greatest products, by row where they are the same."""
    scores = np.array([float(np.dot(vector.astype(np.float64), query)) for vector in vectors])
    return [(row, scores[row]) for row in sorted(range(len(scores)), key=lambda row: (-scores[row], row))[:k]]


@pytest.mark.parametrize("block", [16, 1000, 8192])
def test_the_exact_search_finds_what_a_slow_one_does(index, model, block):
    queries = load(model).encode(sentences(20, seed=9))
    for query, hits in zip(queries, index.search(queries, 10, block_size=block, batch_size=7), strict=True):
        expected = by_hand(index.vectors, query, 10)
        np.testing.assert_allclose([hit.score for hit in hits], [score for _, score in expected], atol=1e-5)
        close = np.diff([score for _, score in expected], prepend=2) > -1e-5  # which may come in either order
        if not close.any():
            assert [hit.row for hit in hits] == [row for row, _ in expected]


def test_a_query_has_the_same_hits_in_any_company(index, model):
    queries = load(model).encode(sentences(50, seed=4))
    together = index.search(queries, 7)
    for query, hits in zip(queries, together, strict=True):
        (alone,) = index.search(query[None], 7)
        assert [hit.row for hit in alone] == [hit.row for hit in hits]
        np.testing.assert_allclose([hit.score for hit in alone], [hit.score for hit in hits], atol=1e-6)


@pytest.mark.parametrize("block", [16, 112, 8192])
def test_equal_texts_come_in_the_order_of_the_corpus(tmp_path, model, block):
    lines = sentences(700)
    for place in range(0, 700, 9):
        lines[place] = "今天天气不错"
    index = build(tmp_path / "idx", [write(tmp_path / "corpus.txt", lines)], model)
    same = list(range(0, 700, 9))
    for number in (1, 5, 33):
        (hits, *_) = index.search(load(model).encode(["今天天气不错"] * number), 40, block_size=block)
        assert [hit.row for hit in hits] == same[:40]
        assert hits[0].score == pytest.approx(1, abs=1e-5)


def test_more_hits_than_there_are(tmp_path, model):
    index = build(tmp_path / "idx", [write(tmp_path / "c.txt", ["今天", "天气", "", "花呗"])], model)
    (hits,) = index.search(load(model).encode(["天气"]), 10)
    assert sorted(hit.row for hit in hits) == [0, 1, 2]
    assert [result["line"] for result in index.results(hits)] == [[1, 2, 4][hit.row] for hit in hits]


def test_a_query_without_a_vector_has_no_hits(index, model):
    vectors = load(model).encode(["", "今天", "\u200b "])
    assert [len(hits) for hits in index.search(vectors, 3)] == [0, 3, 0]


def test_halves_find_nearly_the_same(tmp_path, index, model, texts):
    half = build(tmp_path / "idx", [write(tmp_path / "c.txt", texts)], model, precision="float16")
    assert half.vectors.dtype == np.float16
    queries = load(model).encode(sentences(10, seed=5))
    for ours, theirs in zip(half.search(queries, 5), index.search(queries, 5), strict=True):
        np.testing.assert_allclose([hit.score for hit in ours], [hit.score for hit in theirs], atol=2e-3)


def shorten(path):
    path.write_bytes(path.read_bytes()[:-9])


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: (path / "offsets.npy").unlink(), "offsets.npy: no such file"),
        (lambda path: (path / "vectors.npy").write_bytes(b"x"), "vectors.npy: not a .npy file"),
        (lambda path: shorten(path / "vectors.npy"), "vectors.npy: has .* bytes, not"),
        (lambda path: (path / "records.jsonl").write_bytes(b"{}\n"), "offsets.npy: does not fit records.jsonl"),
        (lambda path: np.save(path / "vectors.npy", np.zeros((2, 16))), "vectors.npy: holds <f8 .*, not <f4"),
        (
            lambda path: np.save(path / "vectors.npy", np.zeros((2, 16), "f4")),
            r"holds <f4 \[2, 16\], not <f4 \[3, 16\]",
        ),
        (lambda path: np.save(path / "offsets.npy", np.zeros(4)), "offsets.npy: holds <f8"),
    ],
)
def test_a_damaged_index_is_refused(tmp_path, model, damage, words):
    build(tmp_path / "idx", [write(tmp_path / "c.txt", ["今天", "天气", "花呗"])], model)
    change(files={})(tmp_path / "idx")  # without checksums: what does not fit is found by itself
    damage(tmp_path / "idx")
    with pytest.raises(ModelError, match=words):
        Index.open(tmp_path / "idx")


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda vectors: np.full_like(vectors, np.nan), "vectors.npy: vector 0 has the length nan, not 1"),
        (lambda vectors: vectors * 3e38, "vectors.npy: vector 0 has the length inf, not 1"),
        (lambda vectors: np.concatenate([vectors[:2], vectors[2:] * 1.5]), "vector 2 has the length 1.5, not 1"),
    ],
)
def test_vectors_that_are_not_of_unit_length_are_no_answers(tmp_path, model, damage, words):
    index = build(tmp_path / "idx", [write(tmp_path / "c.txt", ["今天", "天气", "花呗"])], model)
    change(files={})(tmp_path / "idx")
    np.save(tmp_path / "idx/vectors.npy", damage(np.array(index.vectors)))
    changed = Index.open(tmp_path / "idx")
    queries = load(model).encode(["花呗"])
    for read in (lambda: changed.results(changed.search(queries, 3)[0]), changed.verify):
        with pytest.raises(ModelError, match=words):
            read()


@pytest.mark.parametrize(
    "record", [b"[]", b"{}", b'{"text":1}', b"x", b"[" * 2000, b'{"text":"\xff"}', b'{"text":"a"} {"text":"b"}']
)
def test_a_broken_record_is_one_error(tmp_path, model, record):
    build(tmp_path / "idx", [write(tmp_path / "c.txt", ["今天", "天气", "花呗"])], model)
    change(files={})(tmp_path / "idx")
    lines = [b'{"text":"a"}\n', record + b"\n", b'{"text":"c"}\n']
    (tmp_path / "idx/records.jsonl").write_bytes(b"".join(lines))
    np.save(tmp_path / "idx/offsets.npy", np.cumsum([0, *map(len, lines)]))
    index = Index.open(tmp_path / "idx")
    for read in (lambda: index.results([Hit(1, 1.0)]), index.verify):
        with pytest.raises(ModelError, match=r"records.jsonl: broken in record 1"):
            read()


@pytest.mark.parametrize("offsets", [[0, 9, 3, 81], [0, -5, 3, 81], [0, 2**60, 3, 81], [0, 0, 0, 81]])
def test_offsets_that_lead_elsewhere_are_one_error(tmp_path, model, offsets):
    build(tmp_path / "idx", [write(tmp_path / "c.txt", ["今天", "天气", "花呗"])], model)
    change(files={})(tmp_path / "idx")
    np.save(tmp_path / "idx/offsets.npy", np.array([*offsets[:-1], (tmp_path / "idx/records.jsonl").stat().st_size]))
    index = Index.open(tmp_path / "idx")
    with pytest.raises(ModelError, match=r"records.jsonl: broken in record"):
        index.results([Hit(row, 1.0) for row in range(3)])


def test_an_index_is_checked_against_its_manifest(tmp_path, model):
    index = build(tmp_path / "idx", [write(tmp_path / "c.txt", ["今天", "天气", "花呗"])], model)
    index.verify()
    for path in (tmp_path / "idx").iterdir():
        if path.name in index.manifest.files:
            for _ in flips(path, 5):
                with pytest.raises(ModelError, match=rf"{path.name}: is damaged \(its checksum differs\)"):
                    Index.open(tmp_path / "idx")
                with pytest.raises(ModelError, match=rf"{path.name}: is damaged \(its checksum differs\)"):
                    index.verify()
