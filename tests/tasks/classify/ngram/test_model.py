"""The n-gram classifier against sums over n-grams, and what is said of a broken folder."""

import json

import numpy as np
import pytest
from classify_support import ngram_weights, save_ngram, task
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from support import NASTY, edit_manifest, texts

from nlpkit.core.model.contents import WEIGHTS
from nlpkit.core.model.manifest import read_manifest
from nlpkit.errors import ModelError
from nlpkit.tasks.classify.ngram.features import features
from nlpkit.tasks.classify.ngram.model import NgramRunner, values_of

BITS = 8
TEXTS = ["房间很干净", "", "好", *NASTY]


def make(rows, labels, seed=3):
    weights = ngram_weights(rows, BITS, seed)
    arrays = weights["weight"].numpy().T, weights["idf"].numpy()[0], weights["bias"].numpy()
    return NgramRunner(*map(np.ascontiguousarray, arrays), labels)


SEVERAL, ONE = make(3, 3), make(2, 3)


def slow_logits(runner, text):
    """Bias + Σ weight · idf / ‖idf‖ over the distinct n-grams; that of the first label is 0 if it has no weights."""
    buckets = features([text], BITS)[1]
    idf = runner.idf[buckets].astype(np.float64)
    sums = (idf / np.sqrt(max(idf @ idf, 1e-12))) @ runner.weight[buckets] + runner.bias
    return [0.0] * (runner.num_labels - len(sums)) + list(sums)


@pytest.mark.parametrize("runner", [SEVERAL, ONE], ids=["several", "one"])
def test_logits_are_sums_over_the_ngrams(runner):
    logits = runner(TEXTS)
    assert (logits.shape, logits.dtype) == ((len(TEXTS), 3), np.float32)
    np.testing.assert_allclose(logits, [slow_logits(runner, text) for text in TEXTS], atol=1e-5)
    assert len({tuple(row) for row in logits.tolist()}) > 8
    assert runner([]).shape == (0, 3)


def test_only_several_labels_have_weights_for_all_of_them():
    assert (ONE(TEXTS)[:, 0] == 0).all()
    assert (SEVERAL(TEXTS)[:, 0] != 0).all()
    assert (ONE.parameters, SEVERAL.parameters) == (3 * 256 + 2, 4 * 256 + 3)


@settings(max_examples=50)
@given(st.lists(texts, min_size=1, max_size=6))
def test_logits_do_not_depend_on_the_other_texts(found):
    together = SEVERAL(found)
    assert together.tolist() == [SEVERAL([text])[0].tolist() for text in found]
    assert SEVERAL(found[::-1])[::-1].tolist() == together.tolist()


def test_texts_that_do_not_fit_one_block():
    """Blocks hold 2^18 characters; a longer text is a block by itself."""
    long = ["甲乙丙" * 60_000, "x", "丁" * 120_000, "", "y" * 300_000, "末"]
    np.testing.assert_array_equal(SEVERAL(long), np.concatenate([SEVERAL([text]) for text in long]))


def test_ngrams_that_are_left_out_change_nothing():
    runner = make(3, 3)
    runner.idf[:] = 0
    np.testing.assert_array_equal(runner(["房间", ""]), [runner.bias] * 2)


def test_the_values_of_a_text_have_the_norm_one():
    text_indices, buckets = features(TEXTS, BITS)
    values = values_of(text_indices, buckets, SEVERAL.idf, len(TEXTS))
    norms = np.sqrt(np.bincount(text_indices, values.astype(np.float64) ** 2))
    np.testing.assert_allclose(norms, 1, atol=1e-6)


def loaded(folder, *, multiple=False):
    return NgramRunner.load(folder, read_manifest(folder, "classify"), 3, multiple=multiple)


@pytest.fixture
def folder(tmp_path):
    save_ngram(tmp_path / "m", task("abc"), bits=BITS)
    return tmp_path / "m"


@pytest.mark.parametrize("multiple", [False, True])
def test_a_folder_is_loaded_as_it_was_saved(tmp_path, multiple):
    save_ngram(tmp_path / "m", task("abc", multiple=multiple), bits=BITS)
    runner, expected = loaded(tmp_path / "m", multiple=multiple), SEVERAL if multiple else ONE
    np.testing.assert_array_equal(runner(TEXTS), expected(TEXTS))
    assert (runner.bits, runner.device_type) == (BITS, "cpu")
    assert sorted(path.name for path in (tmp_path / "m").iterdir()) == [WEIGHTS, "nlpkit.json"]


@pytest.mark.parametrize(("store", "tolerance"), [("fp16", 0.01), ("int8", 0.1)])
def test_weights_in_less_room(tmp_path, store, tolerance):
    save_ngram(tmp_path / "m", task("abc"), bits=BITS, store=store)
    np.testing.assert_allclose(loaded(tmp_path / "m")(TEXTS), ONE(TEXTS), atol=tolerance)


def change(**weights):
    """Replaces weights by what a function makes of them; None leaves one out."""

    def damage(folder):
        found = load_file(folder / WEIGHTS)
        for name, changed in weights.items():
            value = changed(found.pop(name, None))
            if value is not None:
                found[name] = value.contiguous()
        save_file(found, folder / WEIGHTS)

    return damage


def backbone(**fields):
    return lambda folder: edit_manifest(folder, backbone={"type": "ngram", "bits": BITS} | fields)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        *[(backbone(bits=bits), "bits of the n-gram backbone must be from 1 to 24; copy the model again")
          for bits in (None, True, "8", 0, 25, 8.0, 10**9)],
        (backbone(bits=9), r"do not fit the manifest \(size mismatch for weight: \[2, 256\] instead of \[2, 512\]\)"),
        (change(weight=lambda value: None), r"do not fit the manifest \(there is no weight\)"),
        (change(idf=lambda value: None), "there is no idf"),
        (change(idf=lambda value: value[0]), r"size mismatch for idf: \[256\] instead of \[1, 256\]"),
        (change(bias=lambda value: value[:1]), r"size mismatch for bias: \[1\] instead of \[2\]"),
        (change(weight=lambda value: value.T), r"size mismatch for weight: \[256, 2\] instead of \[2, 256\]"),
        (change(more=lambda value: load_bias()), "unexpected more"),
        (change(weight=lambda value: value * float("nan")), "weight holds NaN or infinity"),
        (change(bias=lambda value: value.double()), "bias is of type float64"),
        (lambda folder: (folder / WEIGHTS).write_bytes(b"x"), "truncated or not safetensors"),
        (lambda folder: (folder / WEIGHTS).unlink(), "no such file; the checkpoint is incomplete"),
    ],
)  # fmt: skip
def test_broken_folders(folder, damage, message):
    edit_manifest(folder, files={})  # what does not fit is found by itself, not by its checksum
    damage(folder)
    with pytest.raises(ModelError, match=message) as caught:
        loaded(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


def load_bias():
    return ngram_weights(1, BITS)["bias"]


def test_the_weights_of_another_number_of_labels_do_not_fit(folder):
    with pytest.raises(ModelError, match=r"size mismatch for weight: \[2, 256\] instead of \[3, 256\]"):
        loaded(folder, multiple=True)


def test_a_flipped_bit_is_found_by_the_checksum(folder):
    content = bytearray((folder / WEIGHTS).read_bytes())
    content[-1] ^= 1
    (folder / WEIGHTS).write_bytes(content)
    with pytest.raises(ModelError, match=rf"{WEIGHTS}: is damaged \(its checksum differs\)"):
        loaded(folder)
    assert json.loads((folder / "nlpkit.json").read_text())["files"].keys() == {WEIGHTS}
