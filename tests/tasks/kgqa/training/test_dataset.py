"""Training examples and batches."""

import math

import pytest
import torch
from kgqa_support import TOKENIZER, examples, make_graph, make_network

from nlpkit.core.io.records import Line
from nlpkit.tasks.kgqa.data import Example
from nlpkit.tasks.kgqa.retrieval.candidates import NUM_FEATURES
from nlpkit.tasks.kgqa.training.dataset import KeyDataset


def test_each_example_has_its_gold_key_among_others(graph, dataset):
    assert dataset.diagnostics == {"sequences": 5, "not_in_graph": 0}
    for example, prepared in zip(examples(), dataset.examples, strict=True):
        assert prepared.gold_tokens == graph.tree.tokens(example.find_key(graph)).tolist()
        assert len(prepared.trie.path(prepared.gold_tokens)) == len(prepared.gold_tokens)  # with its sense
        assert len(prepared.features) == len(prepared.log_weights) == len(prepared.masked) == len(prepared.trie.leaves)
        assert prepared.features.shape[1] == NUM_FEATURES
        assert prepared.masked[prepared.gold]
    director = dataset.examples[1]
    assert director.question.text == "红楼梦电视剧的导演是谁？"
    assert sum(director.masked) in (1, 4)  # the predicate alone, or all of the name


def test_sampled_keys_are_weighted(graph):
    dataset = KeyDataset(list(examples()), graph, TOKENIZER, 64, 4, seed=1, max_gold_keys=2)
    novel = dataset.examples[0]  # four keys, two are sampled: the gold one, and one for three others
    weights = sorted(novel.log_weights[:2])
    assert weights == pytest.approx([0.0, math.log(3)])
    assert novel.log_weights[novel.gold] == 0.0


def test_objects_follow_the_keys_that_are_ranked_but_are_not_generated(graph):
    keys = KeyDataset(list(examples()), graph, TOKENIZER, 64, 4, seed=1)
    objects = KeyDataset(list(examples()), graph, TOKENIZER, 64, 4, seed=1, object_tokens=4)
    for key, read in zip(keys.examples, objects.examples, strict=True):
        assert read.gold_tokens == key.gold_tokens
        assert len(read.trie.tokens) > len(key.trie.tokens)
        gold = read.trie.leaves[read.gold]
        assert read.trie.depths[gold] > key.trie.depths[key.trie.leaves[key.gold]]


def test_a_batch_is_a_function_of_its_step(dataset):
    for step in (0, 1, 5):
        first, second = dataset(step), dataset(step)
        assert torch.equal(first[0].input_ids, second[0].input_ids)
        assert all(torch.equal(first[1][name], second[1][name]) for name in first[1])
    assert dataset.steps_per_epoch == 2


def test_triples_that_the_graph_lacks_are_left_out(graph):
    lost = Example("黄河有多长？", "黄河", "", "长度", "5464公里", Line("", "gold", 1))
    dataset = KeyDataset([lost, *examples()], graph, TOKENIZER, 64, 4, seed=1)
    assert dataset.diagnostics == {"sequences": 5, "not_in_graph": 1}


def test_a_graph_without_a_choice_is_trained_on(tmp_path):
    graph = make_graph(tmp_path / "one", [("红楼梦", "作者", "曹雪芹")])
    only = Example("红楼梦的作者是谁？", "红楼梦", "", "作者", "曹雪芹", Line("", "gold", 1))
    inputs, targets = KeyDataset([only], graph, TOKENIZER, 64, 4, seed=1)(0)
    assert len(targets["allowed"]) == len(targets["allowed_steps"]) == 0
    assert make_network().train().loss(inputs, targets).isfinite()
