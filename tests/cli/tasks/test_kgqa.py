"""`nlpkit kgqa`, `nlpkit train kgqa` and `nlpkit evaluate kgqa` as users run them."""

import json
import subprocess
import sys

import pytest
from kgqa_support import QUESTIONS, TOKENIZER, TRIPLES, make_graph, save_model
from support import environment, records

GOLD = [{"question": question, "answer": answer} for question, answer in QUESTIONS]


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kgqa") / "g.kg"
    make_graph(folder)
    return str(folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_model(tmp_path_factory.mktemp("kgqa") / "model")


@pytest.fixture
def gold(tmp_path):
    path = tmp_path / "gold.jsonl"
    path.write_text("".join(json.dumps(line, ensure_ascii=False) + "\n" for line in GOLD), encoding="utf-8")
    return str(path)


def test_a_line_in_a_record_out(nlpkit, graph, model):
    result = nlpkit("kgqa", "--graph", graph, "-m", model, text="长江的长度是多少？\n\n红楼梦的作者是谁？\n")
    first, empty, last = records(result)
    assert list(first) == ["question", "status", "answers"]
    assert first["question"] == "长江的长度是多少？"
    assert first["status"] == "ok"
    best = first["answers"][0]
    assert list(best) == ["subject", "meaning", "predicate", "objects", "score"]
    assert best["objects"] == ["6300公里"]
    assert (empty["question"], empty["status"]) == ("", "not_in_graph")
    assert last["answers"][0]["meaning"] == "古典小说"


def test_json_lines_pass_their_fields_through(nlpkit, graph, model, tmp_path):
    path = tmp_path / "q.jsonl"
    path.write_text('{"id": 7, "question": "长江的长度是多少？"}\n', encoding="utf-8")
    (found,) = records(nlpkit("kgqa", path, "--graph", graph, "-m", model, "--answers", "1"))
    assert (found["id"], len(found["answers"])) == (7, 1)
    path.write_text('{"q": "长江的长度是多少？"}\n', encoding="utf-8")
    (found,) = records(nlpkit("kgqa", path, "--field", "q", "--graph", graph, "-m", model))
    assert found["answers"][0]["predicate"] == "长度"


def test_its_output_is_gold(nlpkit, graph, model, tmp_path):
    out = tmp_path / "out.jsonl"
    nlpkit("kgqa", "-", "--graph", graph, "-m", model, "-o", out, text="长江的长度是多少？\n南京的面积多大？\n")
    (scored,) = records(nlpkit("evaluate", "kgqa", out, "--graph", graph, "-m", model))
    assert scored["em"] == scored["f1"] == scored["score"] == 1.0


def test_chains_and_explanations(nlpkit, graph, model):
    text = "红楼梦的作者的出生地是哪里？\n"
    (chain,) = records(nlpkit("kgqa", "--graph", graph, "-m", model, "--explain", text=text))
    assert chain["answers"][0]["path"][0]["objects"] == ["曹雪芹"]
    assert chain["steps"][0]["after"] == ""
    assert {"after", "allowed", "chosen", "options"} == set(chain["steps"][0])


def test_rules_and_ways_to_search(nlpkit, graph, model, tmp_path):
    (tmp_path / "rules.tsv").write_text("石头记\t红楼梦\n", encoding="utf-8")
    options = ("--graph", graph, "-m", model, "--rules", tmp_path / "rules.tsv")
    (found,) = records(nlpkit("kgqa", *options, text="石头记的作者是谁？\n"))
    assert found["question"] == "石头记的作者是谁？"
    assert found["answers"][0]["objects"] == ["曹雪芹"]
    (beam,) = records(nlpkit("kgqa", *options, "--search", "beam", "--beam", "2", text="石头记\n"))
    assert len(beam["answers"]) == 2


def test_a_stale_rule_and_an_explained_one(nlpkit, fails, graph, model, tmp_path):
    rules = tmp_path / "rules.tsv"
    rules.write_text("石头记\t红楼梦\n金瓶\t金瓶梅\n最长的河是哪条？\t长江\t长度\n", encoding="utf-8")
    asked = "石头记的作者是谁？\n最长的河是哪条？\n"
    options = ("kgqa", "--graph", graph, "-m", model, "--rules", rules)
    assert fails(1, *options, text=asked).startswith(f"{rules}:2: the graph has no name '金瓶梅'")
    result = nlpkit(*options, "--on-error", "skip", "--explain", text=asked)
    assert result.exit_code == 3
    assert f"{rules}:2: " in result.stderr
    assert "1 bad record(s) skipped" in result.stderr
    alias, fixed = records(result)
    assert alias["answers"][0]["objects"] == ["曹雪芹"]
    assert alias["steps"]
    assert "rule" not in alias
    assert (fixed["status"], fixed["answers"][0]["objects"]) == ("ok", ["6300公里"])
    assert (fixed["steps"], fixed["rule"]) == ([], f"{rules}:3")


def test_evaluated(nlpkit, graph, model, gold):
    (found,) = records(nlpkit("evaluate", "kgqa", gold, "-f", "kgclue", "--graph", graph, "-m", model))
    assert {"em", "f1", "score", "em_all", "questions", "questions_per_second", "in_graph", "parameters"} <= set(found)
    assert (found["questions"], found["in_graph"]) == (5, 5)
    assert found["em"] == found["score"] == 1.0
    options = ("-f", "kgclue", "--graph", graph, "-m", model, "--search", "beam", "--beam", "1")
    (beam,) = records(nlpkit("evaluate", "kgqa", gold, *options))
    assert 0 <= beam["score"] <= 1


@pytest.mark.parametrize("dtype", ["fp32", "bf16"])
def test_trained_on_questions_and_on_a_graph_alone(nlpkit, graph, model, gold, tmp_path, dtype):
    settings = (
        "--graph", graph, "-m", model, "--epochs", "2", "--batch-size", "4", "--quiet", "--seed", "1", "--dtype", dtype,
    )  # fmt: skip
    result = nlpkit("train", "kgqa", gold, "--dev", gold, "-f", "kgclue", "-o", tmp_path / "new", *settings)
    assert result.exit_code == 0, result.output
    assert records(result)[0]["questions"] == 5
    manifest = json.loads((tmp_path / "new" / "nlpkit.json").read_text(encoding="utf-8"))
    assert manifest["task"] == "kgqa"
    assert manifest["training"]["sequences"] == 5
    assert {"threshold", "absent", "temperature"} <= set(manifest["config"])

    made = ("--synthesize", graph, "--synthetic", "30", *settings[2:])
    result = nlpkit("train", "kgqa", "-o", tmp_path / "made", *made)
    assert result.exit_code == 0, result.output
    (found,) = records(nlpkit("kgqa", "--graph", graph, "-m", tmp_path / "made", text="长江的长度是多少？\n"))
    assert found["answers"]


@pytest.mark.parametrize(
    ("code", "args", "said"),
    [
        (1, ["kgqa", "-", "--graph", "nowhere.kg", "-m", "MODEL"], "no such graph"),
        (1, ["kgqa", "-", "--graph", "GRAPH", "-m", "nowhere"], "no such model"),
        (1, ["evaluate", "kgqa", "GOLD", "--graph", "GRAPH", "-m", "MODEL"], "gold.jsonl:1: not a record like"),
        (1, ["evaluate", "kgqa", "EMPTY", "--graph", "GRAPH", "-m", "MODEL"], "no gold texts in it"),
        (2, ["evaluate", "kgqa", "GOLD", "--graph", "GRAPH", "-m", "MODEL", "-f", "x"], "unknown format 'x'"),
        (2, ["train", "kgqa", "GOLD", "--dev", "GOLD", "-f", "kgclue", "-o", "new", "-m", "MODEL"], "no graph"),
        (2, ["train", "kgqa", "-o", "new", "--graph", "GRAPH", "-m", "MODEL"], "nothing to train on"),
        (2, ["train", "kgqa", "GOLD", "-f", "kgclue", "-o", "new", "--graph", "GRAPH", "-m", "MODEL"], "no dev set"),
        (
            1,
            ["train", "kgqa", "GOLD", "--dev", "GOLD", "-f", "kgclue", "-o", "new", "--graph", "GRAPH",
             "-m", "roformer_v2:1x64", "--quiet"],
            "tokenizer of another model",
        ),
    ],
)  # fmt: skip
def test_refused(fails, graph, model, gold, tmp_path, code, args, said):
    (tmp_path / "empty.jsonl").write_text("", encoding="utf-8")
    places = {"GRAPH": graph, "MODEL": model, "GOLD": gold, "EMPTY": str(tmp_path / "empty.jsonl")}
    assert said in fails(code, *(places.get(arg, arg) for arg in args))


def test_random_weights_with_the_vocabulary_of_the_graph(nlpkit, graph, model, gold, tmp_path):
    TOKENIZER.save(tmp_path)
    backbone = f"roformer_v2:1x64:{tmp_path / 'vocab.txt'}"
    made = ("--graph", graph, "-m", backbone, "--epochs", "1", "--quiet")
    result = nlpkit("train", "kgqa", gold, "--dev", gold, "-f", "kgclue", "-o", tmp_path / "new", *made)
    assert result.exit_code == 0, result.output


def test_a_pipe(graph, model):
    command = [sys.executable, "-m", "nlpkit", "kgqa", "--graph", graph, "-m", model]
    text = "".join(f"{triple[0].partition('（')[0]}的{triple[1]}是什么？\n" for triple in TRIPLES)
    run = subprocess.run(command, input=text.encode(), capture_output=True, env=environment(), check=True)
    found = [json.loads(line) for line in run.stdout.splitlines()]
    assert len(found) == len(TRIPLES)
    assert all(triple[2] in line["answers"][0]["objects"] for triple, line in zip(TRIPLES, found, strict=True))
