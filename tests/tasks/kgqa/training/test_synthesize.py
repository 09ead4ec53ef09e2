"""Questions made from a graph."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kgqa_support import TOKENIZER, TRIPLES, make_graph, make_network

from nlpkit.core.io.records import Line
from nlpkit.errors import UsageError
from nlpkit.tasks.kgqa.data import Example
from nlpkit.tasks.kgqa.training.adapt import training_sets
from nlpkit.tasks.kgqa.training.dataset import KeyRows, find_key
from nlpkit.tasks.kgqa.training.synthesize import TEMPLATES, going_on, mined, synthesize, template

words = st.text("甲乙丙丁", min_size=1, max_size=3)


@given(st.text("请问的是谁？", max_size=4), words, words, st.text("请问的是谁？", max_size=4))
def test_a_template_gives_its_question_back(before, name, predicate, after):
    question = f"{before}{name}的{predicate}{after}"
    holed = template(question, name, predicate)
    if holed is not None:
        assert holed.count("{s}") == holed.count("{p}") == 1
        assert holed.replace("{s}", name).replace("{p}", predicate) == question
    else:
        assert name in predicate or predicate in name or question.count(name) > 1 or question.count(predicate) > 1


def test_what_gives_no_template():
    assert template("姚明的妻子是谁？", "姚明", "妻子") == "{s}的{p}是谁？"
    assert template("姚明和谁结了婚？", "姚明", "妻子") is None
    assert template("姚明{s}的妻子", "姚明", "妻子") is None
    assert template("作者的作者是谁？", "作者", "作者") is None


def test_made_questions_ask_what_the_graph_holds(tmp_path):
    triples = [*TRIPLES, ("甲（一）", "作者", "子"), ("甲（二）", "作者", "丑")]
    graph = make_graph(tmp_path / "g", triples)
    made = synthesize(graph, 100, seed=3)
    assert len(made) == 100
    assert len({(e.text, e.triple) for e in made}) == 100
    for example in made:
        assert find_key(graph, example) is not None
        assert example.name in example.text
        assert example.predicate in example.text
        assert example.name != "甲"  # either sense could answer
    assert synthesize(graph, 100, seed=3) == made
    assert synthesize(graph, 100, seed=4) != made
    everything = synthesize(make_graph(tmp_path / "one", TRIPLES[:1]), 1000, seed=3)
    assert len(everything) == len(TEMPLATES)


def test_templates_come_from_real_questions_too(tmp_path):
    line = Line("", "gold", 1)
    real = [Example("哎呀姚明的妻子到底是谁呀", "姚明", "", "妻子", "叶莉", line)]
    assert mined(real) == ["哎呀{s}的{p}到底是谁呀"]
    made = synthesize(make_graph(tmp_path / "g"), 50, seed=1, examples=real)
    assert any(example.text.startswith("哎呀") for example in made)


def test_sets(tmp_path):
    graph = str(make_graph(tmp_path / "g").folder)
    real = synthesize(make_graph(tmp_path / "h"), 5, seed=1)
    train, dev = training_sets([], [], graph, 40, seed=1)
    half = [e for e in train if e.goes_on]
    assert 0 < len(half) <= 5
    assert (len(train) - len(half), len(dev)) == (36, 4)
    assert not any(e.goes_on for e in dev)
    assert not {e.text for e in train} & {e.text for e in dev if e.triple in {t.triple for t in train}}
    train, dev = training_sets(real, real[:2], graph, 40, seed=1)
    assert (sum(not e.goes_on for e in train), len(dev)) == (45, 2)
    assert training_sets(real, real[:1], None, 40, seed=1) == (real, real[:1])
    with pytest.raises(UsageError, match="nothing to train on"):
        training_sets([], real, None, 40, seed=1)
    with pytest.raises(UsageError, match="no dev set"):
        training_sets(real, [], None, 40, seed=1)


def test_questions_that_go_on_have_a_description_in_place_of_their_subject(tmp_path):
    graph, line = make_graph(tmp_path / "g"), Line("", "gold", 1)
    real = [
        Example("姚明的老婆是谁", "姚明", "", "妻子", "叶莉", line),
        Example("《茶馆》的作者是谁", "茶馆", "", "作者", "老舍", line),  # quotes do not go round a description
        Example("请问姚明有多高", "姚明", "", "身高", "226cm", line),
    ]
    made = going_on(graph, 40, 5, real)
    assert made
    assert all(example.goes_on for example in made)
    for example in made:
        assert "茶馆》的作者" not in example.text or example.name == "茶馆"
        assert example.text.endswith(("是谁", "有多高"))
    of_real = [example for example in made if example.predicate == "妻子"]
    assert {example.text for example in of_real} == {"请问姚明的老婆有多高"}  # not one that asks for the wife's wife
    of_graph = [example for example in made if example.predicate != "妻子"]
    assert all(f"{example.name}的{example.predicate}" in example.text for example in of_graph)
    assert all(find_key(graph, example) is not None for example in of_graph)
    assert going_on(graph, 40, 5, real) == made
    assert all(example.text.count("的") >= 1 for example in going_on(graph, 10, 5))  # without real ones, too


def test_half_an_answer_is_trained_as_none(tmp_path):
    graph = make_graph(tmp_path / "g")
    example = Example("红楼梦的作者有多高", "红楼梦", "古典小说", "作者", "曹雪芹", Line("", "gold", 1), goes_on=True)
    rows = KeyRows([example], graph, TOKENIZER, 64, 4, seed=1)
    _, targets = rows(0)
    assert targets["gold"].tolist() == [-1]
    assert len(targets["rows"]) >= 2  # its facts are wrong ones
    assert len(targets["path"]) == len(targets["next"]) == 0
    assert make_network().train().loss(*rows(0)).isfinite()
