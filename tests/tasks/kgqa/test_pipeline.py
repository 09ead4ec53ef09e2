"""From questions to replies, with a model that scores candidates by their strings alone."""

import pytest
from kgqa_support import TOKENIZER, TRIPLES, make_graph, save_model

from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.errors import ModelError
from nlpkit.tasks.kgqa.retrieval.candidates import CandidateFinder
from nlpkit.tasks.kgqa.retrieval.ranker import Ranker
from nlpkit.tasks.kgqa.task import load


def answers(model, *questions):
    return model.predict(questions)


def test_the_names_in_the_question_lead_to_the_answer(model):
    (reply,) = answers(model, "请问长江的长度是多少？")
    best = reply.answers[0]
    assert (best.subject, best.sense, best.predicate, best.objects) == ("长江", "", "长度", ("6300公里",))
    assert reply.status == "ok"
    assert best.score > 0.5
    assert [a.score for a in reply.answers] == sorted((a.score for a in reply.answers), reverse=True)
    assert sum(a.score for a in reply.answers) + reply.p_unanswerable <= 1 + 1e-9


def test_all_objects_of_a_key_and_the_sense_that_has_the_predicate(model):
    nanjing, novel = answers(model, "南京的别名是什么？", "红楼梦的作者是谁？")
    assert nanjing.answers[0].objects == ("金陵", "石头城")
    assert (novel.answers[0].subject, novel.answers[0].sense) == ("红楼梦", "古典小说")


def test_what_the_graph_does_not_hold(model):
    reply, nothing = answers(model, "长江的天气怎样？", "")
    assert reply.status == nothing.status == "not_in_graph"


def test_an_answer_does_not_depend_on_its_neighbours(model):
    questions = ["长江的长度是多少？", "红楼梦的作者是谁？", "", "南京面积", "老舍是谁？" * 10]
    for question, together in zip(questions, answers(model, *questions), strict=True):
        (alone,) = answers(model, question)
        assert alone.status == together.status
        assert [a.key for a in alone.answers] == [a.key for a in together.answers]
        assert [a.score for a in alone.answers] == pytest.approx([a.score for a in together.answers], abs=1e-5)


def test_a_long_question_is_cut_and_says_so(model):
    long, short = answers(model, "长江的长度是多少？" + "请" * 10_000, "长江的长度是多少？")
    assert long.truncated
    assert not short.truncated
    assert long.answers[0].predicate == "长度"


def test_a_name_in_other_brackets_or_case(model):
    for question, subject in (
        ("茶馆的作者是谁？", "《茶馆》"),
        ("《红楼梦》的作者是谁？", "红楼梦"),
        ("IPHONE的厂商是谁？", "iPhone"),
        ("“茶馆”的作者是谁？", "《茶馆》"),
    ):
        (reply,) = answers(model, question)
        assert reply.answers[0].subject == subject, question
        assert reply.status == "ok", question


@pytest.mark.parametrize(
    ("question", "usual"),
    [
        ("ＩＰＨＯＮＥ的厂商是谁？", "iPhone的厂商是谁？"),
        ("iphone的厂商是谁？", "iPhone的厂商是谁？"),
        ("請問長江的長度是多少？", "请问长江的长度是多少？"),
        ("紅樓夢的作者的出生地是哪裡？", "红楼梦的作者的出生地是哪里？"),
        ("《紅樓夢》電視劇的導演", "《红楼梦》电视剧的导演"),
    ],
)
def test_any_width_case_and_script_has_the_same_answers(model, question, usual):
    found, expected = answers(model, question, usual)
    assert expected.answers[0].objects
    assert found == expected


@pytest.mark.parametrize(
    ("question", "subject"),
    [
        ("曹雪斤的出生地在哪里？", None),  # too short for a substitution
        ("iPhone12的厂商是谁？", "iPhone"),
        ("IPHONEs的厂商是谁？", None),
        ("《红楼梦魇》的作者是谁？", "红楼梦"),
        ("《电视剧红楼梦》的导演是谁？", "红楼梦"),
    ],
)
def test_a_name_that_is_not_the_one_in_the_question_is_never_ok(model, question, subject):
    (reply,) = answers(model, question)
    assert reply.status != "ok"
    assert subject is None or reply.answers[0].subject == subject


def test_a_name_with_a_substituted_token_is_never_ok(kgqa_model, tmp_path):
    make_graph(tmp_path / "g.kg", [*TRIPLES, ("南京长江大江", "长度", "4589米")])
    model = load(kgqa_model, "cpu", "fp32", graph=str(tmp_path / "g.kg"))
    exact, substituted, truncated = answers(
        model, "南京长江大江的长度是多少？", "南京长安大江的长度是多少？", "南京长江大的长度是多少？"
    )
    assert (exact.status, exact.answers[0].subject) == ("ok", "南京长江大江")
    for reply in (substituted, truncated):
        assert reply.status != "ok" or reply.answers[0].subject != "南京长江大江"


