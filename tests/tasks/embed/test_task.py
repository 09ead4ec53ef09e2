"""Sentence embeddings as the core sees them: batches, answers and scores, and which pooling is trained."""

import json

import numpy as np
import pytest
from embed_support import save_embedder
from static_support import save_static
from support import SENTENCE, vocabulary

from nlpkit.core.io.records import Line
from nlpkit.core.model.loading import load_predictor
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.errors import UsageError
from nlpkit.tasks.embed.data import Pair
from nlpkit.tasks.embed.loading import load
from nlpkit.tasks.embed.settings import EmbedSettings
from nlpkit.tasks.embed.task import EmbedTask, trained_pooling

TEXTS = ["叶老桂", "浙商银行" * 20, "", "😀", "北京大学"]
PAIRS = [
    Pair(first, second, float(score), Line("", f"{score % 2}.tsv", score))
    for score, (first, second) in enumerate(zip(TEXTS, TEXTS[1:] + TEXTS[:1], strict=True))
]


@pytest.fixture(scope="module", params=["cls", "mean", "first-last"])
def models(request, tmp_path_factory):
    """The predictor of a checkpoint, and the embedder of the same one."""
    folder = save_embedder(tmp_path_factory.mktemp("task") / "model", pooling=request.param)
    return load_predictor(folder, EmbedTask, "cpu", "fp32"), load(folder, "cpu", "fp32")


def test_training_is_evaluated_on_the_vectors_that_the_model_will_give(models):
    """Long texts in windows, unknown characters and blank texts included."""
    predictor, embedder = models
    vectors = embedder.encode(TEXTS)
    np.testing.assert_allclose(predictor.predict(TEXTS), vectors, atol=1e-5)
    cosines = [float(a @ b) for a, b in zip(vectors, np.roll(vectors, -1, axis=0), strict=True)]
    np.testing.assert_allclose(predictor.answers(PAIRS), cosines, atol=1e-5)


def test_an_evaluation_scores_each_file(models):
    predictor, _ = models
    result = predictor.evaluate(PAIRS)
    assert set(result["files"]) == {"0.tsv", "1.tsv"}
    assert result["mean"] == pytest.approx(np.mean(list(result["files"].values())))


def test_an_answer_as_fields():
    task = EmbedTask(EmbedSettings("cosent"))
    fields = task.to_fields("叶", np.array([0.5, -1], np.float32))
    assert json.loads(json.dumps(fields)) == {"embedding": [0.5, -1.0]}
    assert tuple(fields) == task.output_fields


@pytest.mark.parametrize(("method", "separate"), [("cosent", True), ("simcse", False)])
def test_only_cosent_keeps_files_apart(method, separate):
    """Scores of different files cannot be compared; sentences can."""
    task = EmbedTask.from_examples(PAIRS, ["a.tsv"], method=method)
    tokenizer = CharTokenizer(vocabulary(SENTENCE))
    dataset = task.dataset(PAIRS, tokenizer, max_length=32, batch_size=5, seed=0)
    batches = [dataset(step)[1]["scores"].tolist() for step in range(dataset.steps_per_epoch)]
    assert sorted(map(len, batches)) == ([2, 3] if separate else [5])
    assert all(len({score % 2 for score in batch}) == 1 for batch in batches) == separate


@pytest.mark.parametrize("own", ["cls", "first-last"])
def test_auto_trains_the_pooling_of_the_model(tmp_path, own):
    assert trained_pooling("auto", save_embedder(tmp_path / "m", pooling=own)) == own
    assert trained_pooling("mean", save_embedder(tmp_path / "m", pooling=own)) == "mean"


def test_auto_is_the_mean_where_the_model_has_none(tiny, tmp_path):
    (tmp_path / "config.json").write_text("{}")  # of Hugging Face
    for model in (tiny, "roformer_v2:2x64", str(tmp_path)):
        assert trained_pooling("auto", model) == "mean"


@pytest.mark.parametrize("name", ["pooler", "max"])
def test_a_pooling_that_cannot_be_trained(name):
    with pytest.raises(UsageError, match=f"--pooling {name}: to train one of cls, mean, first-last"):
        trained_pooling(name, "roformer_v2:2x64")


@pytest.mark.parametrize("name", ["auto", "mean"])
def test_a_static_model_is_not_trained(tmp_path, name):
    with pytest.raises(UsageError, match=r"static: a table of vectors, which these methods do not train; name an enc"):
        trained_pooling(name, save_static(tmp_path / "static"))
