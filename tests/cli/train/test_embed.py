"""`nlpkit train embed`: without a dev set, whitenings that go on, and what is refused before any work."""

import json
from pathlib import Path

import numpy as np
import pytest
from embed_support import save_embedder, toy_pairs
from static_support import save_static
from support import records, write_jsonl

from nlpkit.tasks.embed.encoder.linear_map import read
from nlpkit.tasks.embed.loading import load

SMALL = ("-m", "roformer_v2:1x64", "--epochs", "1", "--quiet")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_embedder(tmp_path_factory.mktemp("train") / "model")


@pytest.fixture
def texts(tmp_path):
    """Distinct sentences; more than the model has dimensions."""
    path = tmp_path / "texts.txt"
    path.write_text("".join(f"{chr(0x53F6 + i)}老桂博士{i}\n" for i in range(120)), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize(("method", "steps"), [("cosent", 2), ("simcse", 1)])
def test_without_a_dev_set_the_last_weights_are_kept(nlpkit, tmp_path, method, steps):
    pairs = toy_pairs(tmp_path / "pairs.jsonl", 64)
    result = nlpkit("train", "embed", "--method", method, pairs, "-o", "m", "--evaluations", 3, *SMALL)
    assert result.exit_code == 0, result.output
    assert records(result) == [{"output": "m"}]
    manifest = json.loads(Path("m/nlpkit.json").read_text(encoding="utf-8"))
    assert manifest["metrics"] == {}
    assert manifest["training"]["best_step"] == steps
    (card,) = records(nlpkit("models", "m"))
    assert list(card["curves"]) == ["loss"]
    (found,) = records(nlpkit("embed", "-m", "m", text="王芳\n"))
    assert np.isfinite(found["embedding"]).all()
    again = nlpkit("train", "embed", "--method", method, pairs, "-o", "m", "--evaluations", 3, "--resume", *SMALL)
    assert records(again) == [{"output": "m"}]


def test_simcse_reads_a_field(nlpkit, tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"title": f"题{i}", "text": 1} for i in range(40)])
    args = ("train", "embed", "--method", "simcse", path, "-o", "m", *SMALL)
    assert nlpkit(*args, "--field", "title").exit_code == 0
    result = nlpkit(*args)
    assert result.exit_code == 1
    assert "a.jsonl:1: field 'text' is not a string" in result.stderr


def test_a_constant_corpus_teaches_simcse_nothing(fails, tmp_path):
    (tmp_path / "same.txt").write_text("今天\n" * 9)
    line = fails(1, "train", "embed", "--method", "simcse", "same.txt", "-o", "m", *SMALL)
    assert line.startswith("same.txt: all 9 sentences are the same")


def test_a_table_of_vectors_is_not_trained(fails, tmp_path):
    pairs, table = toy_pairs(tmp_path / "pairs.jsonl", 16), save_static(tmp_path / "static")
    line = fails(2, "train", "embed", "--method", "cosent", pairs, "-o", "m", "-m", table)
    assert "a table of vectors, which these methods do not train" in line


def whiten(nlpkit, *arguments):
    return nlpkit("train", "whitening", *arguments)


def test_a_merged_whitening_keeps_its_settings(nlpkit, folder, texts, tmp_path):
    settings = ("--beta", 0, "--gamma", 0, "--dim", 8)
    assert whiten(nlpkit, texts, "-m", folder, "-o", "a", *settings).exit_code == 0
    (made,) = records(whiten(nlpkit, texts, "-m", folder, "-o", "b", "--merge", "a"))
    assert (made["beta"], made["gamma"], made["dim"], made["count"]) == (0, 0, 8, 240)
    assert np.allclose(read(tmp_path / "b").kernel, read(tmp_path / "a").kernel)
    (made,) = records(whiten(nlpkit, texts, "-m", folder, "-o", "c", "--merge", "a", "--gamma", 1, "--dim", 4))
    assert (made["beta"], made["gamma"], made["dim"]) == (0, 1, 4)


def test_a_whitening_is_not_put_beside_another_model(nlpkit, fails, folder, texts, tmp_path):
    other = save_embedder(tmp_path / "other", seed=8)
    line = fails(1, "train", "whitening", texts, "-m", folder, "-o", other)
    assert "other: not the model that it is fitted for" in line
    assert not (tmp_path / "other" / "whitening.safetensors").exists()
    assert nlpkit("embed", texts, "-m", other, "-o", "v.npy").exit_code == 0
    assert whiten(nlpkit, "v.npy", "-o", other).exit_code == 0


