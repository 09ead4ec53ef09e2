"""Training of the extractor: it learns which unit is in the summary."""

import json

import numpy as np
import pytest
import torch

from nlpkit.errors import DataError, OutputError
from nlpkit.tasks.summarize.data import Example
from nlpkit.tasks.summarize.extractor import ExtractorSettings
from nlpkit.tasks.summarize.settings import SummarizeSettings
from nlpkit.tasks.summarize.train import ExtractorNetwork, fit, training_items

PLACES = ["北京", "上海", "广州", "成都", "西安", "武汉", "杭州", "南京"]


def encode(texts):
    """The first number says whether the text speaks of a result; the others are noise."""
    rows = [[2.0 * ("结果" in text), *np.random.default_rng(len(text)).normal(size=3)] for text in texts]
    return (np.array(rows) / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def examples(count=24):
    """The summary is the clause with the result, at any place."""
    made = []
    for index in range(count):
        place = PLACES[index % len(PLACES)]
        parts = [f"我们去了{place}。", f"{place}天气晴朗。", f"{place}人很多。"]
        parts.insert(index % 4, f"结果在{place}签了合同。")
        made.append(Example("".join(parts), f"结果在{place}签了合同"))
    return made


def settings(**changes):
    return ExtractorSettings("embed-static", "", 4, **({"width": 16, "dilations": (1, 2), "length": 12} | changes))


def run(folder, train, dev, **options):
    stages = []
    chosen = SummarizeSettings(**({"epochs": 12, "lr": 1e-2, "sentences": 1} | options))
    sources = {"training": ["a.jsonl"], "dev": ["b.jsonl"]}
    metrics = fit(encode, settings(), train, dev, folder, chosen, sources, lambda *stage: stages.append(stage))
    return metrics, stages


def test_the_unit_with_the_result_is_learnt(tmp_path):
    metrics, stages = run(tmp_path / "model", examples(), examples(8))
    assert metrics["rouge_l"] > 0.9 > metrics["floors"]["first_unit"]["rouge_l"] + 0.2
    assert stages[-1] == ("training", 12, 12)
    manifest = json.loads((tmp_path / "model" / "nlpkit.json").read_text(encoding="utf-8"))
    assert (manifest["task"], manifest["training"]["texts"]) == ("summarize", 24)
    assert manifest["metrics"]["dev"]["rouge_l"] == metrics["rouge_l"]


def test_a_run_is_repeatable(tmp_path):
    first, second = (run(tmp_path / name, examples(), examples(8), epochs=2)[0] for name in ("a", "b"))
    assert first == second
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("a", "b")]
    assert weights[0] == weights[1]


def test_the_target_is_spread_over_the_matched_units():
    text = "甲乙丙丁。戊己庚辛。子丑寅卯。"
    (item,) = training_items(encode, [Example(text, "甲乙丙。子丑寅。")], 12)
    assert item.target.tolist() == [0.5, 0.0, 0.5]
    assert item.inputs.shape == (3, 8)


def test_texts_without_units_or_summaries_are_left_out():
    assert training_items(encode, [Example("", "甲"), Example("甲乙", ""), Example("。。", "甲")], 12) == []


def test_nothing_to_learn_from(tmp_path):
    with pytest.raises(DataError, match=r"a\.jsonl: no text with a summary"):
        run(tmp_path / "model", [Example("甲乙", "")], examples(8))


def test_a_folder_with_other_things(tmp_path):
    (tmp_path / "notes.txt").write_text("x", encoding="utf-8")
    with pytest.raises(OutputError, match=r"notes\.txt"):
        run(tmp_path, examples(), examples(8))


def test_layers_start_as_the_identity():
    network = ExtractorNetwork(settings()).eval()
    x = torch.randn(5, 8)
    with torch.no_grad():
        expected = network.last(network.first(x))[:, 0]
        assert torch.equal(network(x), expected)
