"""Retrieval by words, by vectors and by both, in indexes with and without BM25."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from index_support import build, change, write
from support import texts as any_text

from nlpkit.errors import UsageError
from nlpkit.tasks.embed.index.index import Index
from nlpkit.tasks.embed.index.retrieval import pick_method, retrieve
from nlpkit.tasks.embed.loading import load


def lines_of(index, model, query, k=10, method="hybrid"):
    (results,) = retrieve(index, [query], load(model).encode([query]), k, method)
    return [result["line"] for result in results]


@pytest.fixture(scope="module")
def weather(tmp_path_factory, model):
    folder = tmp_path_factory.mktemp("retrieval")
    lines = ["今天天气不错", "花呗怎么还款", "叶老桂在浙商银行", "天气预报说明天有雨", "电影好看吗"]
    return build(folder / "idx", [write(folder / "c.txt", lines)], model)


def test_hybrid_has_the_scores_of_both(weather, model):
    query = "明天的天气"
    vector = load(model).encode([query])
    (results,) = retrieve(weather, [query], vector, 10, "hybrid")
    assert len(results) == 5
    cosines = {result["line"]: result["score"] for result in retrieve(weather, [query], vector, 10, "vector")[0]}
    words = {result["line"]: result["score"] for result in retrieve(weather, [query], None, 10, "bm25")[0]}
    for result in results:
        assert list(result) == ["text", "score", "cosine", "bm25", "line"]
        assert result["cosine"] == pytest.approx(cosines[result["line"]], abs=1e-4)
        assert result["bm25"] == words.get(result["line"], 0)
    assert set(words) == {1, 4}
    scores = [result["score"] for result in results]
    assert scores == sorted(scores, reverse=True)


def test_the_score_is_that_of_the_ranks(weather, model):
    query = "明天天气预报"
    vector = load(model).encode([query])
    ranks = [result["line"] for result in retrieve(weather, [query], vector, 10, "vector")[0]]
    best = 4  # has the words, and line 1 less than half as much
    for result in retrieve(weather, [query], vector, 10, "hybrid")[0]:
        expected = 61 / (61 + ranks.index(result["line"])) / 2 + (0.5 if result["line"] == best else 0)
        assert result["score"] == pytest.approx(expected, abs=1e-4)


def test_a_rare_name_comes_first(weather, model):
    assert lines_of(weather, model, "叶老桂", 1, "bm25") == [3]
    assert lines_of(weather, model, "叶老桂", 1) == [3]


def test_without_common_words_the_vectors_decide(weather, model):
    query = "xyz"
    assert lines_of(weather, model, query, method="bm25") == []
    assert lines_of(weather, model, query) == lines_of(weather, model, query, method="vector")


def test_a_query_without_a_vector_has_the_hits_of_its_words(weather):
    query = "天气预报"
    (results,) = retrieve(weather, [query], np.zeros((1, 16), np.float32), 10, "hybrid")
    assert [result["line"] for result in results] == [4]
    assert results[0]["cosine"] == 0


@pytest.mark.parametrize("method", ["hybrid", "bm25", "vector", "exact"])
def test_a_blank_query_has_no_results(weather, model, method):
    queries = ["", " \u200b", "天气"]
    assert [len(found) > 0 for found in retrieve(weather, queries, load(model).encode(queries), 3, method)] == [
        False, False, True
    ]  # fmt: skip


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(query=any_text)
def test_any_query_is_answered(weather, model, query):
    for method in ("hybrid", "bm25", "vector"):
        found = lines_of(weather, model, query, 3, method)
        assert len(found) == len(set(found)) <= 3


def test_more_results_than_are_fused_by_default(tmp_path, model, texts):
    index = build(tmp_path / "idx", [write(tmp_path / "c.txt", texts[:300])], model)
    assert len(lines_of(index, model, texts[7], 250)) == 250


def test_vector_is_the_method_of_the_index(tmp_path, model, texts):
    pytest.importorskip("usearch")
    index = build(tmp_path / "idx", [write(tmp_path / "c.txt", texts[:200])], model, method="graph")
    assert lines_of(index, model, texts[7], method="vector") == lines_of(index, model, texts[7], method="graph")
    assert lines_of(index, model, texts[7], 1) == [8]


def without_bm25(folder):
    """Make the index one of an older nlpkit."""
    manifest = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    files = {name: entry for name, entry in manifest["files"].items() if not name.startswith("bm25")}
    del manifest["bm25"]
    (folder / "index.json").write_text(json.dumps(manifest | {"files": files}), encoding="utf-8")
    for path in folder.glob("bm25-*"):
        path.unlink()


def test_an_old_index_is_searched_by_its_vectors(tmp_path, model, weather):
    index = build(tmp_path / "idx", [write(tmp_path / "c.txt", ["今天天气", "花呗还款"])], model)
    assert pick_method(index, None) == "hybrid"
    without_bm25(tmp_path / "idx")
    old = Index.open(tmp_path / "idx")
    old.verify()
    assert old.info()["bm25"] is None
    assert pick_method(old, None) == "vector"
    assert lines_of(old, model, "花呗", method="vector") == [2, 1]
    for method in ("hybrid", "bm25"):
        with pytest.raises(
            UsageError, match="has no BM25 of this version of nlpkit; build it again, or pass --method vector"
        ):
            pick_method(old, method)


def test_an_index_of_other_rules_for_terms_is_refused(tmp_path, model):
    index = build(tmp_path / "idx", [write(tmp_path / "c.txt", ["今天天气"])], model)
    change(bm25=index.manifest.bm25 | {"analyzer": 2})(tmp_path / "idx")
    newer = Index.open(tmp_path / "idx")
    assert pick_method(newer, None) == "vector"
    with pytest.raises(UsageError, match="has no BM25 "):
        pick_method(newer, "bm25")
