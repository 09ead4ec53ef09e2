"""Models trained on a BERT of transformers: the same answers in ONNX Runtime as in torch."""

from dataclasses import asdict

import numpy as np
import pytest
import torch
from support import SENTENCE, randomize, vocabulary

from nlpkit.core.model import checkpoint
from nlpkit.core.model.manifest import Manifest
from nlpkit.core.onnx.published import NativeWeights, native
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.errors import UsageError
from nlpkit.nn.backbones.auto import AutoBackbone
from nlpkit.tasks.embed.loading import load as load_embedder
from nlpkit.tasks.ner.settings import NerSettings
from nlpkit.tasks.ner.task import NerTask, load

TOKENIZER = CharTokenizer(vocabulary(SENTENCE))
SIZES = {"vocab_size": TOKENIZER.vocab_size, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4,
         "intermediate_size": 48, "max_position_embeddings": 64, "model_type": "bert"}  # fmt: skip
TEXTS = [SENTENCE, SENTENCE[:5], "", SENTENCE * 4]


def save(folder, **config):
    """An NER checkpoint with random weights on a BERT of transformers."""
    task = NerTask(NerSettings(("name", "company"), threshold=0.6))
    network = task.network(AutoBackbone.from_config({**SIZES, **config}))
    randomize(network, 5)
    with torch.no_grad():
        network.head.bias.bias.fill_(0)
    manifest = Manifest("ner", network.backbone.describe(), TOKENIZER.settings, 64, asdict(task.settings))
    checkpoint.save(folder, manifest, TOKENIZER.lines, network.state_dict())
    return str(folder)


def test_answers_are_those_of_torch(tmp_path):
    folder = save(tmp_path / "m")
    ours, theirs = (load(folder, "cpu", "fp32", runtime=runtime).predict(TEXTS) for runtime in ("onnx", "torch"))
    assert sum(map(len, ours)) > 5
    assert [[(e.start, e.end, e.label) for e in answer] for answer in ours] == [
        [(e.start, e.end, e.label) for e in answer] for answer in theirs
    ]
    assert [e.score for answer in ours for e in answer] == pytest.approx(
        [e.score for answer in theirs for e in answer], abs=1e-4
    )
    vectors = [load_embedder(folder, "cpu", "fp32", runtime=runtime).encode(TEXTS) for runtime in ("onnx", "torch")]
    np.testing.assert_allclose(*vectors, rtol=1e-4, atol=1e-5)


def test_another_bert_stays_in_torch(tmp_path):
    folder = save(tmp_path / "m", hidden_act="quick_gelu")
    assert load(folder, "cpu", "fp32").runner.network.backbone.vocab_size == TOKENIZER.vocab_size
    with pytest.raises(UsageError, match="no ONNX graph for an encoder of type auto"):
        load(folder, "cpu", "fp32", runtime="onnx")


def test_other_descriptions_are_unchanged():
    for description in ({"type": "bert", "vocab_size": 3}, {"type": "auto"}, {"type": "auto", "config": {}}):
        assert native(description) is description


def test_blocks_are_concatenated_and_other_weights_kept():
    prefix = "backbone.model.encoder.layer.0.attention.self"
    stored = {f"{prefix}.{name}.bias": np.full(2, number) for number, name in enumerate(("query", "key", "value"))}
    weights = NativeWeights({**stored, "head.bias": np.ones(3)}, 1)
    assert weights["backbone.layers.0.qkv.bias"].tolist() == [0, 0, 1, 1, 2, 2]
    assert weights["head.bias"].tolist() == [1, 1, 1]
    assert "backbone.layers.0.qkv.bias" in weights
    assert "backbone.layers.0.qkv.weight" not in weights
    assert "other" not in weights
    assert len(weights) == len(list(weights))
