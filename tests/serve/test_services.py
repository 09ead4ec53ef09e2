"""The services of real models: what they answer is what the commands write."""

import json

import pytest
from support import SENTENCE, invoke, write_jsonl

import nlpkit
from nlpkit.core.io.records import dumps
from nlpkit.errors import ModelError, UsageError
from nlpkit.serve.services import Key, load_services


def test_a_task_answers_what_its_command_writes(tiny):
    services = load_services(["ner"], {"ner": tiny}, device="cpu", dtype="fp32", runtime="torch")
    texts = [SENTENCE, "", SENTENCE * 30]
    written = invoke("ner", "-m", tiny, "--dtype", "fp32", "--runtime", "torch", text="\n".join(texts) + "\n")
    expected = [json.loads(line) for line in written.stdout.splitlines()]
    assert json.loads(json.dumps(services["ner"].answer(texts, {}))) == expected
    assert services["ner"].threshold == nlpkit.load("ner", tiny).settings.threshold
    few = services["ner"].answer([SENTENCE], {"threshold": 0.99})[0]["entities"]
    assert len(few) <= len(expected[0]["entities"])


def test_vectors_and_search(tmp_path):
    corpus = write_jsonl(tmp_path / "a.jsonl", [{"text": "花呗怎么还款"}, {"text": "今天天气很好"}])
    index = str(tmp_path / "idx")
    assert invoke("search", "build", corpus, "-m", "embed-static", "-o", index).exit_code == 0
    services = load_services(["embed", "search"], {"embed": "embed-static"}, index=index)
    texts = ["今天天气很好", " ", "花呗\u3000还款"]
    written = invoke("embed", "-m", "embed-static", text="\n".join(texts) + "\n")
    records = services["embed"].answer(texts, {})
    assert [json.loads(dumps(record)) for record in records] == [
        json.loads(line) for line in written.stdout.splitlines()
    ]
    assert records[1]["embedding"] is None
    assert (services["embed"].width, services["embed"].model) == (len(records[0]["embedding"]), "embed-static")
    (found,) = services["search"].answer(["天气"], {"k": 1})
    assert [result["text"] for result in found["results"]] == ["今天天气很好"]


def test_answers_of_a_graph_say_how_they_were_found(tmp_path):
    (tmp_path / "t.tsv").write_text("黄河\t长度\t5464公里\n黄河\t别名\t大河\n", encoding="utf-8")
    graph = str(tmp_path / "g.kg")
    assert invoke("graph", "build", str(tmp_path / "t.tsv"), "-o", graph).exit_code == 0
    services = load_services(["kgqa"], {}, dtype="fp32", graph=graph)
    written = invoke("kgqa", "--graph", graph, "--dtype", "fp32", "--explain", text="黄河有多长？\n")
    (explained,) = services["kgqa"].answer(["黄河有多长？"], {"explain": True})
    expected = json.loads(written.stdout)
    assert json.loads(json.dumps(explained)) == expected
    assert explained["steps"]
    assert "steps" not in services["kgqa"].answer(["黄河有多长？"], {"explain": False})[0]


@pytest.mark.parametrize(
    ("names", "models", "message"),
    [
        (["nothing"], {}, "--task nothing: no such task; one of ner, "),
        ([], {"nothing": "x"}, "--task nothing: no such task"),
        (["kgqa"], {}, "--task kgqa: needs a graph; name one with --graph"),
        (["search"], {}, "--task search: needs an index; name one with --index"),
    ],
)
def test_what_cannot_be_served_is_refused(names, models, message):
    with pytest.raises(UsageError, match=message):
        load_services(names, models)


def test_a_model_that_there_is_not():
    with pytest.raises(ModelError, match="no such model"):
        load_services(["ner"], {"ner": "no-such-model"})


def test_a_key_is_of_the_task_and_the_options():
    assert Key("ner") == Key("ner", ())
    assert Key("ner", (("threshold", 0.5),)) != Key("ner")
