"""`nlpkit embed`, `similar` and `evaluate embed` through the command line."""

import io
import json
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
from embed_support import save_embedder, toy_pairs, write_texts
from support import NASTY, SENTENCE, environment, records, write_jsonl

from nlpkit.tasks.embed.encoder.unknown import is_blank
from nlpkit.tasks.embed.loading import load
from nlpkit.tasks.embed.output import to_precision

TEXTS = [SENTENCE, "", "叶老桂", *(text.replace("\x00", "") for text in NASTY), SENTENCE * 3]


def read_json(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_embedder(tmp_path_factory.mktemp("cli") / "model")


@pytest.fixture(scope="module")
def embedder(folder):
    return load(folder, "cpu", "fp32")


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.txt"
    path.write_text("".join(text + "\n" for text in TEXTS), encoding="utf-8")
    return str(path)


def test_one_line_in_one_vector_out(nlpkit, folder, embedder):
    result = nlpkit("embed", "-m", folder, text="".join(text + "\n" for text in TEXTS))
    assert (result.exit_code, result.stderr) == (0, "")
    found = records(result)
    assert [record["text"] for record in found] == TEXTS
    assert [record["text"] for record in found if record["embedding"] is None] == [t for t in TEXTS if is_blank(t)]
    vectors = np.array([record["embedding"] or [0] * 64 for record in found], np.float32)
    assert np.abs(vectors - embedder.encode(TEXTS)).max() < 1e-5
    assert found[0]["encoder"] == {**embedder.provenance, "precision": "float32"}
    assert [record.get("windows") for record in found[:3]] == [None] * 3
    assert found[-1]["windows"] == embedder.embed(TEXTS[-1:]).windows[0] > 1


def test_fields_pass_through(nlpkit, folder, tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"id": 7, "body": "叶老桂", "更多": [1]}])
    (found,) = records(nlpkit("embed", path, "-m", folder, "--field", "body", "--dim", 2))
    assert (found["id"], found["body"], found["更多"], len(found["embedding"])) == (7, "叶老桂", [1], 2)


@pytest.mark.parametrize(
    ("precision", "dtype", "width"),
    [("float32", "f4", 64), ("float16", "f2", 64), ("int8", "i1", 64), ("binary", "u1", 8)],
)
def test_npy_in_every_precision(nlpkit, folder, embedder, corpus, precision, dtype, width):
    result = nlpkit("embed", corpus, "-m", folder, "-o", "v.npy", "--precision", precision)
    assert (result.exit_code, result.stdout) == (0, "")
    found = np.load("v.npy", mmap_mode="r")
    assert (found.dtype, found.shape) == (np.dtype(dtype), (len(TEXTS), width))
    exact = embedder.encode(TEXTS)
    if precision == "binary":
        assert (np.unpackbits(found, axis=1) == (exact > 0)).mean() > 0.999  # a value next to 0 may fall to either side
    else:
        visible = [not is_blank(text) for text in TEXTS]
        assert (found.any(axis=1) == visible).all()
        rows = found[visible].astype(np.float32)
        cosines = np.einsum("nd,nd->n", rows, exact[visible]) / np.linalg.norm(rows, axis=1)
        assert cosines.min() > (0.999 if precision == "int8" else 0.99999)
    sidecar = read_json("v.npy.json")
    assert sidecar == {**embedder.provenance, "precision": precision, "count": len(TEXTS), "truncated": 0}
    result = nlpkit("embed", corpus, "-m", folder, "--precision", precision)
    first = records(result)[0]["embedding"]
    assert np.array_equal(np.array(first, np.float32), found[0].astype(np.float32))


def test_int8_of_zeros_is_zeros():
    assert to_precision(np.zeros((1, 3), np.float32), "int8").tolist() == [[0, 0, 0]]
    assert to_precision(np.array([[0.5, -1.0, 0.25]], np.float32), "int8").tolist() == [[64, -127, 32]]
    assert to_precision(np.array([[1, -1, 1, 1, -1, -1, -1, 1, 2]], np.float32), "binary").tolist() == [
        [0b10110001, 0b10000000]
    ]


