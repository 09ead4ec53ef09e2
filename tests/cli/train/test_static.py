"""`nlpkit train static`, as users call it."""

import json

import numpy as np
import pytest
from embed_support import save_embedder
from static_support import save_static, sentences

from nlpkit.tasks.embed.loading import load


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_static(tmp_path_factory.mktemp("static") / "model")


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


def test_sentence_transformers_loads_static_vectors(nlpkit, tmp_path):
    st = pytest.importorskip("sentence_transformers")
    (tmp_path / "c.txt").write_text("".join(f"{chr(0x4E00 + i)}今天{i}\n" for i in range(300)), encoding="utf-8")
    teacher = save_embedder(tmp_path / "teacher")
    args = ("c.txt", "-m", teacher, "--dim", 8, "-o", "m", "-q", "--epochs", 1)
    result = nlpkit("train", "static", *args)
    assert result.exit_code == 0, result.output
    theirs = st.SentenceTransformer(str(tmp_path / "m"), trust_remote_code=True, device="cpu")
    assert np.abs(theirs.encode(["今天", "一"]) - load("m").encode(["今天", "一"])).max() < 1e-6
