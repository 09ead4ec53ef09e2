"""The runtimes of the prediction commands: the same answers, and no torch where ONNX Runtime computes."""

import json
import subprocess
import sys

import numpy as np
import pytest
from support import SENTENCE, environment, invoke

import nlpkit
from nlpkit.core.model.pretrained import find_tokenizer
from nlpkit.core.onnx import choice
from nlpkit.errors import UsageError
from nlpkit.tasks.kgqa.graph.build import build_graph

TEXTS = f"{SENTENCE}\n浙商银行的李明昨天去了杭州。\n{SENTENCE * 9}\n\n"
TASKS = ("ner", "relation", "event", "embed")


def rounded(value):
    """JSON with numbers to four digits."""
    if isinstance(value, dict):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list):
        return [rounded(item) for item in value]
    return pytest.approx(value, abs=2e-4) if isinstance(value, float) else value


@pytest.mark.parametrize("task", TASKS)
def test_both_runtimes_give_the_same_answers(task, tmp_path):
    (tmp_path / "texts.txt").write_text(TEXTS, encoding="utf-8")
    found = []
    for runtime in ("onnx", "torch"):
        result = invoke(task, tmp_path / "texts.txt", "--runtime", runtime, "--dtype", "fp32", "--device", "cpu", "-q")
        assert result.exit_code == 0, result.output
        found.append([json.loads(line) for line in result.stdout.splitlines()])
    assert len(found[0]) == 4
    assert found[0] == [rounded(record) for record in found[1]]


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    """A graph for the embedded model of kgqa."""
    triples = [("长江", "长度", "6300余千米"), ("长江", "发源地", "唐古拉山"), ("红楼梦", "作者", "曹雪芹"),
               ("曹雪芹", "出生地", "南京")]  # fmt: skip
    return build_graph(triples, tmp_path_factory.mktemp("graph") / "g.kg", find_tokenizer("kgqa")).folder


QUESTIONS = "长江的长度是多少？\n红楼梦的作者的出生地是哪里？\n黄河有多长？\n《江红梦》是谁写的？\n"


@pytest.mark.parametrize("options", [(), ("--explain",), ("--search", "beam")])
def test_both_runtimes_give_the_same_replies(graph, options, tmp_path):
    (tmp_path / "questions.txt").write_text(QUESTIONS, encoding="utf-8")
    found = []
    for runtime in ("onnx", "torch"):
        options = ("--graph", graph, "--runtime", runtime, "--dtype", "fp32", "--device", "cpu", "-q", *options)
        result = invoke("kgqa", tmp_path / "questions.txt", *options)
        assert result.exit_code == 0, result.output
        found.append([json.loads(line) for line in result.stdout.splitlines()])
    assert [len(replies) for replies in found] == [4, 4]
    assert found[0] == [rounded(reply) for reply in found[1]]
    assert found[0][0]["answers"][0]["objects"] == ["6300余千米"]


PROGRAM = """
import sys
from nlpkit.__main__ import main
try:
    main()
except SystemExit as end:
    loaded = sorted({name.partition(".")[0] for name in sys.modules} & {"torch", "transformers", "scipy"})
    print(end.code, *loaded, file=sys.stderr)
"""


@pytest.mark.parametrize("task", TASKS)
def test_onnx_runtime_computes_without_torch(task):
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM, task, "-q", "--runtime", "onnx"],
        input=TEXTS, capture_output=True, text=True, encoding="utf-8", env=environment(),
    )  # fmt: skip
    assert process.stderr.split() in (["None"], ["0"])
    assert len(process.stdout.splitlines()) == 4


def test_kgqa_in_onnx_runtime_does_not_import_torch(graph):
    """Beam search, which the third question needs, included."""
    process = subprocess.run(
        [sys.executable, "-c", PROGRAM, "kgqa", "-q", "--graph", graph, "--runtime", "onnx", "--explain"],
        input=QUESTIONS, capture_output=True, text=True, encoding="utf-8", env=environment(),
    )  # fmt: skip
    assert process.stderr.split() in (["None"], ["0"])
    assert len(process.stdout.splitlines()) == 4


