"""`nlpkit embed`, `similar`, `train embed` and `evaluate embed` through the command line."""

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
from embed_support import save_embedder, toy_pairs
from support import NASTY, SENTENCE, environment, records, write_jsonl

from nlpkit.tasks.embed.encoder.linear_map import Projection, read
from nlpkit.tasks.embed.encoder.unknown import is_blank
from nlpkit.tasks.embed.loading import load
from nlpkit.tasks.embed.output import to_precision

TEXTS = [SENTENCE, "", "叶老桂", *(text.replace("\x00", "") for text in NASTY), SENTENCE * 3]
SMALL = ("-m", "roformer_v2:2x64", "--batch-size", "16", "--lr", "2e-3", "--quiet", "--max-length", "64")


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


class TestWhitening:
    def fit(self, nlpkit, *args):
        result = nlpkit("train", "whitening", *args)
        assert result.exit_code == 0, result.output
        return result

    @pytest.fixture
    def many(self, tmp_path):
        path = tmp_path / "many.txt"
        chance = np.random.default_rng(0)
        lines = ["".join(chance.permutation(list(SENTENCE))[: chance.integers(1, 20)]) for _ in range(300)]
        path.write_text("\n".join(lines) + "\n\n", encoding="utf-8")
        return str(path)

    def test_texts_and_vectors_give_the_same(self, nlpkit, folder, many, tmp_path):
        result = self.fit(nlpkit, many, "-m", folder, "-o", "w", "--dim", 9, "--gamma", 0.5)
        (said,) = records(result)
        assert (said["output"], said["dim"], said["count"], said["gamma"], said["pooling"]) == (
            "w",
            9,
            300,
            0.5,
            "mean",
        )
        assert result.stderr == ""
        lines = (tmp_path / "many.txt").read_text(encoding="utf-8").rstrip("\n") + "\n"
        (tmp_path / "dense.txt").write_text(lines, encoding="utf-8")
        nlpkit("embed", "dense.txt", "-m", folder, "--raw", "-o", "v.npy")
        self.fit(nlpkit, "v.npy", "-o", "w2")
        first, second = read(tmp_path / "w"), read(tmp_path / "w2")
        assert np.allclose(first.moments.covariance, second.moments.covariance, atol=1e-6)
        assert (first.dim, second.dim) == (9, 64)
        a = nlpkit("embed", "-m", folder, "--whiten", "w", text="叶老桂\n")
        b = nlpkit("embed", "-m", folder, "--whiten", "w2", "--dim", 9, text="叶老桂\n")
        assert len(records(a)[0]["embedding"]) == len(records(b)[0]["embedding"]) == 9
        assert records(a)[0]["encoder"]["whitening"] == first.fingerprint

    def test_more_text_is_merged(self, nlpkit, folder, many, tmp_path):
        lines = (tmp_path / "many.txt").read_text(encoding="utf-8").splitlines()
        (tmp_path / "a.txt").write_text("\n".join(lines[:100]), encoding="utf-8")
        (tmp_path / "b.txt").write_text("\n".join(lines[100:]), encoding="utf-8")
        self.fit(nlpkit, many, "-m", folder, "-o", "w")
        self.fit(nlpkit, "a.txt", "-m", folder, "-o", "a")
        self.fit(nlpkit, "b.txt", "-m", folder, "--merge", "a", "-o", "ab")
        whole, merged = read(tmp_path / "w"), read(tmp_path / "ab")
        assert merged.moments.count == whole.moments.count
        assert np.allclose(whole.moments.covariance, merged.moments.covariance, atol=1e-6)

    def test_it_can_lie_in_the_models_folder(self, nlpkit, many, tmp_path):
        own = save_embedder(tmp_path / "own")
        self.fit(nlpkit, many, "-m", own, "-o", own, "--dim", 4)
        (found,) = records(nlpkit("embed", "-m", own, "--whiten", "stored", text="叶老桂\n"))
        assert len(found["embedding"]) == 4

    def test_fewer_lines_than_dimensions_is_a_warning(self, nlpkit, folder, tmp_path):
        (tmp_path / "few.txt").write_text("一\n叶老桂\n浙商银行\n", encoding="utf-8")
        result = self.fit(nlpkit, "few.txt", "-m", folder, "-o", "w")
        assert result.stderr == (
            "nlpkit: warning: 3 texts are no more than 64 dimensions: the whitening has 2, "
            "and what lies outside them is lost\n"
        )

    def test_jl_needs_no_corpus(self, nlpkit, folder, tmp_path):
        result = nlpkit("train", "projection", "--dim", 5, "-m", folder, "-o", "p", "--seed", 3)
        assert result.exit_code == 0
        map = read(tmp_path / "p")
        assert isinstance(map, Projection)
        assert np.array_equal(map.matrix, Projection.random(64, 5, 3, {}).matrix)
        (found,) = records(nlpkit("embed", "-m", folder, "--whiten", "p", text="叶老桂\n"))
        assert len(found["embedding"]) == 5

    @pytest.mark.parametrize(
        ("code", "content", "arguments", "message"),
        [
            (1, "叶\n叶\n\n", (), "all 2 vectors are the same; a whitening needs a corpus of texts that differ"),
            (1, "\n", (), "no vectors; a whitening needs a corpus"),
            (2, "叶\n老\n桂\n", ("--dim", 3), "--dim 3: this whitening of 64 dimensions has 2 to give"),
            (2, "叶\n老\n桂\n", ("-o", "."), "a folder, but not a model's"),
            (2, "叶\n", ("v.npy",), "or on .npy files of vectors; name some of one kind"),
        ],
    )
    def test_what_cannot_be_whitened(self, nlpkit, folder, tmp_path, code, content, arguments, message):
        (tmp_path / "c.txt").write_text(content, encoding="utf-8")
        output = () if "-o" in arguments else ("-o", "w")
        result = nlpkit("train", "whitening", "c.txt", "-m", folder, *output, *arguments)
        assert result.exit_code == code
        assert message in result.stderr.splitlines()[-1]
        assert not (tmp_path / "w").exists()

    def test_vectors_with_nan(self, fails, tmp_path):
        np.save(tmp_path / "v.npy", np.array([[1, 2], [np.nan, 0]], np.float32))
        assert "v.npy: NaN or infinity in vector 1" in fails(1, "train", "whitening", "v.npy", "-o", "w")

    def test_jl_without_dim_or_with_too_many(self, fails, folder):
        assert "Missing option '--dim'" in fails(2, "train", "projection", "-m", folder, "-o", "p")
        line = fails(2, "train", "projection", "-m", folder, "-o", "p", "--dim", 65)
        assert "--dim 65: the vectors of" in line

    def test_a_whitening_of_another_model(self, nlpkit, fails, folder, many, tmp_path):
        other = save_embedder(tmp_path / "other", seed=8)
        self.fit(nlpkit, many, "-m", other, "-o", "w")
        line = fails(1, "embed", "-m", folder, "--whiten", "w", text="叶\n")
        assert "this whitening was fitted for another model" in line


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pairs")
    return toy_pairs(folder / "train.jsonl", 400), toy_pairs(folder / "dev.jsonl", 120, seed=1)


