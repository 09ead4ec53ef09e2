"""Static vectors: the mean of a table, in blocks, and their folder."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from static_support import TOKENS, save_static, sentences
from support import NASTY, texts

from nlpkit.errors import ModelError, UsageError
from nlpkit.tasks.embed.encoder.postprocess import Postprocessor, normalize
from nlpkit.tasks.embed.encoder.unknown import with_directions
from nlpkit.tasks.embed.loading import load
from nlpkit.tasks.embed.static.lexicon import Lexicon
from nlpkit.tasks.embed.static.static import BLOCK, BLOCK_CHARACTERS, StaticEmbedder, text_blocks


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_static(tmp_path_factory.mktemp("static") / "model")


@pytest.fixture(scope="module")
def embedder(folder):
    return load(folder)


def slow(embedder, text):
    """The vector of a text, a token at a time in float64."""
    (total, number) = (np.zeros(embedder.width), 0)
    for ids, _ in embedder.lexicon.find([text]):
        for index in ids:
            total += embedder.table[index].astype(np.float64)
            number += 1
    length = np.linalg.norm(total)
    return total / length if number and length else total


@given(st.lists(texts, min_size=1, max_size=5))
def test_a_vector_is_the_mean_of_the_tokens(batch):
    embedder = StaticEmbedder(Lexicon(TOKENS), torch.randn(len(TOKENS), 8).numpy(), "m", "x", Postprocessor())
    expected = with_directions(np.array([slow(embedder, text) for text in batch]), embedder.raw(batch).unknown)
    np.testing.assert_allclose(embedder.encode(batch), normalize(expected), atol=1e-5)


def test_a_text_has_the_same_vector_in_any_company(embedder):
    batch = [*sentences(300), *NASTY, "今天" * 9000]
    together = embedder.encode(batch)
    apart = np.concatenate([embedder.encode([text]) for text in batch])
    np.testing.assert_array_equal(together, apart)
    np.testing.assert_array_equal(embedder.encode(batch[::-1])[::-1], together)


def test_a_blank_text_has_zeros_and_one_of_unknown_characters_a_vector(embedder):
    vectors = embedder.encode(["", "\u200b", " ", "未知", "未来", "今天", "今天\u200b"])
    assert not vectors[:3].any()
    assert np.linalg.norm(vectors[3:], axis=1) == pytest.approx(np.ones(4))
    assert vectors[3] @ vectors[4] < 0.95
    raw = embedder.raw(["今天未知", "今天"])
    assert raw.unknown == {0: (("未", "知"), 0.5)}
    np.testing.assert_array_equal(embedder.encode(["今天"]), normalize(raw.vectors[1:]))
    np.testing.assert_array_equal(vectors[5], vectors[6])
    assert embedder.encode([]).shape == (0, 16)


def test_blocks_are_bounded_and_lose_nothing():
    batch = ["字"] * (2 * BLOCK + 5) + ["长" * (BLOCK_CHARACTERS + 1)] + ["中" * 100] * 3000
    found = list(text_blocks(batch))
    assert [end for _, end in found[:-1]] == [start for start, _ in found[1:]]
    assert (found[0][0], found[-1][1]) == (0, len(batch))
    for start, end in found:
        assert end - start <= BLOCK
        assert end - start == 1 or sum(map(len, batch[start:end])) <= BLOCK_CHARACTERS
    assert list(text_blocks([])) == []


@pytest.mark.parametrize(("store", "tolerance"), [("fp32", 0), ("fp16", 1e-3), ("int8", 0.02)])
def test_a_folder_gives_the_vectors_that_were_saved(tmp_path, embedder, store, tolerance):
    loaded = load(save_static(tmp_path / "m", store=store))
    np.testing.assert_allclose(loaded.encode(sentences(50)), embedder.encode(sentences(50)), atol=tolerance)


def test_its_identity_names_the_weights_and_not_the_place(tmp_path, folder, embedder):
    same, other = load(save_static(tmp_path / "same")), load(save_static(tmp_path / "other", seed=4))
    assert same.provenance == embedder.provenance | {"model": str(tmp_path / "same")}
    assert other.provenance["fingerprint"] != embedder.provenance["fingerprint"]
    assert (embedder.dim, embedder.provenance["dim"], embedder.provenance["model"]) == (16, 16, folder)


def test_the_first_dimensions(folder, embedder):
    whole, part = embedder.encode(["今天天气"])[:, :5], load(folder, dim=5).encode(["今天天气"])
    np.testing.assert_allclose(part, whole / np.linalg.norm(whole), atol=1e-6)
    with pytest.raises(UsageError, match="16 dimensions"):
        load(folder, dim=17)


def test_a_whitening_behind_it(nlpkit, folder, tmp_path):
    corpus = tmp_path / "corpus.txt"
    corpus.write_text("".join(text + "\n" for text in sentences(300)), encoding="utf-8")
    command = ["train", "whitening", corpus, "-m", folder, "-o", "w.safetensors", "-q"]
    assert nlpkit(*command).exit_code == 0
    whitened = load(folder, whiten="w.safetensors", dim=4, normalize=False)
    vectors = whitened.encode(sentences(300))
    np.testing.assert_allclose(np.cov(vectors.T), np.eye(4), atol=0.02)
    with pytest.raises(ModelError, match="another model"):
        load(save_static(tmp_path / "other", seed=6), whiten="w.safetensors")


def damage_tokens(path):
    (path / "vocab.txt").write_text("今\n天\n", encoding="utf-8")


def damage_order(path):
    (path / "vocab.txt").write_text("\n".join(TOKENS[::-1]) + "\n", encoding="utf-8")


def damage_token(path):
    (path / "vocab.txt").write_text("\n".join([*TOKENS[:-1], ""]) + "\n", encoding="utf-8")


def damage_weights(path):
    weights = path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-5])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_tokens, "2 tokens in vocab.txt"),
        (damage_order, "characters must come before the words"),
        (damage_token, "a token is empty"),
        (damage_weights, "truncated"),
        (lambda path: (path / "vocab.txt").unlink(), "needs its vocab.txt"),
        (lambda path: (path / "model.safetensors").unlink(), "incomplete"),
    ],
)
def test_a_damaged_folder_is_refused(tmp_path, damage, message):
    save_static(tmp_path / "m")
    manifest = tmp_path / "m/nlpkit.json"
    sealed = manifest.read_text(encoding="utf-8")
    manifest.write_text(json.dumps({**json.loads(sealed), "files": {}}), encoding="utf-8")
    damage(tmp_path / "m")
    with pytest.raises(ModelError, match=message):
        load(str(tmp_path / "m"))
    manifest.write_text(sealed, encoding="utf-8")
    with pytest.raises(ModelError, match=r"bytes, not|its checksum differs|no such file"):
        load(str(tmp_path / "m"))


def test_a_table_with_nan_is_refused(tmp_path):
    with pytest.raises(ModelError, match="NaN"):
        load(save_static(tmp_path / "m", table=torch.full((len(TOKENS), 16), torch.nan)))