def test_the_runtime_may_come_from_the_environment(tmp_path, monkeypatch):
    (tmp_path / "texts.txt").write_text(TEXTS, encoding="utf-8")
    monkeypatch.setenv("NLPKIT_RUNTIME", "tvm")
    result = invoke("ner", tmp_path / "texts.txt")
    assert result.exit_code == 2
    assert "unknown runtime 'tvm'; one of auto, onnx, torch" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("--dtype", "bf16"),
            "--runtime onnx computes in fp32 or int8, not in bf16; pass --dtype fp32",
        ),
        (("--device", "cuda"), "computes on the CPU, not on cuda; pass --device cpu, or leave out --runtime"),
    ],
)
@pytest.mark.parametrize("task", ["ner", "embed"])
def test_what_onnx_runtime_cannot_do_is_one_line(tmp_path, task, arguments, message):
    (tmp_path / "texts.txt").write_text(TEXTS, encoding="utf-8")
    result = invoke(task, tmp_path / "texts.txt", "--runtime", "onnx", *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert message in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("task", TASKS)
def test_int8_finds_nearly_the_same(task, tmp_path, monkeypatch):
    monkeypatch.setattr(choice, "MAX_LOSS", 100.0)  # without VNNI, some models are refused
    (tmp_path / "texts.txt").write_text(TEXTS, encoding="utf-8")
    exact, near = (
        [json.loads(line) for line in invoke(task, tmp_path / "texts.txt", "--dtype", dtype, "-q").stdout.splitlines()]
        for dtype in ("fp32", "int8")
    )
    assert len(exact) == len(near) == 4
    if task == "embed":
        cosines = [np.dot(a["embedding"], b["embedding"]) for a, b in zip(exact[:3], near[:3], strict=True)]
        assert 0.99 < min(cosines) < 1 - 1e-7
    elif task == "ner":
        assert [e["text"] for e in near[1]["entities"]] == [e["text"] for e in exact[1]["entities"]]


def test_int8_is_for_onnx_runtime(tmp_path):
    (tmp_path / "texts.txt").write_text(TEXTS, encoding="utf-8")
    result = invoke("embed", tmp_path / "texts.txt", "--dtype", "int8", "--runtime", "torch")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "--dtype int8 is computed by ONNX Runtime" in result.stderr


def test_static_vectors_have_no_onnx_graph(tmp_path):
    (tmp_path / "texts.txt").write_text(TEXTS, encoding="utf-8")
    result = invoke("embed", tmp_path / "texts.txt", "--model", "embed-static", "--runtime", "onnx")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "no ONNX graph for an encoder of type static; leave out --runtime" in result.stderr


def test_queries_of_an_index_take_the_runtime(tmp_path):
    (tmp_path / "texts.txt").write_text(TEXTS, encoding="utf-8")
    built = invoke("search", "build", tmp_path / "texts.txt", "-o", tmp_path / "idx", "-q")
    assert built.exit_code == 0, built.output
    results = [
        invoke(
            "search", "query", tmp_path / "idx", tmp_path / "texts.txt", "-q", "--runtime", runtime, "--dtype", "fp32"
        )
        for runtime in ("onnx", "torch", "tvm")
    ]
    assert [result.exit_code for result in results] == [0, 0, 2]
    ours, theirs = ([json.loads(line) for line in result.stdout.splitlines()] for result in results[:2])
    assert ours == [rounded(record) for record in theirs]


def test_a_predictor_in_onnx_runtime_has_no_network_of_torch():
    with pytest.raises(UsageError, match="load it with runtime='torch'"):
        _ = nlpkit.load("ner", runtime="onnx", device="cpu", dtype="fp32").network
    assert nlpkit.load("ner", runtime="torch", device="cpu").network.backbone.vocab_size == 9856
