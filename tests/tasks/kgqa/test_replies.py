"""Answers and statuses from rankings, hypotheses and rules."""

import math

import numpy as np
import pytest
from kgqa_support import TOKENIZER, make_graph

from nlpkit.tasks.kgqa.codec import Question
from nlpkit.tasks.kgqa.data import Answer, Reply
from nlpkit.tasks.kgqa.decoding.beam_state import Hypothesis
from nlpkit.tasks.kgqa.multi_hop import find_chains
from nlpkit.tasks.kgqa.replies import (
    MAX_ANSWERS,
    reply_from_hypotheses,
    reply_from_ranking,
    reply_without_model,
    with_partial_status,
    with_second_hop,
)
from nlpkit.tasks.kgqa.retrieval.candidates import CandidateFinder
from nlpkit.tasks.kgqa.retrieval.ranker import Ranking
from nlpkit.tasks.kgqa.rules import FixedAnswer, Rules
from nlpkit.tasks.kgqa.settings import KgqaSettings

SETTINGS = KgqaSettings(threshold=0.5, mention=0.2, absent=0.6)


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    return make_graph(tmp_path_factory.mktemp("graph") / "g")


def question(text):
    return Question.encode(text, TOKENIZER, 64)


def ranking_of(graph, text, logits, border=1.0):
    """A ranking of the first candidates of a question with these logits."""
    finder, asked = CandidateFinder(graph), question(text)
    candidates = finder.candidates(asked, finder.mentions(asked))[: len(logits)]
    return Ranking(asked, candidates, np.array(logits), np.full(len(candidates), border))


@pytest.mark.parametrize(
    ("logits", "border", "status"),
    [
        ([3.0, 0.0], 1.0, "ok"),
        ([3.0, 0.0], 0.1, "unsure"),  # the name is probably not the subject
        ([0.2, 0.1], 1.0, "unsure"),  # below the threshold
        ([-1.0, -2.0], 1.0, "not_in_graph"),
        ([], 1.0, "not_in_graph"),
    ],
)
def test_the_status_of_a_ranking(graph, logits, border, status):
    reply = reply_from_ranking(ranking_of(graph, "红楼梦的作者是谁？", logits, border), graph, SETTINGS)
    assert reply.status == status
    total = sum(map(math.exp, logits)) + 1
    assert reply.p_unanswerable == pytest.approx(1 / total)
    assert [answer.score for answer in reply.answers] == pytest.approx([math.exp(x) / total for x in logits])


def test_a_name_that_is_part_of_a_title_is_not_ok(graph):
    assert reply_from_ranking(ranking_of(graph, "《新红楼梦》的作者", [3.0, 0.0]), graph, SETTINGS).status == "unsure"


def test_improbable_answers_are_left_out_and_ties_keep_their_order(graph):
    reply = reply_from_ranking(ranking_of(graph, "红楼梦和长江和曹雪芹", [1.0, 9.0, 1.0, -9.0]), graph, SETTINGS)
    assert len(reply.answers) == 1
    tied = reply_from_ranking(ranking_of(graph, "红楼梦和长江和曹雪芹", [1.0] * 7), graph, SETTINGS)
    keys = [answer.key for answer in tied.answers]
    assert keys == [c.key for c in ranking_of(graph, "红楼梦和长江和曹雪芹", [1.0] * 7).candidates[:MAX_ANSWERS]]


def test_the_status_of_generated_keys(graph):
    asked = question("长江的长度是多少？")
    likely = [Hypothesis(0, math.log(0.7)), Hypothesis(1, math.log(0.2))]
    name = graph.tree.name_of(0)
    reply = reply_from_hypotheses(asked, likely, lambda form: form == name, graph, SETTINGS)
    assert (reply.status, reply.p_unanswerable) == ("ok", pytest.approx(0.3))
    assert reply_from_hypotheses(asked, likely, lambda form: False, graph, SETTINGS).status == "unsure"
    assert reply_from_hypotheses(asked, likely[1:], lambda form: True, graph, SETTINGS).status == "unsure"
    assert reply_from_hypotheses(asked, [], lambda form: True, graph, SETTINGS).status == "not_in_graph"


def test_replies_without_the_model(graph):
    rules = Rules(fixed={"最长的河": FixedAnswer(tuple(graph.find("长江", "长度")), "rules.tsv:3")})
    fixed = reply_without_model("最长的河？", rules)
    assert (fixed.status, fixed.answers[0].objects, fixed.rule) == ("ok", ("6300公里",), "rules.tsv:3")
    empty = reply_without_model("请问？", rules)
    assert (empty.status, empty.answers, empty.p_unanswerable) == ("not_in_graph", (), 1.0)
    assert reply_without_model("长江的长度", rules) is None


def reply(status, score, predicate, path=()):
    return Reply(status, (Answer("曹雪芹", "", predicate, ("x",), score, path),))


def test_the_better_of_one_and_two_hops(graph):
    asked = question("红楼梦的作者的出生地是哪里？")
    (chain, *_) = find_chains(graph, asked, CandidateFinder(graph).mentions(asked), None)
    single = reply("ok", 0.9, "作者")
    second = reply("ok", 0.6, "出生地")
    combined = with_second_hop(single, chain, second, asked)
    assert combined.answers[0].path == (chain.first,)
    assert combined.answers[0].predicate == "出生地"
    assert with_second_hop(single, chain, reply("unsure", 0.6, "出生地"), asked) is single
    assert with_second_hop(single, chain, reply("not_in_graph", 0.6, "出生地"), asked) is single
    assert with_second_hop(Reply("not_in_graph"), chain, reply("unsure", 0.1, "出生地"), asked).answers[0].path
    other = reply("ok", 0.7, "出生地", (chain.first,))  # of another chain: the score decides
    assert with_second_hop(other, chain, second, asked) is other
    assert with_second_hop(other, chain, reply("unsure", 0.8, "出生地"), asked) is not other


def test_a_partial_answer_is_unsure(graph):
    asked = question("曹雪芹的作者的别名是什么？")
    assert with_partial_status(reply("ok", 0.9, "作者"), asked).status == "unsure"
    assert with_partial_status(reply("ok", 0.9, "别名"), asked).status == "ok"
    assert with_partial_status(reply("not_in_graph", 0.9, "作者"), asked).status == "not_in_graph"