@pytest.mark.parametrize(
    ("method", "more"),
    [
        ("cosent", ()),
        ("cosent", ("--contrast", 0.5, "--pooling", "first-last")),
        ("cosent", ("--r-drop", 4, "--dropout", 0.1)),
        ("simcse", ("--pooling", "cls")),
    ],
)
def test_training_learns_the_toy_language(nlpkit, pairs, method, more):
    train, dev = pairs
    args = ("--method", method, train, "--dev", dev, *SMALL, *more)
    result = nlpkit("train", "embed", *args, "-o", "m", "--epochs", 4)
    assert result.exit_code == 0, result.output
    (learnt,) = records(result)
    nlpkit("train", "embed", *args, "-o", "before", "--epochs", 1, "--lr", 1e-9, "--head-lr", 1e-9)
    (before,) = records(nlpkit("evaluate", "embed", dev, "-m", "before"))
    (after,) = records(nlpkit("evaluate", "embed", dev, "-m", "m"))
    assert after["mean"] == pytest.approx(learnt["mean"], abs=1e-6)
    assert after["files"] == {dev: after["mean"]}
    assert after["mean"] > before["mean"] + 5
    assert after["pooling"] == read_json("m/nlpkit.json")["config"]["pooling"]
    assert read_json("m/modules.json")[0]["type"] == "nlpkit.sentence_transformers.NlpkitModule"


