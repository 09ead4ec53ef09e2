"""`nlpkit train embed`: what is learnt, with and without a dev set, and what is refused before any work."""

import json
from pathlib import Path

import numpy as np
import pytest
from embed_support import toy_pairs
from static_support import save_static
from support import records, write_jsonl

SMALL = ("-m", "roformer_v2:2x64", "--batch-size", "16", "--lr", "2e-3", "--quiet", "--max-length", "64")
TINY = ("-m", "roformer_v2:1x64", "--epochs", "1", "--quiet")


def read_json(path):
    return json.loads(Path(path).read_text(encoding="utf-8"))


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


@pytest.mark.parametrize(("method", "steps"), [("cosent", 2), ("simcse", 1)])
def test_without_a_dev_set_the_last_weights_are_kept(nlpkit, tmp_path, method, steps):
    pairs = toy_pairs(tmp_path / "pairs.jsonl", 64)
    result = nlpkit("train", "embed", "--method", method, pairs, "-o", "m", "--evaluations", 3, *TINY)
    assert result.exit_code == 0, result.output
    assert records(result) == [{"output": "m"}]
    manifest = json.loads(Path("m/nlpkit.json").read_text(encoding="utf-8"))
    assert manifest["metrics"] == {}
    assert manifest["training"]["best_step"] == steps
    (card,) = records(nlpkit("models", "m"))
    assert list(card["curves"]) == ["loss"]
    (found,) = records(nlpkit("embed", "-m", "m", text="王芳\n"))
    assert np.isfinite(found["embedding"]).all()
    again = nlpkit("train", "embed", "--method", method, pairs, "-o", "m", "--evaluations", 3, "--resume", *TINY)
    assert records(again) == [{"output": "m"}]


def test_simcse_reads_a_field(nlpkit, tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"title": f"题{i}", "text": 1} for i in range(40)])
    args = ("train", "embed", "--method", "simcse", path, "-o", "m", *TINY)
    assert nlpkit(*args, "--field", "title").exit_code == 0
    result = nlpkit(*args)
    assert result.exit_code == 1
    assert "a.jsonl:1: field 'text' is not a string" in result.stderr


def test_a_constant_corpus_teaches_simcse_nothing(fails, tmp_path):
    (tmp_path / "same.txt").write_text("今天\n" * 9)
    line = fails(1, "train", "embed", "--method", "simcse", "same.txt", "-o", "m", *TINY)
    assert line.startswith("same.txt: all 9 sentences are the same")


def test_a_table_of_vectors_is_not_trained(fails, tmp_path):
    pairs, table = toy_pairs(tmp_path / "pairs.jsonl", 16), save_static(tmp_path / "static")
    line = fails(2, "train", "embed", "--method", "cosent", pairs, "-o", "m", "-m", table)
    assert "a table of vectors, which these methods do not train" in line
