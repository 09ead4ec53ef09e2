"""Questions questions from a graph."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kgqa_support import TOKENIZER, TRIPLES, make_graph, make_network

from nlpkit.core.io.records import Line
from nlpkit.errors import UsageError
from nlpkit.tasks.kgqa.data import Example
from nlpkit.tasks.kgqa.training.dataset import KeyDataset
from nlpkit.tasks.kgqa.training.synthesize import (
    TEMPLATES,
    mine_templates,
    synthesize,
    synthesize_two_hop,
    to_template,
    training_sets,
)

words = st.text("甲乙丙丁", min_size=1, max_size=3)


@given(st.text("请问的是谁？", max_size=4), words, words, st.text("请问的是谁？", max_size=4))
def test_a_template_gives_its_question_back(before, name, predicate, after):
    question = f"{before}{name}的{predicate}{after}"
    holed = to_template(question, name, predicate)
    if holed is not None:
        assert holed.count("{s}") == holed.count("{p}") == 1
        assert holed.replace("{s}", name).replace("{p}", predicate) == question
    else:
        assert name in predicate or predicate in name or question.count(name) > 1 or question.count(predicate) > 1


def test_questions_without_a_template():
    assert to_template("姚明的妻子是谁？", "姚明", "妻子") == "{s}的{p}是谁？"
    assert to_template("姚明和谁结了婚？", "姚明", "妻子") is None
    assert to_template("姚明{s}的妻子", "姚明", "妻子") is None
    assert to_template("作者的作者是谁？", "作者", "作者") is None


def test_made_questions_ask_what_the_graph_holds(tmp_path):
    triples = [*TRIPLES, ("甲（一）", "作者", "子"), ("甲（二）", "作者", "丑")]
    graph = make_graph(tmp_path / "g", triples)
    questions = synthesize(graph, 100, seed=3)
    assert len(questions) == 100
    assert len({(e.text, e.triple) for e in questions}) == 100
    for example in questions:
        assert example.find_key(graph) is not None
        assert example.name in example.text
        assert example.predicate in example.text
        assert example.name != "甲"  # either sense could answer
    assert synthesize(graph, 100, seed=3) == questions
    assert synthesize(graph, 100, seed=4) != questions
    everything = synthesize(make_graph(tmp_path / "one", TRIPLES[:1]), 1000, seed=3)
    assert len(everything) == len(TEMPLATES)


def test_templates_come_from_real_questions_too(tmp_path):
    line = Line("", "gold", 1)
    real = [Example("哎呀姚明的妻子到底是谁呀", "姚明", "", "妻子", "叶莉", line)]
    assert mine_templates(real) == ["哎呀{s}的{p}到底是谁呀"]
    questions = synthesize(make_graph(tmp_path / "g"), 50, seed=1, examples=real)
    assert any(example.text.startswith("哎呀") for example in questions)


def test_sets(tmp_path):
    graph = str(make_graph(tmp_path / "g").folder)
    real = synthesize(make_graph(tmp_path / "h"), 5, seed=1)
    train, dev = training_sets([], [], graph, 40, seed=1)
    half = [e for e in train if e.needs_second_hop]
    assert 0 < len(half) <= 5
    assert (len(train) - len(half), len(dev)) == (36, 4)
    assert not any(e.needs_second_hop for e in dev)
    assert not {e.text for e in train} & {e.text for e in dev if e.triple in {t.triple for t in train}}
    train, dev = training_sets(real, real[:2], graph, 40, seed=1)
    assert (sum(not e.needs_second_hop for e in train), len(dev)) == (45, 2)
    assert training_sets(real, real[:1], None, 40, seed=1) == (real, real[:1])
    with pytest.raises(UsageError, match="nothing to train on"):
        training_sets([], real, None, 40, seed=1)
    with pytest.raises(UsageError, match="no dev set"):
        training_sets(real, [], None, 40, seed=1)


def test_two_hop_questions_have_a_description_in_place_of_their_subject(tmp_path):
    graph, line = make_graph(tmp_path / "g"), Line("", "gold", 1)
    real = [
        Example("姚明的老婆是谁", "姚明", "", "妻子", "叶莉", line),
        Example("《茶馆》的作者是谁", "茶馆", "", "作者", "老舍", line),  # quotes do not go round a description
        Example("请问姚明有多高", "姚明", "", "身高", "226cm", line),
    ]
    questions = synthesize_two_hop(graph, 40, 5, real)
    assert questions
    assert all(example.needs_second_hop for example in questions)
    for example in questions:
        assert "茶馆》的作者" not in example.text or example.name == "茶馆"
        assert example.text.endswith(("是谁", "有多高"))
    of_real = [example for example in questions if example.predicate == "妻子"]
    assert {example.text for example in of_real} == {"请问姚明的老婆有多高"}  # not one that asks for the wife's wife
    of_graph = [example for example in questions if example.predicate != "妻子"]
    assert all(f"{example.name}的{example.predicate}" in example.text for example in of_graph)
    assert all(example.find_key(graph) is not None for example in of_graph)
    assert synthesize_two_hop(graph, 40, 5, real) == questions
    assert all(example.text.count("的") >= 1 for example in synthesize_two_hop(graph, 10, 5))  # without real ones, too


def test_a_partial_answer_is_trained_as_unanswerable(tmp_path):
    graph = make_graph(tmp_path / "g")
    example = Example(
        "红楼梦的作者有多高", "红楼梦", "古典小说", "作者", "曹雪芹", Line("", "gold", 1), needs_second_hop=True
    )
    dataset = KeyDataset([example], graph, TOKENIZER, 64, 4, seed=1)
    _, targets = dataset(0)
    assert targets["gold"].tolist() == [-1]
    assert len(targets["question_ids"]) >= 2  # its facts are negatives
    assert len(targets["path"]) == len(targets["next_tokens"]) == 0
    assert make_network().train().loss(*dataset(0)).isfinite()