def test_simcse_on_plain_text_and_then_cosent_on_it(nlpkit, pairs, tmp_path):
    train, dev = pairs
    lines = [record["sentence1"] for record in records(Path(train))]
    (tmp_path / "corpus.txt").write_text("\n".join(lines), encoding="utf-8")
    args = ("--dev", dev, *SMALL[2:], "--epochs", 1)
    assert nlpkit("train", "embed", "--method", "simcse", "corpus.txt", *args, *SMALL[:2], "--pooling", "cls",
                  "-o", "a").exit_code == 0  # fmt: skip
    assert nlpkit("train", "embed", "--method", "cosent", train, *args, "-m", "a", "-o", "b").exit_code == 0
    manifest = read_json("b/nlpkit.json")
    assert (manifest["config"]["method"], manifest["config"]["pooling"]) == ("cosent", "cls")  # as the model says


@pytest.mark.parametrize(
    ("method", "given", "expected"),
    [("simcse", (), 0.1), ("simcse", (0.3,), 0.3), ("cosent", (), 0), ("cosent", (0.2,), 0.2)],
)
def test_only_simcse_has_dropout_when_none_is_given(nlpkit, pairs, monkeypatch, method, given, expected):
    calls = []
    monkeypatch.setattr("nlpkit.core.training.job.fit", lambda *args: calls.append(args) or {})
    monkeypatch.setattr("nlpkit.tasks.embed.sentence_transformers.reader.write_modules", lambda folder: None)
    options = [part for value in given for part in ("--dropout", value)]
    args = ("--method", method, pairs[0], "--dev", pairs[1], "--pooling", "mean", "-o", "m", *options)
    assert nlpkit("train", "embed", *args).exit_code == 0
    assert calls[0][4].dropout == expected


@pytest.mark.parametrize(
    ("code", "arguments", "message"),
    [
        (2, ("--dev", "PAIRS"), "Missing argument 'FILES…'"),
        (2, ("PAIRS", "--field", "text"), "--field: pairs have fields of their own"),
        (1, ("braces.txt",), "braces.txt:1: JSON where sentence1<TAB>sentence2<TAB>score is expected; give JSON Lines"),
        (
            2,
            ("PAIRS", "--dev", "PAIRS", "--pooling", "pooler"),
            "'pooler' is not one of 'auto', 'cls', 'mean', 'first-last'",
        ),
        (1, ("PAIRS", "--dev", "same.tsv"), "same.tsv: all 2 scores are 1"),
        (1, ("bad.tsv", "--dev", "PAIRS"), "bad.tsv:1: 1 column(s) where"),
        (2, ("PAIRS", "--dev", "PAIRS", "-o", "bad.tsv"), "bad.tsv is a file; name a folder"),
        (1, ("empty.tsv", "--dev", "PAIRS"), "the training set is empty"),
        (2, ("PAIRS", "--dev", "PAIRS", "--r-drop", "4"), "give --dropout P"),
    ],
)
def test_bad_training_input(nlpkit, pairs, tmp_path, code, arguments, message):
    (tmp_path / "same.tsv").write_text("甲\t乙\t1\n丙\t丁\t1\n")
    (tmp_path / "bad.tsv").write_text("甲\n")
    (tmp_path / "braces.txt").write_text('{"sentence1": "甲", "sentence2": "乙", "score": 1}\n')
    (tmp_path / "empty.tsv").write_text("")
    output = () if "-o" in arguments else ("-o", "m")
    words = [pairs[1] if word == "PAIRS" else word for word in arguments]
    result = nlpkit("train", "embed", "--method", "cosent", *words, *output, *SMALL)
    assert (result.exit_code, result.stdout) == (code, "")
    assert message in result.stderr.splitlines()[-1]
    assert not (tmp_path / "m" / "nlpkit.json").exists()


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


def test_whitening_helps_nobody_to_nan(nlpkit, folder, corpus):
    """A whitening of few texts, applied to others that lie outside them."""
    nlpkit("train", "whitening", corpus, "-m", folder, "-o", "w")
    (found,) = records(nlpkit("embed", "-m", folder, "--whiten", "w", text="全新的句子\n"))
    assert np.isfinite(found["embedding"]).all()