def test_an_empty_input_makes_an_empty_matrix(nlpkit, folder):
    assert nlpkit("embed", "-m", folder, "-o", "v.npy", text="").exit_code == 0
    assert np.load("v.npy").shape == (0, 64)


def test_parquet(nlpkit, folder, embedder, corpus):
    parquet = pytest.importorskip("pyarrow.parquet")
    assert nlpkit("embed", corpus, "-m", folder, "-o", "v.parquet", "--precision", "float16").exit_code == 0
    table = parquet.read_table("v.parquet")
    assert table["text"].to_pylist() == TEXTS
    found = table["embedding"].to_pylist()
    assert [row is None for row in found] == [is_blank(text) for text in TEXTS]
    assert np.allclose([row or [0] * 64 for row in found], embedder.encode(TEXTS), atol=1e-3)
    assert json.loads(table.schema.metadata[b"nlpkit"]) == {**embedder.provenance, "precision": "float16"}


@pytest.mark.parametrize("kind", ["npy", "parquet", "jsonl"])
def test_a_fifo_gets_a_whole_file(nlpkit, folder, embedder, corpus, tmp_path, kind):
    if kind == "parquet":
        pytest.importorskip("pyarrow")
    os.mkfifo(tmp_path / "p")
    found = []
    reader = threading.Thread(target=lambda: found.append((tmp_path / "p").read_bytes()))
    reader.start()
    assert nlpkit("embed", corpus, "-m", folder, "-f", kind, "-o", "p").exit_code == 0
    reader.join(10)
    assert stat.S_ISFIFO((tmp_path / "p").stat().st_mode)
    assert {path.name for path in tmp_path.iterdir()} == {"p", "corpus.txt"}
    nlpkit("embed", corpus, "-m", folder, "-f", kind, "-o", "file")
    assert found == [(tmp_path / "file").read_bytes()]


@pytest.mark.parametrize("name", [(), ("-o", "-"), ("-o", "/dev/stdout")])
def test_vectors_to_stdout(folder, embedder, corpus, tmp_path, name):
    command = [sys.executable, "-m", "nlpkit", "embed", corpus, "-m", folder, "-f", "npy", *name]
    done = subprocess.run(command, stdout=subprocess.PIPE, env=environment(), cwd=tmp_path, check=True)
    assert np.abs(np.load(io.BytesIO(done.stdout)) - embedder.encode(TEXTS)).max() < 1e-5
    assert {path.name for path in tmp_path.iterdir()} == {"corpus.txt"}


def test_a_file_of_the_name_of_the_description_is_not_overwritten(nlpkit, fails, folder, tmp_path):
    (tmp_path / "v.npy.json").write_text('{"mine": 1}')
    line = fails(1, "embed", "-m", folder, "-o", "v.npy", text="叶\n")
    assert line.startswith("v.npy.json: is not a file of nlpkit embed")
    assert {path.name for path in tmp_path.iterdir()} == {"v.npy.json"}
    (tmp_path / "v.npy.json").unlink()
    for _ in range(2):
        assert nlpkit("embed", "-m", folder, "-o", "v.npy", text="叶\n").exit_code == 0


def test_nothing_is_left_of_an_output_that_fails(fails, folder, tmp_path):
    (tmp_path / "bad.txt").write_bytes(b"ok\n\xff\n")
    for name in ("v.npy", "v.jsonl", "v.parquet"):
        assert "bad.txt:2: not valid utf-8" in fails(1, "embed", "bad.txt", "-m", folder, "-o", name)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.txt"]


def test_bad_lines_are_skipped_and_counted(nlpkit, folder, tmp_path):
    (tmp_path / "bad.txt").write_bytes("一\n".encode() + b"\xff\n" + "二\n".encode())
    result = nlpkit("embed", "bad.txt", "-m", folder, "-o", "v.npy", "--on-error", "skip")
    assert result.exit_code == 3
    assert np.load("v.npy").shape == (2, 64)