@pytest.mark.parametrize(
    ("code", "arguments", "words"),
    [
        (1, ("-o", "none/w"), "none/w: cannot be written (there is no folder none)"),
        (2, ("-o", "w", "--dim", 65), "--dim 65: the vectors of"),
        (1, ("-o", "w", "--merge", "none"), "none: no such file"),
        (1, ("-o", "OTHER"), "not the model that it is fitted for"),
        (1, ("-o", "w", "--merge", "OTHER/w"), "OTHER/w: fitted for another model"),
    ],
)
def test_what_can_be_known_is_said_before_the_texts_are_read(nlpkit, fails, folder, texts, code, arguments, words):
    assert whiten(nlpkit, texts, "-m", save_embedder(Path("OTHER"), seed=8), "-o", "OTHER/w").exit_code == 0
    line = fails(code, "train", "whitening", "missing.txt", "-m", folder, *arguments)
    assert words in line


def test_vectors_say_of_which_model_they_are(fails, folder, tmp_path):
    np.save(tmp_path / "v.npy", np.eye(64, dtype=np.float32))
    assert "leave it out" in fails(2, "train", "whitening", "v.npy", "-m", folder, "-o", "w")


def test_vectors_that_break_off(fails, tmp_path):
    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(9, 5)))
    path = tmp_path / "v.npy"
    path.write_bytes(path.read_bytes()[:-90])
    line = fails(1, "train", "whitening", "v.npy", "-o", "w")
    assert line == "v.npy: ends 3 vectors too early; embed again"


def test_an_evaluation_says_what_it_leaves_out_and_what_is_lost(nlpkit, folder, texts, tmp_path):
    pairs = toy_pairs(tmp_path / "pairs.jsonl", 30)
    assert whiten(nlpkit, texts, "-m", folder, "-o", "w").exit_code == 0
    choices = ("--pooling", "auto", "--pooling", "cls", "--whiten", "self", "--whiten", "w")
    result = nlpkit("evaluate", "embed", pairs, "-m", folder, *choices)
    assert result.exit_code == 0
    assert [(row["pooling"], row["whitening"]) for row in records(result)] == [
        ("mean", "self"),
        ("mean", "w"),
        ("cls", "self"),
    ]
    lines = result.stderr.splitlines()
    assert lines[0].startswith(f"nlpkit: warning: --pooling mean --whiten self, {pairs}: 59 texts are no more than 64")
    assert lines[-1].startswith("nlpkit: --pooling cls with --whiten w left out: this whitening was fitted for another")


@pytest.mark.parametrize(
    ("code", "arguments", "words"),
    [
        (2, ("-o", "v.npy.gz"), "v.npy.gz: npy is not compressed"),
        (1, ("-f", "npy", "-o", "."), ".: is a directory; name a file"),
    ],
)
def test_outputs_that_cannot_be(fails, folder, code, arguments, words):
    assert words in fails(code, "embed", "-m", folder, *arguments, text="叶\n")


def test_names_of_outputs(nlpkit, folder):
    assert len(records(nlpkit("embed", "-m", folder, "-o", "-", text="叶\n老\n"))) == 2
    assert nlpkit("embed", "-m", folder, "-o", "V.NPY", text="叶\n").exit_code == 0
    assert np.load("V.NPY").shape == (1, 64)


def test_similar_reads_a_field(nlpkit, folder, tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"title": "叶"}, {"title": "老"}])
    assert [row["score"] for row in records(nlpkit("similar", path, path, "-m", folder, "--field", "title"))] == [1, 1]


def test_sentence_transformers_loads_static_vectors(nlpkit, tmp_path):
    st = pytest.importorskip("sentence_transformers")
    (tmp_path / "c.txt").write_text("".join(f"{chr(0x4E00 + i)}今天{i}\n" for i in range(300)), encoding="utf-8")
    teacher = save_embedder(tmp_path / "teacher")
    args = ("c.txt", "-m", teacher, "--dim", 8, "-o", "m", "-q", "--epochs", 1)
    result = nlpkit("train", "static", *args)
    assert result.exit_code == 0, result.output
    theirs = st.SentenceTransformer(str(tmp_path / "m"), trust_remote_code=True, device="cpu")
    assert np.abs(theirs.encode(["今天", "一"]) - load("m").encode(["今天", "一"])).max() < 1e-6
