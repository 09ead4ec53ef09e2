"""The runner in ONNX Runtime against that in torch."""

import numpy as np
import pytest
from kgqa_support import TOKENIZER, make_network, make_runner

from nlpkit.core.onnx.weights import StoredWeights
from nlpkit.nn.configs import read_config
from nlpkit.tasks.kgqa.codec import ROOT, KeyTrie, Question, key_tokens, question_tokens
from nlpkit.tasks.kgqa.network.onnx_runner import OnnxKgqaRunner
from nlpkit.tasks.kgqa.retrieval.candidates import NUM_FEATURES


@pytest.mark.parametrize("kind", ["roformer_v2", "bert"])
def test_it_computes_what_torch_computes(kind):
    network = make_network(kind=kind)
    runners = [make_runner(network, runtime) for runtime in ("onnx", "torch")]
    questions = [Question.encode(text, TOKENIZER, 64) for text in ("红楼梦的作者是谁？", "长江")]
    tries = [KeyTrie(), KeyTrie()]
    for trie in tries:
        trie.leaves = [trie.extend(ROOT, key) for key in ([9, 8, 3], [9, 8, 7, 3], [20])]
    random = np.random.default_rng(0)
    features, borders = random.random((6, NUM_FEATURES), dtype=np.float32), random.random((6, 2), dtype=np.float32)
    found = []
    for runner in runners:
        cache, tokens = runner.new_cache(), question_tokens(questions)
        states = runner.encode(tokens, np.arange(len(tokens.input_ids)), cache)
        keys = key_tokens([questions[1], questions[0]], tries)
        leaves = runner.encode(keys, np.array([2, 3, 4, 7, 8, 9]), cache.select(np.array([1, 0])))
        found.append([
            states, leaves, runner.border_scores(states), runner.generate(leaves),
            runner.rank(leaves, features, borders), runner.rank_without_states(features, borders),
        ])  # fmt: skip
    for ours, theirs in zip(*found, strict=True):
        assert ours.dtype == np.float32
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4)
    assert runners[0].device_type == "cpu"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda w: w.pop("deep.2.weight"), "there is no deep.2.weight"),
        (lambda w: w.update({"wide.0.bias": w["wide.0.bias"][1:]}), "size mismatch for wide.0.bias"),
        (lambda w: w.update({"other": w["bias"]}), "unexpected other"),
    ],
)
def test_weights_that_do_not_fit(change, message):
    network = make_network()
    weights = {name: value.numpy() for name, value in network.state_dict().items()}
    change(weights)
    config = read_config(network.backbone.describe())
    with pytest.raises(ValueError, match=message):
        OnnxKgqaRunner(config, StoredWeights(weights), NUM_FEATURES, 1, int8=False)