@pytest.mark.parametrize(
    ("code", "arguments", "message"),
    [
        (2, ("--dim", 65), "--dim 65: the vectors of"),
        (1, ("--whiten", "none.safetensors"), "none.safetensors: no such file"),
        (1, ("--whiten", "stored"), "no whitening.safetensors in it"),
        (2, ("--pooling", "pooler"), "has no pooler"),
        (1, ("-o", "nowhere/v.npy"), "nowhere/v.npy: cannot be written (there is no folder"),
        (1, ("--field", "body"), "not valid JSON"),
    ],
)
def test_bad_options(fails, folder, code, arguments, message):
    assert message in fails(code, "embed", "-m", folder, *arguments, text="叶老桂\n")


def test_a_missing_model(fails):
    assert "nosuch: no such model" in fails(1, "embed", "-m", "nosuch", text="叶\n")


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    return toy_pairs(folder / "train.jsonl", 400), toy_pairs(folder / "dev.jsonl", 120, seed=1)


def test_poolings_and_whitenings_are_compared_in_one_run(nlpkit, folder, pairs, tmp_path):
    nlpkit("train", "whitening", pairs[0], "--field", "sentence1", "-m", folder, "-o", "w")
    choices = ("--pooling", "auto", "--pooling", "cls", "--whiten", "none", "--whiten", "self", "--whiten", "w")
    result = nlpkit("evaluate", "embed", *pairs, "-m", folder, *choices)
    assert result.exit_code == 0, result.output
    found = records(result)
    assert [(record["pooling"], record["whitening"]) for record in found] == [
        ("mean", "none"), ("mean", "self"), ("mean", "w"), ("cls", "none"), ("cls", "self")
    ]  # fmt: skip
    for record in found:
        assert list(record["files"]) == list(pairs)
        assert record["mean"] == pytest.approx(sum(record["files"].values()) / 2)
    (alone,) = records(nlpkit("evaluate", "embed", pairs[1], "-m", folder, "--whiten", "self"))
    assert alone["files"][pairs[1]] == pytest.approx(found[1]["files"][pairs[1]], abs=0.05)
    result = nlpkit("evaluate", "embed", pairs[1], "-m", folder, "--whiten", "w", "--pooling", "cls")
    assert result.exit_code == 1
    assert "another pooling (mean, not cls)" in result.stderr


def test_evaluating_nothing(fails, folder, tmp_path):
    (tmp_path / "none.tsv").write_text("")
    assert "none.tsv: no pairs in it" in fails(1, "evaluate", "embed", "none.tsv", "-m", folder)


def test_similar_of_blank_texts_is_null(nlpkit, folder, tmp_path):
    Path("a.txt").write_text("叶老桂\n\n\u200b \n叶😀\n", encoding="utf-8")
    Path("b.txt").write_text("  \n叶老桂\n\n叶😀\n", encoding="utf-8")
    assert [found["score"] for found in records(nlpkit("similar", "a.txt", "b.txt", "-m", folder))] == [None] * 3 + [
        1.0
    ]


def test_similar(nlpkit, fails, folder, embedder, tmp_path):
    (tmp_path / "a.txt").write_text("叶老桂\n浙商银行\n", encoding="utf-8")
    (tmp_path / "b.txt").write_text("叶老桂\n王小明\n", encoding="utf-8")
    found = records(nlpkit("similar", "a.txt", "b.txt", "-m", folder))
    vectors = embedder.encode(["浙商银行", "王小明"])
    assert found[0] == {"sentence1": "叶老桂", "sentence2": "叶老桂", "score": 1.0}
    assert found[1]["score"] == pytest.approx(float(vectors[0] @ vectors[1]), abs=1e-4)
    assert nlpkit("similar", "-", "b.txt", "-m", folder, text="叶老桂\n浙商银行\n").exit_code == 0
    assert "b.txt:2: goes on where - has ended" in fails(1, "similar", "-", "b.txt", "-m", folder, text="叶老桂\n")


@pytest.fixture
def texts(tmp_path):
    return write_texts(tmp_path / "texts.txt")


def whiten(nlpkit, *arguments):
    return nlpkit("train", "whitening", *arguments)


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
    assert lines[0].startswith(f"nlpkit: warning: --pooling mean --whiten self, {pairs}: only 59 texts for 64")
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
