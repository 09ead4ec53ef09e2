"""Distillation: tokens, weights, directions, tuning, and the material."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from static_support import Contextual, Skewed, sentences

from nlpkit.core.io.records import Line
from nlpkit.errors import DataError, UsageError
from nlpkit.tasks.embed.data import Pair
from nlpkit.tasks.embed.encoder.postprocess import Postprocessor
from nlpkit.tasks.embed.static import distil
from nlpkit.tasks.embed.static.distil import DistilSettings, Material
from nlpkit.tasks.embed.static.lexicon import Lexicon
from nlpkit.tasks.embed.static.static import StaticEmbedder

SMALL = DistilSettings(dim=8, tokens=200, min_count=2, batch_size=64, epochs=3)


@pytest.fixture(scope="module")
def material():
    return Material(sentences(800), [])


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
    weighted = DistilSettings(
        dim=8, tokens=200, min_count=2, batch_size=64, epochs=5, pair_weight=1, similarity_weight=0
    )

    def cosine(made, first, second):
        embedder = StaticEmbedder(Lexicon(made.tokens), made.table.numpy(), "", "", Postprocessor())
        a, b = embedder.encode([first, second])
        return float(a @ b)

    texts = list(dict.fromkeys([*material.texts, *(text for p in pairs for text in (p.first, p.second))]))
    taught = distil.distil(Contextual(), Material(texts, [pairs]), weighted)
    untaught = distil.distil(Contextual(), Material(texts, []), weighted)
    gain = [cosine(made, "银行", "电影") - cosine(made, "银行", "天气") for made in (taught, untaught)]
    assert gain[0] > gain[1] + 0.1


def test_cosines_of_pairs_come_closer_to_those_of_the_model(material):
    line, chance = Line("", "pairs.tsv", 1), np.random.default_rng(0)
    texts = [material.texts[i] for i in chance.permutation(800)]
    pairs = [Pair(one, other, 0.0, line) for one, other in zip(texts[::2], texts[1::2], strict=True)]
    teacher = Skewed()

    def difference(weight):
        settings = replace(SMALL, dim=12, epochs=10, lr=0.05, pair_weight=0, similarity_weight=weight)
        made = distil.distil(teacher, Material(material.texts, [pairs]), settings)
        student = StaticEmbedder(Lexicon(made.tokens), made.table.numpy(), "", "", Postprocessor())
        found = [(embedder.encode(texts[::2]) * embedder.encode(texts[1::2])).sum(1) for embedder in (student, teacher)]
        return float(np.square(found[0] - found[1]).mean())

    assert difference(1) < 0.5 * difference(0)


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
    unscored = tmp_path / "unscored.jsonl"
    unscored.write_text('{"query": "花呗怎么还", "title": "花呗"}\n', encoding="utf-8")
    found = distil.read_material([str(corpus), str(pairs), str(unscored)], SMALL)
    expected = {*(f"第{number}行" for number in range(60)), "花呗怎么还", "花呗还款", "借呗", "花呗"}
    assert sorted(found.texts) == sorted(expected)
    assert [[pair.score for pair in group] for group in found.groups] == [[1.0, 0.0], [0.0]]
    with pytest.raises(DataError, match="too few"):
        distil.read_material([str(pairs)], SMALL)


def test_what_cannot_be_distilled(material):
    with pytest.raises(UsageError, match="--dim 13: the vectors of contextual have 12 dimensions"):
        distil.distil(Contextual(), material, replace(SMALL, dim=13))
    with pytest.raises(DataError, match="no character comes 10000 times; give more text"):
        distil.distil(Contextual(), material, replace(SMALL, min_count=10_000))


def test_without_tuning_the_table_is_the_projected_model():
    """A token has the direction that the model gives it alone, less the mean, in proportion to its weight."""
    texts = sentences(200)
    made = distil.distil(Contextual(), Material(texts, []), replace(SMALL, epochs=0))
    teacher = Contextual()
    directions = distil.principal_directions(teacher.encode(texts), 8)
    alone = teacher.encode(made.tokens) @ directions
    weights = distil.sif_weights(Lexicon(made.tokens), texts, SMALL.smoothing)
    np.testing.assert_allclose(made.table, (alone - alone.mean(0)) * weights[:, None], atol=1e-5)
    assert made.metrics["cosine"] == made.metrics["cosine_before_tuning"]


def test_an_encoder_of_few_dimensions_keeps_all(material):
    made = distil.distil(Contextual(), Material(material.texts[:100], []), replace(SMALL, dim=None, epochs=0))
    assert made.table.shape[1] == 12


def test_files_of_pairs_alone_and_json_with_a_field(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("".join(f'{{"title": "第{number}行"}}\n' for number in range(60)), encoding="utf-8")
    assert len(distil.read_material([str(path)], SMALL, field="title").texts) == 60
    pairs = tmp_path / "pairs.tsv"
    pairs.write_text("".join(f"第{number}行\t第{number + 1}行\t1\n" for number in range(60)), encoding="utf-8")
    found = distil.read_material([str(pairs)], SMALL)
    assert (len(found.texts), len(found.groups[0])) == (61, 60)
    assert found.texts != sorted(found.texts)  # in random order, as the first are held out
    assert distil.read_material([str(pairs)], SMALL).texts == found.texts
