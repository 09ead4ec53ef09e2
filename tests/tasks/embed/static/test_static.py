"""Static vectors: the mean of a table, folders, and making them from a model."""

import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from static_support import CHARACTERS, TOKENS, save_static, sentences
from support import NASTY, texts

from nlpkit.core.io.records import Line
from nlpkit.errors import DataError, ModelError, UsageError
from nlpkit.tasks.embed.data import Pair
from nlpkit.tasks.embed.encoder.postprocess import Postprocessor, normalize
from nlpkit.tasks.embed.encoder.unknown import with_directions
from nlpkit.tasks.embed.loading import load
from nlpkit.tasks.embed.static import distil
from nlpkit.tasks.embed.static.distil import DistilSettings, Material
from nlpkit.tasks.embed.static.lexicon import Lexicon
from nlpkit.tasks.embed.static.static import BLOCK, BLOCK_CHARACTERS, StaticEmbedder, text_blocks

SMALL = DistilSettings(dim=8, tokens=200, min_count=2, batch_size=64, epochs=3)


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
            total += embedder.table[index].double().numpy()
            number += 1
    length = np.linalg.norm(total)
    return total / length if number and length else total


@given(st.lists(texts, min_size=1, max_size=5))
def test_a_vector_is_the_mean_of_the_tokens(batch):
    embedder = StaticEmbedder(Lexicon(TOKENS), torch.randn(len(TOKENS), 8), "m", "x", Postprocessor())
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


def damage_weights(path):
    weights = path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-5])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (damage_tokens, "2 tokens in vocab.txt"),
        (damage_order, "characters must come before the words"),
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


def test_a_table_with_nan_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(torch, "randn", lambda *shape, generator: torch.full(shape, torch.nan))
    with pytest.raises(ModelError, match="NaN"):
        load(save_static(tmp_path / "m"))


# ---- distillation


@pytest.fixture(scope="module")
def material():
    return Material(sentences(800), [])


class Contextual:
    """A model that a bag of tokens cannot copy exactly: a word counts by its place, too."""

    name, dim, identity = "contextual", 12, {"model": "contextual"}

    def __init__(self):
        self.vectors = dict(zip(CHARACTERS, np.random.default_rng(1).normal(1, 1, (len(CHARACTERS), 12)), strict=True))

    def encode(self, batch):
        found = np.zeros((len(batch), 12), dtype=np.float32)
        for row, text in enumerate(batch):
            for place, character in enumerate(text, 1):
                found[row] += self.vectors.get(character, 0) * (1 + 1 / place)
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)


def test_tuning_comes_close_to_the_model(material):
    made = distil.distil(Contextual(), material, SMALL)
    assert made.table.shape == (len(made.tokens), 8)
    assert made.metrics["cosine"] > max(0.9, made.metrics["cosine_before_tuning"] + 0.02)
    again = distil.distil(Contextual(), material, SMALL)
    torch.testing.assert_close(again.table, made.table, rtol=0, atol=0)


def test_pairs_change_what_is_alike(material):
    """Two words that the model holds apart become alike where pairs say so."""
    line = Line("", "pairs.tsv", 1)
    chance = np.random.default_rng(0)
    pairs = []
    for text in material.texts[:400]:
        alike = bool(chance.random() < 0.5)
        pairs.append(Pair(text + "银行", text[::-1] + ("电影" if alike else "天气"), float(alike), line))
    weighted = DistilSettings(dim=8, tokens=200, min_count=2, batch_size=64, epochs=5, pair_weight=1)

    def cosine(made, first, second):
        embedder = StaticEmbedder(Lexicon(made.tokens), made.table, "", "", Postprocessor())
        a, b = embedder.encode([first, second])
        return float(a @ b)

    taught = distil.distil(Contextual(), Material(material.texts, [pairs]), weighted)
    untaught = distil.distil(Contextual(), material, weighted)
    gain = [cosine(made, "银行", "电影") - cosine(made, "银行", "天气") for made in (taught, untaught)]
    assert gain[0] > gain[1] + 0.1


def test_tokens_are_characters_and_frequent_words():
    batch = ["我在北京用Python。", "他在北京看电影！", "PYTHON 很好用"] * 3 + ["罕"]
    tokens = distil.choose_tokens(batch, SMALL, lambda stage, done, total: None)
    assert {"我", "在", "p", "。", "！", "北京", "python", "电影"} <= set(tokens)
    assert not {"罕", " ", "Python", "很好用"} & set(tokens)
    Lexicon(tokens)
    fewer = distil.choose_tokens(batch, DistilSettings(tokens=len(tokens) - 2, min_count=2), lambda *stage: None)
    assert fewer == tokens[:-2]