def test_a_name_that_the_question_is_not_about_is_not_ok(model):
    question = "长江的长度是多少？"
    (before,) = answers(model.changed(mention=0.0), question)
    (after,) = answers(model.changed(mention=1.0), question)  # borders of an untrained model are below 1
    assert (before.status, after.status) == ("ok", "unsure")
    assert before.answers == after.answers


@pytest.mark.parametrize("question", ["", "  ", "？？？", "是什么", "请问你知道吗？", "你好"])
def test_a_question_with_nothing_in_it_has_no_answers(model, question):
    (reply,) = answers(model, question)
    assert (reply.status, reply.answers) == ("not_in_graph", ())
    assert model.explain(question, reply) == []


def test_statuses_follow_the_thresholds(model):
    question = "长江的长度是多少？"
    for threshold, absent, status in ((0.999, 0.5, "unsure"), (0.5, 0.5, "ok"), (0.5, 1e-9, "not_in_graph")):
        (reply,) = answers(model.changed(threshold=threshold, absent=absent), question)
        assert reply.status == status
        assert reply.answers[0].predicate == "长度"


def test_rules(kgqa_model, kgqa_graph, tmp_path):
    rules = tmp_path / "rules.tsv"
    rules.write_text("# aliases\n石头记\t红楼梦\n大江\t长江\n\n最长的河是哪条？\t长江\t长度\n", encoding="utf-8")
    model = load(kgqa_model, "cpu", "fp32", graph=kgqa_graph, rules=str(rules))
    alias, fixed, both = answers(model, "石头记的作者是谁？", "最长的河是哪条", "大江的发源地在哪里？")
    assert alias.answers[0].objects == ("曹雪芹",)
    assert (fixed.status, fixed.answers[0].objects, fixed.answers[0].score) == ("ok", ("6300公里",), 1.0)
    assert both.answers[0].objects == ("唐古拉山",)
    assert fixed.rule == f"{rules}:5"
    assert model.explain("最长的河是哪条", fixed) == []
    assert alias.rule == ""
    same = answers(model, "石頭記的作者是誰？", "最長的河是哪條", "大江的發源地在哪裡？")
    assert [reply.answers for reply in same] == [alias.answers, fixed.answers, both.answers]


def test_beam_search_alone(model):
    (reply,) = answers(model.changed(search="beam", beam=20), "长江的长度是多少？")
    assert len(reply.answers) == len(TRIPLES) - 1  # every key, of which one has two objects
    assert sum(a.score for a in reply.answers) == pytest.approx(1.0, abs=1e-4)


def test_a_two_hop_question(model):
    two_hops, one_hop, unanswerable = answers(
        model, "红楼梦的作者的出生地是哪里？", "红楼梦的作者是谁？", "红楼梦的作者的别名是什么？"
    )
    best = two_hops.answers[0]
    assert (best.subject, best.predicate, best.objects) == ("曹雪芹", "出生地", ("南京",))
    assert [(step.subject, step.predicate, step.objects) for step in best.path] == [("红楼梦", "作者", ("曹雪芹",))]
    assert one_hop.answers[0].path == ()
    assert all(not a.path for a in unanswerable.answers) or unanswerable.answers[0].predicate != "别名"
    assert unanswerable.status != "ok"  # the author alone is a partial answer
    (whose,) = answers(model, "红楼梦是哪位作者的？")
    assert (whose.status, whose.answers[0].predicate) == ("ok", "作者")


@pytest.mark.parametrize(
    "question", ["红楼梦作者的出生地在哪里？", "《红楼梦》的作者出生地是哪里？", "红楼梦的作者有什么出生地？"]
)
def test_two_hops_are_taken_if_they_cover_more_of_the_question(model, question):
    (reply,) = answers(model, question)
    best = reply.answers[0]
    assert [step.predicate for step in (*best.path, best)] == ["作者", "出生地"]


def test_the_mentions_of_a_question_are_found_once(model, monkeypatch):
    texts = []
    mentions = CandidateFinder.mentions
    monkeypatch.setattr(
        CandidateFinder, "mentions", lambda self, question: texts.append(question.text) or mentions(self, question)
    )
    answers(model, "红楼梦的作者的出生地是哪里？", "长江的天气怎样？")
    assert texts == ["红楼梦的作者的出生地是哪里？", "长江的天气怎样？", "曹雪芹的出生地是哪里？"]


def test_chains_that_cannot_win_are_not_ranked(model, monkeypatch):
    asked = []
    rank = Ranker.rank
    monkeypatch.setattr(
        Ranker, "rank", lambda self, questions, candidates: asked.extend(questions) or rank(self, questions, candidates)
    )
    one, two = "红楼梦的作者是谁？", "红楼梦的作者的出生地是哪里？"
    replies = answers(model, one, two)
    assert [question.text for question in asked] == [one, two, "曹雪芹的出生地是哪里？"]
    assert [len(reply.answers[0].path) for reply in replies] == [0, 1]


def test_another_tokenizer_is_refused(kgqa_graph, tmp_path):
    other = save_model(tmp_path / "other", CharTokenizer([*TOKENIZER.tokens, "麒"]))
    with pytest.raises(ModelError, match="tokenizer of another model"):
        load(other, "cpu", "fp32", graph=kgqa_graph)
