"""What all embedders share: provenance, dimensions, blank texts, unknown characters."""

import shutil
from itertools import count, islice

import numpy as np
import pytest
from embed_support import PLAIN, save_embedder
from support import SENTENCE

from nlpkit.errors import UsageError
from nlpkit.tasks.embed.encoder.embedder import Embedder, Embeddings
from nlpkit.tasks.embed.encoder.linear_map import Projection
from nlpkit.tasks.embed.encoder.postprocess import Postprocessor, normalize
from nlpkit.tasks.embed.loading import load


def test_provenance_and_its_changes(folder, embedder, tmp_path):
    assert embedder.provenance == {
        "model": folder, "fingerprint": embedder.fingerprint, "pooling": "mean", "whitening": None, "dim": 64,
        "normalised": True,
    }  # fmt: skip
    shutil.copytree(folder, tmp_path / "copy")
    assert load(str(tmp_path / "copy"), "cpu", "fp32").fingerprint == embedder.fingerprint
    assert load(save_embedder(tmp_path / "other", seed=6), "cpu", "fp32").fingerprint != embedder.fingerprint
    assert load(folder, "cpu", "fp32", pooling="cls", dim=3, normalize=False).provenance == {
        **embedder.provenance, "pooling": "cls", "dim": 3, "normalised": False
    }  # fmt: skip


def test_the_first_dimensions_are_kept_and_normalised(folder, embedder):
    found = load(folder, "cpu", "fp32", dim=7).encode(PLAIN)
    expected = embedder.raw(PLAIN).vectors[:, :7]
    assert np.allclose(found, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-6)
    raw = load(folder, "cpu", "fp32", normalize=False)
    assert np.allclose(raw.encode(PLAIN), embedder.raw(PLAIN).vectors)


def cosine(embedder, first, second):
    first, second = embedder.encode([first, second])
    return float(first @ second)


@pytest.mark.parametrize(("first", "second"), [("😀", "😡"), ("王䶮", "王𬭎"), ("สวัสดี", "ขอบคุณ"), ("叶😀在", "叶👎在")])
@pytest.mark.parametrize("dim", [None, 40])
def test_different_unknown_characters_differ_and_a_text_equals_itself(folder, first, second, dim):
    embedder = load(folder, "cpu", "fp32", dim=dim)
    assert cosine(embedder, first, second) < 0.95
    assert cosine(embedder, first, first) == pytest.approx(1, abs=1e-6)
    assert np.allclose(np.linalg.norm(embedder.encode([first, second]), axis=1), 1, atol=1e-6)


def test_only_texts_with_unknown_characters_have_directions(embedder):
    found = embedder.embed([*PLAIN, "叶老桂😀"])
    assert set(found.unknown) == {len(PLAIN)}
    assert found.unknown[len(PLAIN)] == (("😀",), 0.25)
    assert np.array_equal(found.vectors[:-1], normalize(embedder.raw([*PLAIN, "叶老桂😀"]).vectors)[:-1])
    assert cosine(embedder, SENTENCE, SENTENCE + "😀") > 0.95


@pytest.mark.parametrize("text", ["", "  ", "\u3000\u00a0", "\u200b\ufeff", "\t"])
def test_a_blank_text_has_zeros(embedder, text):
    found = embedder.embed([text, SENTENCE])
    assert found.blank == {0}
    assert not found.vectors[0].any()


class Lengths(Embedder):
    """A vector holds the length of the text; the model has had `calls` with so many texts."""

    name, fingerprint, pooling, width = "lengths", "1f", "mean", 2

    def __init__(self, **settings):
        self.postprocessor, self.calls = Postprocessor(normalize=False), []
        vars(self).update(settings)

    def raw(self, texts):
        self.calls.append(len(texts))
        return Embeddings(np.array([[len(text), 1] for text in texts], np.float32).reshape(-1, 2))


def test_a_stream_reads_a_chunk_ahead_and_no_more():
    embedder, numbers = Lengths(), count(1)
    vectors = embedder.stream(("字" * number for number in numbers), chunk=3)
    assert [vector.tolist() for vector in islice(vectors, 4)] == [[1, 1], [2, 1], [3, 1], [4, 1]]
    assert (embedder.calls, next(numbers)) == ([3, 3], 7)


def test_a_stream_that_ends_inside_a_chunk():
    embedder = Lengths()
    assert len(list(embedder.stream(["一", "二", "三", "四"], chunk=3))) == 4
    assert embedder.calls == [3, 1]
    assert list(embedder.stream([])) == []


@pytest.mark.parametrize("call", [Embedder.encode, Embedder.stream])
def test_one_string_is_no_list_of_texts(call):
    """Its characters would be embedded one by one."""
    with pytest.raises(UsageError, match="texts is one string; pass a list of strings"):
        call(Lengths(), "今天天气不错")


def test_published_vectors_are_left_as_they_are():
    """Those of sentence-transformers have a vector for a blank text, too."""
    assert Lengths().encode(["", "天"]).tolist() == [[0, 0], [1, 1]]
    assert Lengths(matches_published=True).encode(["", "天"]).tolist() == [[0, 1], [1, 1]]


def test_another_postprocessing_leaves_the_embedder_as_it_was():
    embedder = Lengths()
    first = embedder.with_postprocessing(None, 1)
    assert (first.dim, embedder.dim) == (1, 2)
    assert first.encode(["天气"]).tolist() == [[2]]
    map = Projection.random(2, 1, 0, {})
    mapped = embedder.with_postprocessing(map, None)
    assert mapped.provenance == embedder.raw_provenance | {"whitening": map.fingerprint, "dim": 1}
    assert embedder.provenance == embedder.raw_provenance
