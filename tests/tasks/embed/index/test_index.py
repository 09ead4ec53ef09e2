"""Search: exact against a slow one, the graph, the folder, and a build that is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from damage import flips
from static_support import save_static, sentences
from support import environment, records

from nlpkit.errors import DataError, ModelError, UsageError
from nlpkit.tasks.embed.index import build as indexing
from nlpkit.tasks.embed.index import index as search
from nlpkit.tasks.embed.index.build import STATE, BuildSettings, embed_texts, finalize
from nlpkit.tasks.embed.index.hnsw import open_hnsw
from nlpkit.tasks.embed.index.index import Index
from nlpkit.tasks.embed.index.manifest import BUILDING
from nlpkit.tasks.embed.index.top_k import Hit
from nlpkit.tasks.embed.loading import load

FILES = ("index.json", "vectors.npy", "records.jsonl", "offsets.npy")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_static(tmp_path_factory.mktemp("search") / "model")


def build(folder, paths, model, **settings):
    embedder = load(model)
    embed_texts([str(path) for path in paths], embedder, folder, BuildSettings(**settings))
    arguments = {"model": model, "pooling": "auto", "whiten": None, "dim": None, "prompt": None}
    finalize(folder, arguments)
    return Index.open(folder)


def write(path, lines):
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def texts():
    return sentences(3000)


@pytest.fixture(scope="module")
def index(tmp_path_factory, model, texts):
    folder = tmp_path_factory.mktemp("index")
    return build(folder / "idx", [write(folder / "corpus.txt", texts)], model)


def by_hand(vectors, query, k):
    """(row, score) of the k greatest products, by row where they are the same."""
    scores = np.array([float(np.dot(vector.astype(np.float64), query)) for vector in vectors])
    return [(row, scores[row]) for row in sorted(range(len(scores)), key=lambda row: (-scores[row], row))[:k]]


@pytest.mark.parametrize("block", [16, 1000, 8192])
def test_the_exact_search_finds_what_a_slow_one_does(monkeypatch, index, model, block):
    monkeypatch.setattr(search, "BLOCK", block)
    monkeypatch.setattr(search, "QUERIES", 7)
    queries = load(model).encode(sentences(20, seed=9))
    for query, hits in zip(queries, index.search(queries, 10), strict=True):
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
def test_equal_texts_come_in_the_order_of_the_corpus(monkeypatch, tmp_path, model, block):
    monkeypatch.setattr(search, "BLOCK", block)
    lines = sentences(700)
    for place in range(0, 700, 9):
        lines[place] = "今天天气不错"
    index = build(tmp_path / "idx", [write(tmp_path / "corpus.txt", lines)], model)
    same = list(range(0, 700, 9))
    for number in (1, 5, 33):
        (hits, *_) = index.search(load(model).encode(["今天天气不错"] * number), 40)
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


def test_a_graph_goes_on_where_it_was_saved(tmp_path, model, texts, monkeypatch):
    pytest.importorskip("usearch")
    corpus = write(tmp_path / "c.txt", texts)
    monkeypatch.setattr(indexing, "HNSW_CHUNK", 500)
    monkeypatch.setattr(indexing, "SAVE_HNSW_EVERY", 0.0)
    embedder = load(model)
    embed_texts([str(corpus)], embedder, tmp_path / "idx", BuildSettings(method="graph"))

    def killed(stage, done, total):
        if done == 1500:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finalize(tmp_path / "idx", {}, killed)
    assert len(open_hnsw(tmp_path / "idx" / BUILDING / "graph.usearch")) == 1000
    embed_texts([str(corpus)], embedder, tmp_path / "idx", BuildSettings(method="graph", resume=True))
    steps = []
    assert finalize(tmp_path / "idx", {}, lambda stage, done, total: steps.append(done)).method == "graph"
    assert steps == [1500, 2000, 2500, 3000]
    (hits,) = Index.open(tmp_path / "idx").search(embedder.encode([texts[2990]]), 1)
    assert hits[0].score == pytest.approx(1, abs=1e-5)


def test_auto_makes_a_graph_of_many(tmp_path, model, texts, monkeypatch):
    pytest.importorskip("usearch")
    corpus = write(tmp_path / "c.txt", texts[:100])
    monkeypatch.setattr(indexing, "MAX_EXACT", 100)
    assert build(tmp_path / "a", [corpus], model).manifest.method == "exact"
    monkeypatch.setattr(indexing, "MAX_EXACT", 99)
    assert build(tmp_path / "b", [corpus], model).manifest.method == "graph"
    monkeypatch.setattr(indexing, "has_usearch", lambda: False)
    assert build(tmp_path / "c", [corpus], model).manifest.method == "exact"


def test_without_usearch_a_graph_is_refused_at_once(tmp_path, model, monkeypatch):
    monkeypatch.setitem(sys.modules, "usearch", None)
    monkeypatch.setitem(sys.modules, "usearch.index", None)
    with pytest.raises(ModelError, match=r"pip install 'nlpkit\[search\]'"):
        embed_texts(["no-such-file"], load(model), tmp_path / "idx", BuildSettings(method="graph"))


# ---- the folder


def files_of(folder):
    """The files of an index, without the HNSW graph, which differs from build to build."""
    found = {name: (Path(folder) / name).read_bytes() for name in FILES}
    manifest = json.loads(found["index.json"])
    manifest["files"].pop("graph.usearch", None)
    return {**found, "index.json": manifest}


@pytest.mark.parametrize("chunk", [1, 7, 4096])
def test_chunks_do_not_matter(tmp_path, model, texts, monkeypatch, chunk):
    corpus = write(tmp_path / "corpus.txt", [*texts[:60], "", *texts[60:100]])
    whole = files_of(build(tmp_path / "whole", [corpus], model).folder)
    monkeypatch.setattr(indexing, "CHUNK", chunk)
    assert files_of(build(tmp_path / "parts", [corpus], model).folder) == whole


@pytest.mark.parametrize("moment", range(0, 20, 4))
def test_a_build_that_breaks_off_goes_on_to_the_same_files(tmp_path, model, texts, monkeypatch, moment):
    lines = [text if number % 5 else " " for number, text in enumerate(texts[:200])]
    corpus = [write(tmp_path / "a.txt", lines[:120]), write(tmp_path / "b.txt", lines[120:])]
    monkeypatch.setattr(indexing, "CHUNK", 10)
    monkeypatch.setattr(indexing, "SAVE_EVERY", 0.0 if moment % 8 else 1e9)  # saved always, or only once
    whole = files_of(build(tmp_path / "whole", corpus, model).folder)
    embedder = load(model)
    calls = []

    class Dying(type(embedder)):
        def raw(self, batch):
            calls.append(len(batch))
            if len(calls) > moment:
                raise KeyboardInterrupt
            return super().raw(batch)

    dying = Dying(embedder.lexicon, embedder.table, embedder.name, embedder.fingerprint, embedder.postprocessor)
    paths = [str(path) for path in corpus]
    with pytest.raises(KeyboardInterrupt):
        embed_texts(paths, dying, tmp_path / "idx")
    if moment:
        with (tmp_path / "idx" / BUILDING / "records.jsonl").open("ab") as stream:
            stream.write(b'{"text":"half a li')
    else:  # nothing had been saved
        assert not (tmp_path / "idx").exists()
        (tmp_path / "idx" / BUILDING).mkdir(parents=True)
    with pytest.raises(ModelError, match="--resume"):
        Index.open(tmp_path / "idx")
    assert files_of(build(tmp_path / "idx", corpus, model, resume=True).folder) == whole
    assert not (tmp_path / "idx" / BUILDING).exists()
    assert build(tmp_path / "idx", corpus, model, resume=True).manifest.count == 160  # nothing left to do


def test_a_killed_process_goes_on(nlpkit, tmp_path, model):
    """With nothing but what the kill has left on the disk."""
    corpus = write(tmp_path / "corpus.txt", sentences(2000) * 25)
    command = ["search", "build", str(corpus), "-m", model, "-q"]
    process = subprocess.Popen([sys.executable, "-m", "nlpkit", *command, "-o", "idx"], env=environment(), cwd=tmp_path)
    deadline = time.monotonic() + 60
    while not (tmp_path / "idx" / BUILDING / STATE).exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    rows = json.loads((tmp_path / "idx" / BUILDING / STATE).read_text())["rows"]
    assert 0 < rows < 50_000
    assert nlpkit(*command, "-o", "idx", "--resume").exit_code == 0
    assert nlpkit(*command, "-o", "whole").exit_code == 0
    assert files_of(tmp_path / "idx") == files_of(tmp_path / "whole")


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"model": "other"}, ModelError, "another model"),
        ({"paths": ["b.txt"]}, UsageError, "other sources"),
        ({"precision": "float16"}, UsageError, "other precision"),
        ({"encoding": "gb18030"}, UsageError, "other encoding"),
    ],
)
def test_another_build_is_not_resumed(tmp_path, model, texts, change, error, words):
    for name in ("a.txt", "b.txt"):
        write(tmp_path / name, texts[:10])
    embed_texts([str(tmp_path / "a.txt")], load(model), tmp_path / "idx")
    paths = [str(tmp_path / name) for name in change.pop("paths", ["a.txt"])]
    used = save_static(tmp_path / change.pop("model"), seed=8) if "model" in change else model
    with pytest.raises(error, match=words):
        embed_texts(paths, load(used), tmp_path / "idx", BuildSettings(**{"resume": True} | change))


@pytest.mark.parametrize("change", [{"precision": "float16"}, {"method": "graph"}])
def test_a_finished_index_is_not_resumed_as_another(tmp_path, model, texts, change):
    corpus = write(tmp_path / "a.txt", texts[:10])
    build(tmp_path / "idx", [corpus], model)
    with pytest.raises(UsageError, match=f"other {next(iter(change))}"):
        embed_texts([str(corpus)], load(model), tmp_path / "idx", BuildSettings(resume=True, **change))


def test_a_build_that_fails_leaves_the_old_index(tmp_path, model, texts):
    old = files_of(build(tmp_path / "idx", [write(tmp_path / "a.txt", texts[:20])], model, method="graph").folder)
    (tmp_path / "bad.txt").write_bytes("今天\n".encode() + b"\xff\n")
    with pytest.raises(DataError, match=r"bad.txt:2: "):
        build(tmp_path / "idx", [tmp_path / "bad.txt"], model)
    assert files_of(tmp_path / "idx") == old
    assert Index.open(tmp_path / "idx").search(load(model).encode(texts[:1]), 1)
    new = build(tmp_path / "idx", [write(tmp_path / "b.txt", texts[:30])], model)
    assert new.manifest.count == 30
    assert sorted(path.name for path in new.folder.iterdir()) == sorted(FILES)


@pytest.mark.parametrize("moved", range(4))
def test_files_that_were_half_moved_are_moved_on(tmp_path, model, texts, monkeypatch, moved):
    corpus = [write(tmp_path / "a.txt", texts[:20])]
    whole = files_of(build(tmp_path / "whole", corpus, model).folder)
    build(tmp_path / "idx", [write(tmp_path / "b.txt", texts[:30])], model)
    usual, calls = Path.replace, []

    def replace(path, target):
        if path.parent.name == BUILDING and target.parent.name != BUILDING:
            calls.append(path)
            if len(calls) > moved:
                raise KeyboardInterrupt
        return usual(path, target)

    with monkeypatch.context() as context:
        context.setattr(Path, "replace", replace)
        with pytest.raises(KeyboardInterrupt):
            build(tmp_path / "idx", corpus, model)
    assert files_of(build(tmp_path / "idx", corpus, model, resume=True).folder) == whole


@pytest.mark.parametrize("method", ["exact", "graph"])
def test_a_build_that_was_killed_at_its_last_step_is_finished(tmp_path, model, texts, monkeypatch, method):
    corpus = [write(tmp_path / "a.txt", texts[:20])]
    whole = files_of(build(tmp_path / "whole", corpus, model, method=method).folder)
    embed_texts([str(corpus[0])], load(model), tmp_path / "idx", BuildSettings(method=method))
    (tmp_path / "idx" / "whitening.safetensors").write_text("of somebody else")
    arguments = {"model": model, "pooling": "auto", "whiten": None, "dim": None, "prompt": None}
    with monkeypatch.context() as context:
        context.setattr(indexing, "_clear", lambda folder: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            finalize(tmp_path / "idx", arguments)
    assert (tmp_path / "idx" / BUILDING / STATE).exists()
    assert files_of(build(tmp_path / "idx", corpus, model, resume=True, method=method).folder) == whole
    assert not (tmp_path / "idx" / BUILDING).exists()
    assert (tmp_path / "idx" / "whitening.safetensors").read_text() == "of somebody else"


def test_an_empty_corpus_is_an_error(tmp_path, model):
    with pytest.raises(DataError, match="no text"):
        build(tmp_path / "idx", [write(tmp_path / "c.txt", ["", " "])], model)


def shorten(path):
    path.write_bytes(path.read_bytes()[:-9])


def change(**fields):
    def damage(path):
        manifest = json.loads((path / "index.json").read_text(encoding="utf-8"))
        (path / "index.json").write_text(json.dumps(manifest | fields), encoding="utf-8")

    return damage


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda path: (path / "index.json").unlink(), "unfinished"),
        (lambda path: (path / "index.json").write_text("{"), "broken"),
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
        (change(count=14.0), "count must be a whole number, not 14.0"),
        (change(dim="16"), "dim must be a whole number, not a string"),
        (change(format="1"), "format must be a whole number"),
        (change(identity=None), "identity must be an object, not null"),
        (change(identity={}), "no field identity.dim"),
        (change(embedder=[]), "embedder must be an object, not a list"),
        (change(method="guess"), "method must be one of exact, graph"),
        (change(sources=[{"name": 1, "size": 2}]), r"sources\[0\].name must be a string"),
        (lambda path: (path / "index.json").write_text("[" * 100_000), "index.json: is nested too deeply"),
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


# ---- the commands


@pytest.fixture
def built(nlpkit, tmp_path, model):
    corpus = write(tmp_path / "corpus.txt", ["今天天气不错", "", "花呗怎么还款", "电影好看吗"])
    result = nlpkit("search", "build", corpus, "-o", "idx", "-m", model, "-q")
    assert result.exit_code == 0, result.output
    (made,) = records(result)
    assert (made["count"], made["dim"], made["method"]) == (3, 16, "exact")
    assert made["encoder"]["model"] == model
    return "idx"


def test_query(nlpkit, built):
    found = records(nlpkit("search", "query", built, "-k", "2", text="花呗怎么还款\n\n今天天气\n"))
    assert [record["query"] for record in found] == ["花呗怎么还款", "", "今天天气"]
    assert [len(record["results"]) for record in found] == [2, 0, 2]
    assert found[0]["results"][0] == {"text": "花呗怎么还款", "score": 1.0, "line": 3}
    assert found[2]["results"][0]["text"] == "今天天气不错"


def test_json_lines_keep_their_records(nlpkit, tmp_path, model):
    corpus = [{"id": 7, "title": "今天天气"}, {"id": 8, "title": "花呗还款", "tags": ["a"]}]
    write(tmp_path / "c.jsonl", [json.dumps(record, ensure_ascii=False) for record in corpus])
    assert nlpkit("search", "build", "c.jsonl", "-o", "idx", "-m", model, "--field", "title", "-q").exit_code == 0
    query = json.dumps({"question": "花呗", "number": 1}, ensure_ascii=False)
    (found,) = records(nlpkit("search", "query", "idx", "-k", "1", "--field", "question", text=query + "\n"))
    best = {"text": "花呗还款", "score": found["results"][0]["score"], "line": 2, "record": corpus[1]}
    assert found == {"number": 1, "query": "花呗", "results": [best]}


def test_a_whitened_index_may_be_moved(nlpkit, tmp_path, model, monkeypatch):
    corpus = write(tmp_path / "corpus.txt", sentences(100))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    Path("model").symlink_to(model)
    assert nlpkit("train", "whitening", corpus, "-m", "model", "-o", "w").exit_code == 0
    assert nlpkit("search", "build", corpus, "-o", "idx", "-m", "model", "--whiten", "w", "--dim", 4).exit_code == 0
    (tmp_path / "here" / "idx").rename(tmp_path / "moved")
    Path("w").unlink()
    monkeypatch.chdir(tmp_path)
    (found,) = records(nlpkit("search", "query", "moved", "-k", 1, text=sentences(100)[0] + "\n"))
    assert found["results"][0]["score"] == pytest.approx(1, abs=1e-3)


def test_several_files_are_told_apart(nlpkit, tmp_path, model):
    write(tmp_path / "a.txt", ["今天天气"])
    write(tmp_path / "b.txt", ["花呗还款"])
    assert nlpkit("search", "build", "a.txt", "b.txt", "-o", "idx", "-m", model, "-q").exit_code == 0
    (found,) = records(nlpkit("search", "query", "idx", "-k", "1", text="花呗\n"))
    assert (found["results"][0]["file"], found["results"][0]["line"]) == ("b.txt", 1)


def test_bad_lines_are_skipped_and_line_numbers_stay(nlpkit, tmp_path, model):
    (tmp_path / "c.txt").write_bytes("今天\n".encode() + b"\xff\xfe\n" + "花呗\n".encode())
    result = nlpkit("search", "build", "c.txt", "-o", "idx", "-m", model, "--on-error", "skip", "-q")
    assert result.exit_code == 3
    (found,) = records(nlpkit("search", "query", "idx", "-k", "1", text="花呗\n"))
    assert found["results"][0]["line"] == 3


def test_an_index_of_another_model_is_refused_by_name(fails, built, tmp_path):
    other = save_static(tmp_path / "another", seed=5)
    message = fails(1, "search", "query", built, "-m", other, text="今天\n")
    assert message.startswith(f"{built}: an index of another model (")
    assert "another" in message


def test_a_model_that_has_moved_is_named(nlpkit, fails, tmp_path):
    moving = save_static(tmp_path / "moving")
    write(tmp_path / "c.txt", ["今天天气"])
    assert nlpkit("search", "build", "c.txt", "-o", "idx", "-m", moving, "--dim", "8", "-q").exit_code == 0
    (tmp_path / "moving").rename(tmp_path / "moved")
    assert "no such model" in fails(1, "search", "query", "idx", text="今天\n")
    assert len(records(nlpkit("search", "query", "idx", "-m", "moved", text="今天\n"))[0]["results"]) == 1


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["query", "no-such-index"], 1, "make one: nlpkit search build"),
        (["query", "IDX", "--method", "graph"], 2, "no graph"),
        (["build", "no-such-file", "-o", "new", "-m", "MODEL"], 1, "no-such-file: no such file"),
        (["build", "corpus.txt", "-o", "corpus.txt", "-m", "MODEL"], 2, "is a file"),
        (["build", "corpus.txt", "-o", "new", "-m", "MODEL", "--dim", "99"], 2, "16 dimensions"),
        (["build", "-", "-o", "IDX", "-m", "MODEL", "--resume"], 2, "stdin"),
    ],
)
def test_what_is_refused(fails, built, model, arguments, code, words):
    names = {"IDX": built, "MODEL": model}
    assert words in fails(code, "search", *(names.get(argument, argument) for argument in arguments), text="今天\n")


def test_a_corpus_from_a_pipe(nlpkit, model):
    assert nlpkit("search", "build", "-", "-o", "idx", "-m", model, text="今天\n花呗\n").exit_code == 0
    assert len(records(nlpkit("search", "query", "idx", text="今天\n"))[0]["results"]) == 2
