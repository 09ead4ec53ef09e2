"""`nlpkit train summarize` in this process."""

import pytest
from support import records, write_jsonl

TEXTS = [
    {
        "text": f"{place}召开大会。会议讨论了经济。代表们参观了{place}的工厂。大会决定明年再开。",
        "summary": f"{place}召开大会",
    }
    for place in ("北京", "上海", "广州", "成都")
]


@pytest.fixture
def files(tmp_path):
    return write_jsonl(tmp_path / "train.jsonl", TEXTS), write_jsonl(tmp_path / "dev.jsonl", TEXTS[:2])


def test_a_model_is_trained_used_and_evaluated(nlpkit, files, tmp_path):
    train, dev = files
    options = ("--model", "embed-static", "--epochs", 3, "--length", 20, "--sentences", 1)
    result = nlpkit("train", "summarize", train, "--dev", dev, *options, "-o", "model")
    assert (result.exit_code, result.stderr) == (0, "")
    (metrics,) = records(result)
    assert list(metrics)[:3] == ["rouge_l", "rouge_1", "rouge_2"]
    (scored,) = records(nlpkit("evaluate", "summarize", dev, "--model", "model", "--length", 20, "--sentences", 1))
    assert scored["rouge_l"] == pytest.approx(metrics["rouge_l"], abs=1e-4)
    text = "".join(record["text"] + "\n" for record in TEXTS)
    found = records(nlpkit("summarize", "--model", "model", "--length", 20, "--sentences", 1, text=text))
    assert len(found) == 4
    first = found[0]
    (sentence,) = first["sentences"]
    assert first["text"][sentence["start"] : sentence["end"]] == first["summary"] != ""
    (card,) = records(nlpkit("models", "model"))
    assert (card["task"], card["metric"]) == ("summarize", "rouge_l")


def test_fields_by_name(nlpkit, tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"fact": r["text"], "title": r["summary"]} for r in TEXTS])
    names = ("--field", "fact", "--summary", "title", "--model", "embed-static", "--epochs", 1)
    assert nlpkit("train", "summarize", path, "--dev", path, *names, "-o", "model").exit_code == 0


def test_bad_input(fails, files, tmp_path):
    train, dev = files
    (tmp_path / "empty.jsonl").write_text("", encoding="utf-8")
    command = ("train", "summarize", train, "--dev", dev, "-o", "model", "--model")
    assert "no such model" in fails(1, *command, "nothing")
    assert "the dev set is empty" in fails(1, "train", "summarize", train, "--dev", "empty.jsonl", "-o", "model")
    write_jsonl(tmp_path / "bad.jsonl", [{"text": "甲乙"}])
    assert "bad.jsonl:1: no field 'summary'" in fails(1, "train", "summarize", "bad.jsonl", "--dev", dev, "-o", "m")
    assert "a model for `nlpkit ner`" in fails(1, "summarize", dev, "--model", "ner-cluener")
