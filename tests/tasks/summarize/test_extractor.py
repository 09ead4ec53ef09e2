"""The trained extractor in numpy: equal to the network in torch, and what it refuses."""

import shutil

import numpy as np
import pytest
import torch
from support import edit_manifest

from nlpkit.core.onnx.weights import StoredWeights
from nlpkit.errors import ModelError
from nlpkit.tasks import imported, spec
from nlpkit.tasks.summarize.data import Example
from nlpkit.tasks.summarize.extractor import Extractor, ExtractorSettings, unit_inputs
from nlpkit.tasks.summarize.settings import SummarizeSettings
from nlpkit.tasks.summarize.summarizer import centrality
from nlpkit.tasks.summarize.train import ExtractorNetwork, fit

TEXT = "长江是亚洲第一长河。它发源于青藏高原。长江流域人口密集。"
SPANS = [(0, 10), (10, 19), (19, 28)]


def encode(texts):
    """Unit vectors that depend on the text alone."""
    vectors = np.stack([np.random.default_rng([ord(c) for c in text]).normal(size=6) for text in texts])
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def network(seed=0, **settings):
    torch.manual_seed(seed)
    made = ExtractorNetwork(ExtractorSettings("embed-static", "", 6, **settings)).eval()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made


def in_numpy(made, **settings):
    weights = StoredWeights({name: value.numpy() for name, value in made.state_dict().items()})
    return Extractor(encode, ExtractorSettings("embed-static", "", 6, **settings), weights)


@pytest.mark.parametrize("count", [1, 2, 3, 9, 40])
def test_logits_are_those_of_torch(count):
    made = network()
    x = np.random.default_rng(count).normal(size=(count, 10)).astype(np.float32)
    with torch.no_grad():
        expected = made(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(in_numpy(made).logits(x), expected, rtol=1e-4, atol=1e-4)


def test_inputs_are_vectors_and_four_features():
    (x,) = unit_inputs(encode, [TEXT], [SPANS])
    own, *units = encode([TEXT, *(TEXT[start:end] for start, end in SPANS)])
    np.testing.assert_allclose(x[:, :6], 4 * np.stack(units), rtol=1e-6)
    np.testing.assert_allclose(x[:, 6], centrality(TEXT, SPANS), rtol=1e-6)
    np.testing.assert_allclose(x[:, 7], [1, 1 / 2, 1 / 3], rtol=1e-6)
    np.testing.assert_allclose(x[:, 8], [0.5, 0.45, 0.45], rtol=1e-6)
    np.testing.assert_allclose(x[:, 9], np.stack(units) @ own, rtol=1e-5)


def test_scores_are_relative_to_the_best_unit_and_independent_of_other_texts():
    extractor = in_numpy(network())
    alone, together = extractor([TEXT], [SPANS]), extractor(["另一篇。", TEXT, ""], [[(0, 4)], SPANS, []])
    assert together[1] == pytest.approx(alone[0])
    assert (max(alone[0]), len(alone[0]), together[2]) == (1.0, 3, [])
    assert together[0] == [1.0]


def test_weights_of_another_shape():
    with pytest.raises(ValueError, match=r"first\.weight"):
        in_numpy(network(width=8))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model trained for an epoch on vectors of the embedded static model."""
    embedder = imported(spec("embed").loader)("embed-static")
    path = tmp_path_factory.mktemp("extractor") / "model"
    settings = ExtractorSettings(
        "embed-static", embedder.fingerprint, embedder.dim, width=8, dilations=(1, 2), length=20
    )
    examples = [Example(TEXT, "长江第一长河")] * 4
    fit(embedder.encode, settings, examples, examples, path, SummarizeSettings(epochs=1), {"training": []},
        lambda *stage: None)  # fmt: skip
    return path


def test_a_stored_model_scores_units(folder):
    (scores,) = Extractor.load(str(folder))([TEXT], [SPANS])
    assert len(scores) == 3
    assert max(scores) == 1.0


def test_weights_that_are_too_large():
    made = network()
    torch.nn.init.constant_(made.first.weight, 1e38)
    with pytest.raises(ModelError, match="its weights give NaN or infinity"):
        in_numpy(made)([TEXT], [SPANS])


def test_an_encoder_that_is_not_there(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    settings = {"encoder": "nowhere", "fingerprint": "", "vectors": 256, "width": 8, "dilations": [1, 2]}
    edit_manifest(tmp_path / "copy", config=settings)
    with pytest.raises(ModelError, match="copy: its encoder cannot be loaded: nowhere: no such model"):
        Extractor.load(str(tmp_path / "copy"))


def test_an_encoder_with_other_weights(folder, tmp_path):
    copy = tmp_path / "copy"
    copy.mkdir()
    for path in folder.iterdir():
        if path.is_file():
            (copy / path.name).write_bytes(path.read_bytes())
    settings = {"encoder": "embed-static", "fingerprint": "0" * 16, "vectors": 256, "width": 8, "dilations": [1, 2]}
    edit_manifest(copy, config=settings)
    with pytest.raises(ModelError, match="trained on other weights of embed-static"):
        Extractor.load(str(copy))


def test_a_model_of_another_task():
    with pytest.raises(ModelError, match="a model for `nlpkit ner`, not for `nlpkit summarize`"):
        Extractor.load("ner-cluener")
