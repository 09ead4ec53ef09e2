"""The explained steps of an answer."""

import pytest

from nlpkit.errors import DataError
from nlpkit.tasks.kgqa.decoding.beam_search import beam_search
from nlpkit.tasks.kgqa.graph.prefix_tree import PrefixTree


def test_the_steps_with_a_choice(model):
    question = "长江的长度是多少？"
    (reply,) = model.predict([question])
    first, second = model.explain(question, reply)
    assert (first["after"], first["chosen"]) == ("", "长")
    assert first["allowed"] == 7  # 红 曹 南 长 江 《 iphone, the beginnings of names
    assert (second["after"], second["allowed"], second["chosen"]) == ("长江|", 2, "长")
    assert set(second["options"]) == {"长", "发"}
    assert sum(second["options"].values()) == pytest.approx(1.0, abs=1e-3)


def test_a_key_that_is_not_in_the_tree_is_damage(model, monkeypatch):
    """As after a flipped bit in a large graph."""
    question = "长江的长度是多少？"
    (reply,) = model.predict([question])
    monkeypatch.setattr(PrefixTree, "advance", lambda tree, node, token: {}[token])
    with pytest.raises(DataError, match=r"a file is damaged .*nlpkit graph info --check names it"):
        model.explain(question, reply)


@pytest.mark.parametrize("look_ahead", [False, True])
def test_the_probabilities_are_those_of_the_beam_search(model, look_ahead):
    model = model.changed(look_ahead=look_ahead)
    text = "长江的长度是多少？"
    question, (reply,) = model.question(text), model.predict([text])
    product = 1.0
    for step in model.explain(text, reply):
        product *= step["options"][step["chosen"]]
    (hypotheses,) = beam_search(model.runner, model.graph.tree, [question], len(model.graph.tree), look_ahead)
    (score,) = (h.score for h in hypotheses if h.key == reply.answers[0].key)
    assert product == pytest.approx(2.718281828**score, rel=1e-2)  # the shown probabilities are rounded
