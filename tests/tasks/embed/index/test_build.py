"""Building an index: chunks, a build that is killed and resumed, what is not resumed, what stays."""

import sys
from pathlib import Path

import pytest
from index_support import FILES, arguments, build, files_of, write
from static_support import save_static

from nlpkit.errors import DataError, ModelError, UsageError
from nlpkit.tasks.embed.index.build import STATE, BuildSettings, embed_texts, finalize
from nlpkit.tasks.embed.index.hnsw import open_hnsw
from nlpkit.tasks.embed.index.index import Index
from nlpkit.tasks.embed.index.manifest import BUILDING, MANIFEST
from nlpkit.tasks.embed.index.postings import RUN_LENGTHS, RUNS
from nlpkit.tasks.embed.loading import load


def test_a_graph_goes_on_where_it_was_saved(tmp_path, model, texts):
    pytest.importorskip("usearch")
    corpus = write(tmp_path / "c.txt", texts)
    often = {"chunk_size": 500, "save_every": 0.0}
    embedder = load(model)
    embed_texts([str(corpus)], embedder, tmp_path / "idx", BuildSettings(method="graph"))

    def killed(stage, done, total):
        if done == 1500:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        finalize(tmp_path / "idx", {}, killed, **often)
    assert len(open_hnsw(tmp_path / "idx" / BUILDING / "graph.usearch")) == 1000
    embed_texts([str(corpus)], embedder, tmp_path / "idx", BuildSettings(method="graph", resume=True))
    steps = []
    manifest = finalize(tmp_path / "idx", {}, lambda stage, done, total: steps.append(done), **often)
    assert manifest.method == "graph"
    assert steps == [1500, 2000, 2500, 3000]  # none of BM25, which was complete
    (hits,) = Index.open(tmp_path / "idx").search(embedder.encode([texts[2990]]), 1)
    assert hits[0].score == pytest.approx(1, abs=1e-5)


def test_auto_makes_a_graph_of_many(tmp_path, model, texts, monkeypatch):
    pytest.importorskip("usearch")
    corpus = write(tmp_path / "c.txt", texts[:100])
    few, many = {"max_exact": 100}, {"max_exact": 99}
    assert build(tmp_path / "a", [corpus], model, finishing=few).manifest.method == "exact"
    assert build(tmp_path / "b", [corpus], model, finishing=many).manifest.method == "graph"
    monkeypatch.setitem(sys.modules, "usearch", None)
    assert build(tmp_path / "c", [corpus], model, finishing=many).manifest.method == "exact"


@pytest.mark.parametrize("chunk", [1, 7, 4096])
def test_chunks_do_not_matter(tmp_path, model, texts, chunk):
    corpus = write(tmp_path / "corpus.txt", [*texts[:60], "", *texts[60:100]])
    whole = files_of(build(tmp_path / "whole", [corpus], model).folder)
    assert files_of(build(tmp_path / "parts", [corpus], model, embedding={"chunk_size": chunk}).folder) == whole


@pytest.mark.parametrize("moment", range(0, 20, 4))
def test_a_build_that_breaks_off_goes_on_to_the_same_files(tmp_path, model, texts, moment):
    lines = [text if number % 5 else " " for number, text in enumerate(texts[:200])]
    corpus = [write(tmp_path / "a.txt", lines[:120]), write(tmp_path / "b.txt", lines[120:])]
    often = {"chunk_size": 10, "save_every": 0.0 if moment % 8 else 1e9}  # saved always, or only once
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
        embed_texts(paths, dying, tmp_path / "idx", **often)
    if moment:
        with (tmp_path / "idx" / BUILDING / "records.jsonl").open("ab") as stream:
            stream.write(b'{"text":"half a li')
    else:  # nothing had been saved
        assert not (tmp_path / "idx").exists()
        (tmp_path / "idx" / BUILDING).mkdir(parents=True)
    with pytest.raises(ModelError, match="--resume"):
        Index.open(tmp_path / "idx")
    assert files_of(build(tmp_path / "idx", corpus, model, resume=True, embedding=often).folder) == whole
    assert not (tmp_path / "idx" / BUILDING).exists()
    assert build(tmp_path / "idx", corpus, model, resume=True).manifest.count == 160  # nothing left to do


@pytest.mark.parametrize("run_terms", [50, 1 << 22])
def test_a_build_that_is_killed_in_bm25_goes_on(tmp_path, model, texts, monkeypatch, run_terms):
    corpus = write(tmp_path / "c.txt", texts[:200])
    whole = files_of(build(tmp_path / "whole", [corpus], model).folder)
    embed_texts([str(corpus)], load(model), tmp_path / "idx")

    def killed(stage, done, total):
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(Path, "unlink", lambda path, missing_ok=False: None)  # as after kill -9
        with pytest.raises(KeyboardInterrupt):
            finalize(tmp_path / "idx", arguments(model), killed, run_terms=run_terms)
    assert {path.name for path in (tmp_path / "idx" / BUILDING).glob("*bm25-*")} >= {RUNS, RUN_LENGTHS}
    again = build(tmp_path / "idx", [corpus], model, resume=True, finishing={"run_terms": run_terms})
    assert files_of(again.folder) == whole
    assert sorted(path.name for path in again.folder.iterdir()) == sorted(FILES)


def test_a_damaged_record_of_an_unfinished_build_is_one_error(tmp_path, model, texts):
    corpus = write(tmp_path / "c.txt", texts[:20])
    embed_texts([str(corpus)], load(model), tmp_path / "idx")
    records = tmp_path / "idx" / BUILDING / "records.jsonl"
    records.write_bytes(records.read_bytes().replace(b'{"text"', b'{"tex', 1))
    with pytest.raises(ModelError, match=r"records.jsonl: broken in record 0 \(.*; build the index again"):
        finalize(tmp_path / "idx", arguments(model))


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
    usual = Path.unlink

    def unlink(path, missing_ok=False):
        if path.parent.name == BUILDING and (tmp_path / "idx" / MANIFEST).exists():
            raise KeyboardInterrupt
        usual(path, missing_ok)

    with monkeypatch.context() as context:
        context.setattr(Path, "unlink", unlink)
        with pytest.raises(KeyboardInterrupt):
            finalize(tmp_path / "idx", arguments(model))
    assert (tmp_path / "idx" / BUILDING / STATE).exists()
    assert files_of(build(tmp_path / "idx", corpus, model, resume=True, method=method).folder) == whole
    assert not (tmp_path / "idx" / BUILDING).exists()
    assert (tmp_path / "idx" / "whitening.safetensors").read_text() == "of somebody else"


def test_an_empty_corpus_is_an_error(tmp_path, model):
    with pytest.raises(DataError, match="no text"):
        build(tmp_path / "idx", [write(tmp_path / "c.txt", ["", " "])], model)
