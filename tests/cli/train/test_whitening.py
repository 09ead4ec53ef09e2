"""`nlpkit train whitening` and `train projection`, as users call them."""

from pathlib import Path

import numpy as np
import pytest
from embed_support import save_embedder, write_texts
from support import SENTENCE, records

from nlpkit.tasks.embed.encoder.linear_map import Projection, read


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_embedder(tmp_path_factory.mktemp("train") / "model")


@pytest.fixture
def texts(tmp_path):
    return write_texts(tmp_path / "texts.txt")


def fit(nlpkit, *args):
    result = nlpkit("train", "whitening", *args)
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture
def many(tmp_path):
    path = tmp_path / "many.txt"
    chance = np.random.default_rng(0)
    lines = ["".join(chance.permutation(list(SENTENCE))[: chance.integers(1, 20)]) for _ in range(300)]
    path.write_text("\n".join(lines) + "\n\n", encoding="utf-8")
    return str(path)


def test_texts_and_vectors_give_the_same(nlpkit, folder, many, tmp_path):
    result = fit(nlpkit, many, "-m", folder, "-o", "w", "--dim", 9, "--gamma", 0.5)
    (said,) = records(result)
    expected = {"output": "w", "dim": 9, "count": 300, "gamma": 0.5, "pooling": "mean"}
    assert {name: said[name] for name in expected} == expected
    assert result.stderr == ""
    lines = (tmp_path / "many.txt").read_text(encoding="utf-8").rstrip("\n") + "\n"
    (tmp_path / "dense.txt").write_text(lines, encoding="utf-8")
    nlpkit("embed", "dense.txt", "-m", folder, "--raw", "-o", "v.npy")
    fit(nlpkit, "v.npy", "-o", "w2")
    first, second = read(tmp_path / "w"), read(tmp_path / "w2")
    assert np.allclose(first.moments.covariance, second.moments.covariance, atol=1e-6)
    assert (first.dim, second.dim) == (9, 64)
    a = nlpkit("embed", "-m", folder, "--whiten", "w", text="叶老桂\n")
    b = nlpkit("embed", "-m", folder, "--whiten", "w2", "--dim", 9, text="叶老桂\n")
    assert len(records(a)[0]["embedding"]) == len(records(b)[0]["embedding"]) == 9
    assert records(a)[0]["encoder"]["whitening"] == first.fingerprint


def test_more_text_is_merged(nlpkit, folder, many, tmp_path):
    lines = (tmp_path / "many.txt").read_text(encoding="utf-8").splitlines()
    (tmp_path / "a.txt").write_text("\n".join(lines[:100]), encoding="utf-8")
    (tmp_path / "b.txt").write_text("\n".join(lines[100:]), encoding="utf-8")
    fit(nlpkit, many, "-m", folder, "-o", "w")
    fit(nlpkit, "a.txt", "-m", folder, "-o", "a")
    fit(nlpkit, "b.txt", "-m", folder, "--merge", "a", "-o", "ab")
    whole, merged = read(tmp_path / "w"), read(tmp_path / "ab")
    assert merged.moments.count == whole.moments.count
    assert np.allclose(whole.moments.covariance, merged.moments.covariance, atol=1e-6)


def test_it_can_lie_in_the_models_folder(nlpkit, many, tmp_path):
    own = save_embedder(tmp_path / "own")
    fit(nlpkit, many, "-m", own, "-o", own, "--dim", 4)
    (found,) = records(nlpkit("embed", "-m", own, "--whiten", "stored", text="叶老桂\n"))
    assert len(found["embedding"]) == 4


def test_fewer_lines_than_dimensions_is_a_warning(nlpkit, folder, tmp_path):
    (tmp_path / "few.txt").write_text("一\n叶老桂\n浙商银行\n", encoding="utf-8")
    result = fit(nlpkit, "few.txt", "-m", folder, "-o", "w")
    assert result.stderr == (
        "nlpkit: warning: only 3 texts for 64 dimensions: the whitening has 2, and what lies outside them is lost\n"
    )


def test_jl_needs_no_corpus(nlpkit, folder, tmp_path):
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
def test_what_cannot_be_whitened(nlpkit, folder, tmp_path, code, content, arguments, message):
    (tmp_path / "c.txt").write_text(content, encoding="utf-8")
    output = () if "-o" in arguments else ("-o", "w")
    result = nlpkit("train", "whitening", "c.txt", "-m", folder, *output, *arguments)
    assert result.exit_code == code
    assert message in result.stderr.splitlines()[-1]
    assert not (tmp_path / "w").exists()


def test_vectors_with_nan(fails, tmp_path):
    np.save(tmp_path / "v.npy", np.array([[1, 2], [np.nan, 0]], np.float32))
    assert "v.npy: NaN or infinity in vector 1" in fails(1, "train", "whitening", "v.npy", "-o", "w")


def test_jl_without_dim_or_with_too_many(fails, folder):
    assert "Missing option '--dim'" in fails(2, "train", "projection", "-m", folder, "-o", "p")
    line = fails(2, "train", "projection", "-m", folder, "-o", "p", "--dim", 65)
    assert "--dim 65: the vectors of" in line


def test_a_whitening_of_another_model(nlpkit, fails, folder, many, tmp_path):
    other = save_embedder(tmp_path / "other", seed=8)
    fit(nlpkit, many, "-m", other, "-o", "w")
    line = fails(1, "embed", "-m", folder, "--whiten", "w", text="叶\n")
    assert "this whitening was fitted for another model" in line


def test_whitening_of_few_texts_gives_no_nan(nlpkit, folder, tmp_path):
    """Applied to others that lie outside of them."""
    (tmp_path / "few.txt").write_text("叶老桂\n\n浙商银行\n😀\n", encoding="utf-8")
    nlpkit("train", "whitening", "few.txt", "-m", folder, "-o", "w")
    (found,) = records(nlpkit("embed", "-m", folder, "--whiten", "w", text="全新的句子\n"))
    assert np.isfinite(found["embedding"]).all()


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