def test_rare_words_weigh_more():
    weights = distil.sif_weights(Lexicon(["的", "罕"]), ["的" * 99 + "罕"], 0.01)
    np.testing.assert_allclose(weights, [0.01 / (0.01 + 0.99), 0.01 / (0.01 + 0.01)], rtol=1e-6)


def test_the_principal_directions_are_those_of_the_second_moments():
    vectors = np.random.default_rng(0).standard_normal((500, 5)).astype(np.float32) + 2
    found = distil.principal_directions(vectors, 3)
    expected = np.linalg.svd(vectors)[2][:3].T
    np.testing.assert_allclose(np.abs((found * expected).sum(0)), 1, atol=1e-4)


def test_a_sample_is_fair_and_repeats():
    lines = [f"行{number}" for number in range(50)]
    assert distil.sample([*lines, "", " \u3000"], 50, 0) == lines
    counts = dict.fromkeys(lines, 0)
    for seed in range(400):
        chosen = distil.sample(lines, 10, seed)
        assert len(set(chosen)) == 10
        for line in chosen:
            counts[line] += 1
    assert min(counts.values()) > 45
    assert max(counts.values()) < 125  # 80 are expected
    assert distil.sample(lines, 10, 7) == distil.sample(lines, 10, 7)


def test_material_is_lines_and_pairs(tmp_path):
    corpus, pairs = tmp_path / "corpus.txt", tmp_path / "pairs.tsv"
    corpus.write_text("".join(f"第{number}行\n" for number in range(60)) + "第1行\n\n", encoding="utf-8")
    pairs.write_text("花呗怎么还\t花呗还款\t1\n第1行\t借呗\t0\n", encoding="utf-8")
    found = distil.read_material([str(corpus), str(pairs)], SMALL)
    assert sorted(found.texts) == sorted({*(f"第{number}行" for number in range(60)), "花呗怎么还", "花呗还款", "借呗"})
    assert [[pair.score for pair in group] for group in found.groups] == [[1.0, 0.0]]
    with pytest.raises(DataError, match="too few"):
        distil.read_material([str(pairs)], SMALL)


# ---- the command


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text("".join(text + "\n" for text in sentences(800)), encoding="utf-8")
    return str(path)


def test_train_static(nlpkit, folder, corpus, tmp_path):
    dev = tmp_path / "dev.tsv"
    dev.write_text("今天天气\t天气不错\t2\n花呗还款\t银行\t1\n花呗\t花呗怎么还\t3\n", encoding="utf-8")
    options = ["--model", folder, "--dim", "8", "--epochs", "2", "--store", "int8", "--dev", str(dev), "-q"]
    result = nlpkit("train", "static", corpus, "-o", "small", *options)
    assert result.exit_code == 0, result.output
    printed = json.loads(result.stdout)
    assert printed["cosine"] > 0.6
    assert set(printed["files"]) == {str(dev)}
    assert load("small").dim == 8
    embedded = nlpkit("embed", "-m", "small", text="今天天气\n")
    assert len(json.loads(embedded.stdout)["embedding"]) == 8
    manifest = json.loads((tmp_path / "small" / "nlpkit.json").read_text(encoding="utf-8"))
    assert manifest["metrics"]["dev"]["mean"] == printed["mean"]
    assert manifest["training"]["teacher"]["model"] == folder
    evaluated = nlpkit("evaluate", "embed", str(dev), "-m", "small")
    assert json.loads(evaluated.stdout)["mean"] == pytest.approx(printed["mean"])


@pytest.mark.parametrize(
    ("more", "code", "words"),
    [
        (["few.txt"], 1, "too few"),
        ([], 2, "Missing argument 'FILES…'"),
        (["CORPUS", "--dim", "17"], 2, "16 dimensions"),
        (["CORPUS", "-o", "CORPUS"], 2, "is a file"),
    ],
)
def test_what_it_refuses(fails, folder, corpus, tmp_path, more, code, words):
    (tmp_path / "few.txt").write_text("今天\n", encoding="utf-8")
    more = [corpus if option == "CORPUS" else option for option in more]
    assert words in fails(code, "train", "static", "-m", folder, "-o", "out", "-q", *more)
