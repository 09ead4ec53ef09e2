"""`nlpkit search`, as users call it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from embed_support import save_embedder
from index_support import change, files_of, write
from static_support import save_static, sentences
from support import environment, records

from nlpkit.tasks.embed.index.build import STATE
from nlpkit.tasks.embed.index.manifest import BUILDING


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_static(tmp_path_factory.mktemp("search") / "model")


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
    best = found[0]["results"][0]
    assert best == {"text": "花呗怎么还款", "score": 1.0, "cosine": 1.0, "bm25": best["bm25"], "line": 3}
    assert best["bm25"] > 1
    assert found[2]["results"][0]["text"] == "今天天气不错"


def test_json_lines_keep_their_records(nlpkit, tmp_path, model):
    corpus = [{"id": 7, "title": "今天天气"}, {"id": 8, "title": "花呗还款", "tags": ["a"]}]
    write(tmp_path / "c.jsonl", [json.dumps(record, ensure_ascii=False) for record in corpus])
    assert nlpkit("search", "build", "c.jsonl", "-o", "idx", "-m", model, "--field", "title", "-q").exit_code == 0
    query = json.dumps({"question": "花呗", "number": 1}, ensure_ascii=False)
    (found,) = records(nlpkit("search", "query", "idx", "-k", "1", "--field", "question", text=query + "\n"))
    scores = {name: found["results"][0][name] for name in ("score", "cosine", "bm25")}
    best = {"text": "花呗还款", **scores, "line": 2, "record": corpus[1]}
    assert found == {"number": 1, "query": "花呗", "results": [best]}


def test_methods(nlpkit, built, monkeypatch):
    query = "花呗怎么还款\n"
    for method, scores in (("vector", ["score"]), ("exact", ["score"]), ("hybrid", ["score", "cosine", "bm25"])):
        (found,) = records(nlpkit("search", "query", built, "--method", method, text=query))
        assert list(found["results"][0]) == ["text", *scores, "line"]
        assert found["results"][0]["score"] == 1.0
    monkeypatch.setattr("nlpkit.tasks.embed.loading.load", None)  # bm25 needs no model
    (found,) = records(nlpkit("search", "query", built, "--method", "bm25", text=query))
    assert [list(result) for result in found["results"]] == [["text", "score", "line"]]
    assert found["results"][0]["score"] > 1


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


def test_an_index_without_bm25_is_searched_by_vectors(nlpkit, fails, built):
    change(bm25=None)(Path(built))
    (found,) = records(nlpkit("search", "query", built, "-k", "1", text="花呗怎么还款\n"))
    assert found["results"] == [{"text": "花呗怎么还款", "score": 1.0, "line": 3}]
    for method in ("hybrid", "bm25"):
        message = fails(2, "search", "query", built, "--method", method, text="花呗\n")
        assert message == f"{built}: has no BM25 of this version of nlpkit; build it again, or pass --method vector"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["query", "no-such-index"], 1, "make one: nlpkit search build"),
        (["query", "IDX", "--method", "graph"], 2, "no graph"),
        (["query", "IDX", "--method", "guess"], 2, "guess"),
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


def test_prompts_of_the_model_are_used_by_themselves(nlpkit, tmp_path):
    folder = save_embedder(tmp_path / "m")
    manifest = json.loads(Path(folder, "nlpkit.json").read_text(encoding="utf-8"))
    manifest["config"]["prompts"] = {"query": "问：", "passage": "文："}
    Path(folder, "nlpkit.json").write_text(json.dumps(manifest), encoding="utf-8")
    write(tmp_path / "c.txt", ["今天天气", "花呗还款"])
    for output, options in (("own", ()), ("named", ("--prompt", "passage")), ("none", ("--prompt", ""))):
        assert nlpkit("search", "build", "c.txt", "-o", output, "-m", folder, *options, "-q").exit_code == 0
    vectors = {name: (tmp_path / name / "vectors.npy").read_bytes() for name in ("own", "named", "none")}
    assert vectors["own"] == vectors["named"] != vectors["none"]

    def found(*options):
        return records(nlpkit("search", "query", "own", "--method", "vector", *options, text="天气\n"))

    assert found() == found("--prompt", "query") != found("--prompt", "")
