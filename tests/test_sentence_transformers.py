"""sentence-transformers loads the folders of nlpkit, and gives the same vectors."""

import warnings

import numpy as np
import pytest
import torch
from embed_support import save_embedder
from static_support import save_static
from support import NASTY, SENTENCE, invoke, write_jsonl

from nlpkit.core.model.manifest import find
from nlpkit.tasks.embed.loading import load
from nlpkit.tasks.embed.sentence_transformers.reader import write_modules

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    st = pytest.importorskip("sentence_transformers")
    from nlpkit.sentence_transformers import MODEL_FILES, NlpkitModule

pytestmark = pytest.mark.filterwarnings("ignore")
TEXTS = [*NASTY, SENTENCE, "叶老桂", "浙商银行 " * 30, SENTENCE * 5]


def close(ours, theirs, most=1e-5):
    assert ours.shape == theirs.shape
    assert np.abs(ours - theirs).max() < most


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A folder that `nlpkit train embed` has written."""
    folder = tmp_path_factory.mktemp("trained")
    pairs = [(SENTENCE, SENTENCE[:9], 1), ("叶老桂", "浙商银行", 0), ("工作", "北京大学", 0), ("王小明", "小明", 1)]
    records = [{"sentence1": a, "sentence2": b, "score": s} for a, b, s in pairs]
    data = write_jsonl(folder / "pairs.jsonl", records)
    args = ("-m", "roformer_v2:2x64", "--epochs", 1, "--max-length", 16, "--quiet")
    result = invoke("train", "embed", "--method", "cosent", data, "--dev", data, "-o", folder / "model", *args)
    assert result.exit_code == 0, result.output
    return folder / "model"


def test_sentence_transformers_loads_what_nlpkit_has_trained(trained, tmp_path):
    theirs = st.SentenceTransformer(str(trained), trust_remote_code=True, device="cpu")
    ours = load(str(trained), "cpu", "fp32").embed(TEXTS)
    close(ours.vectors, theirs.encode(TEXTS, batch_size=3), 1e-6)
    assert len(ours.windows) >= 2  # texts longer than the rows of 16
    assert theirs.get_embedding_dimension() == 64
    theirs.save(str(tmp_path / "again"))
    again = st.SentenceTransformer(str(tmp_path / "again"), trust_remote_code=True, device="cpu")
    close(again.encode(TEXTS), ours.vectors, 1e-6)
    assert np.array_equal(load(str(tmp_path / "again"), "cpu", "fp32").encode(TEXTS), ours.vectors)


@pytest.mark.parametrize("name", ["embed-base", "embed-static"])
def test_the_embedded_models_name_a_module_that_exists(name):
    texts = ["花呗怎么还款", "今天天气不错"]
    theirs = st.SentenceTransformer(str(find(name)), trust_remote_code=True, device="cpu").encode(texts)
    np.testing.assert_allclose(theirs, load(name, "cpu", "fp32").encode(texts), atol=1e-4)


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("encoder") / "model"
    save_embedder(folder, pooling="cls")
    write_modules(folder, {"query": "为这个句子："})
    return folder


@pytest.fixture(scope="module")
def static(tmp_path_factory):
    folder = tmp_path_factory.mktemp("static") / "model"
    save_static(folder)
    write_modules(folder)
    return folder


@pytest.mark.parametrize("kind", ["encoder", "static"])
def test_a_model_of_each_kind(request, kind, tmp_path):
    folder = request.getfixturevalue(kind)
    ours, theirs = load(str(folder), "cpu", "fp32"), st.SentenceTransformer(str(folder), trust_remote_code=True)
    theirs.to("cpu")
    close(theirs.encode(TEXTS), ours.encode(TEXTS))
    assert theirs.get_embedding_dimension() == ours.dim
    parameters = sum(parameter.numel() for parameter in theirs.parameters())
    assert (parameters > 0) == (kind == "encoder")
    theirs.save(str(tmp_path / "copy"))
    assert load(str(tmp_path / "copy"), "cpu", "fp32").fingerprint == ours.fingerprint


def test_a_prompt_of_sentence_transformers_comes_before_the_text(encoder):
    theirs = st.SentenceTransformer(str(encoder), trust_remote_code=True, device="cpu")
    expected = load(str(encoder), "cpu", "fp32").encode(["为这个句子：叶老桂"])
    close(theirs.encode(["叶老桂"], prompt_name="query"), expected)
    close(theirs.encode(["叶老桂"], prompt="为这个句子："), expected)


def test_the_module_by_itself(encoder):
    module = NlpkitModule.load(str(encoder.parent), subfolder="model")
    features = module.preprocess(["叶老桂", "小明"], prompt="浙商：", task="query")
    assert features == {"texts": ["浙商：叶老桂", "浙商：小明"]}
    vectors = module.forward(features)["sentence_embedding"]
    assert torch.is_tensor(vectors)
    close(vectors.numpy(), load(str(encoder), "cpu", "fp32").encode(features["texts"]))


def test_only_the_files_of_the_model_are_copied(encoder, tmp_path):
    (encoder / "notes.txt").write_text("mine")
    NlpkitModule.load(str(encoder)).save(str(tmp_path))
    present = {name for name in MODEL_FILES if (encoder / name).exists()}
    assert {path.name for path in tmp_path.iterdir()} == present
    assert {"nlpkit.json", "vocab.txt", "model.safetensors"} <= present
    for name in present:
        assert (tmp_path / name).read_bytes() == (encoder / name).read_bytes()


def test_it_is_not_trained_there(encoder):
    """Its vectors are NumPy's on the way; training is `nlpkit train embed`'s."""
    vectors = NlpkitModule.load(str(encoder)).forward({"texts": ["叶老桂"]})["sentence_embedding"]
    assert not vectors.requires_grad
