"""`nlpkit export` of published sentence encoders."""

import re
import warnings

import numpy as np
import pytest
from st_support import published
from support import SENTENCE, invoke, records
from tokenizers import normalizers

from nlpkit.core.model.manifest import read_manifest
from nlpkit.errors import UsageError
from nlpkit.tasks.embed.loading import load, read_components
from nlpkit.tasks.embed.sentence_transformers.conversion import convert

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    pytest.importorskip("sentence_transformers")
    from sentence_transformers.models import Dense, Normalize, Pooling

pytestmark = pytest.mark.filterwarnings("ignore")
TEXTS = [SENTENCE, SENTENCE[:5], "叶老桂", "在浙商银行"]  # without words outside the vocabulary


@pytest.mark.parametrize("pooling", ["cls", "mean"])
@pytest.mark.parametrize("runtime", ["onnx", "torch"])
def test_the_vectors_stay_those_of_sentence_transformers(tmp_path, bert, pooling, runtime):
    theirs = published(tmp_path / "st", bert, Pooling(32, pooling), Normalize()).encode(TEXTS)
    (record,) = records(invoke("export", tmp_path / "st", "-o", tmp_path / "ours"))
    assert record["task"] == "embed"
    assert record["max_difference"] < 1e-4
    found = load(str(tmp_path / "ours"), "cpu", "fp32", runtime=runtime).encode(TEXTS)
    np.testing.assert_allclose(found, theirs, atol=2e-5)


def test_a_backbone_without_pooling_is_averaged_and_read_to_its_full_length(tmp_path, bert):
    invoke("export", bert, "-o", tmp_path / "ours")
    manifest = read_manifest(tmp_path / "ours", "embed")
    assert (manifest.config["pooling"], manifest.max_length) == ("mean", 64)
    ours = load(str(tmp_path / "ours"), "cpu", "fp32").encode(TEXTS)
    np.testing.assert_allclose(ours, load(str(bert), "cpu", "fp32").encode(TEXTS), atol=2e-5)


def test_prompts_and_length_are_kept(tmp_path, bert):
    published(tmp_path / "st", bert, Pooling(32, "mean"), Normalize(), length=20, prompts={"query": "在"})
    convert(read_components(tmp_path / "st"), "st", tmp_path / "ours")
    manifest = read_manifest(tmp_path / "ours")
    assert manifest.max_length == 20
    assert manifest.config["prompts"]["query"] == "在"
    found = load(str(tmp_path / "ours"), "cpu", "fp32", prompt="query").encode(["浙商银行"])
    np.testing.assert_allclose(found, load(str(tmp_path / "st"), "cpu", "fp32", prompt="query").encode(["浙商银行"]),
                               atol=2e-5)  # fmt: skip


@pytest.mark.parametrize(
    ("modules", "more", "message"),
    [
        ([Pooling(32, "max")], {}, "has the pooling max; one of cls, mean, first-last can be exported"),
        ([Pooling(32, ("cls", "mean"))], {}, r"has the pooling cls\+mean; one of"),
        ([Pooling(32, "mean"), Dense(32, 8)], {}, "has layers after the pooling, which cannot be exported"),
        (
            [Pooling(32, "mean")],
            {"prompts": {"q": "在"}, "default_prompt_name": "q"},
            "has a default prompt, or prompts",
        ),
    ],
)
def test_what_cannot_be_exported(tmp_path, bert, modules, more, message):
    published(tmp_path / "st", bert, *modules, **more)
    done = invoke("export", tmp_path / "st", "-o", tmp_path / "ours")
    assert done.exit_code == 2
    assert re.search(message, done.stderr), done.stderr
    assert not (tmp_path / "ours").exists()


def test_another_architecture_or_tokenizer_is_refused(tmp_path, bert, qwen):
    published(tmp_path / "qwen", qwen, Pooling(32, "lasttoken"))
    done = invoke("export", tmp_path / "qwen", "-o", tmp_path / "ours")
    assert "there is no ONNX graph for an encoder of type auto; export a model on BERT" in done.stderr
    published(tmp_path / "st", bert, Pooling(32, "mean"))
    components = read_components(tmp_path / "st")
    fast = components.tokenizer._fast
    fast.normalizer = normalizers.Sequence([fast.normalizer, normalizers.Replace("花", "么")])
    with pytest.raises(UsageError, match=r"^st: nlpkit has no tokenizer that gives its tokens, as for '花呗怎么还款'$"):
        convert(components, "st", tmp_path / "ours")
    assert not (tmp_path / "ours").exists()
