"""Questions made from a graph."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from kgqa_support import TRIPLES, make_graph

from nlpkit.core.io import Line
from nlpkit.errors import UsageError
from nlpkit.tasks.kgqa.adapt import training_sets
from nlpkit.tasks.kgqa.data import Example
from nlpkit.tasks.kgqa.dataset import find_key
from nlpkit.tasks.kgqa.synthesize import TEMPLATES, mined, synthesize, template

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
    assert (len(train), len(dev)) == (36, 4)
    assert not {e.text for e in train} & {e.text for e in dev if e.triple in {t.triple for t in train}}
    train, dev = training_sets(real, real[:2], graph, 40, seed=1)
    assert (len(train), len(dev)) == (45, 2)
    assert training_sets(real, real[:1], None, 40, seed=1) == (real, real[:1])
    with pytest.raises(UsageError, match="nothing to train on"):
        training_sets([], real, None, 40, seed=1)
    with pytest.raises(UsageError, match="no dev set"):
        training_sets(real, [], None, 40, seed=1)
