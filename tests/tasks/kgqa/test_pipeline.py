"""From questions to replies, with a model that goes by the strings alone."""

import pytest
from kgqa_support import TOKENIZER, TRIPLES, make_graph, save_model

from nlpkit.core.io.records import OnError
from nlpkit.errors import DataError, ModelError
from nlpkit.tasks.kgqa.codec import Question
from nlpkit.tasks.kgqa.data import Example
from nlpkit.tasks.kgqa.rules import plain
from nlpkit.tasks.kgqa.task import load
from nlpkit.tasks.kgqa.training.calibrate import best_threshold


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kgqa")
    make_graph(folder / "g.kg")
    return save_model(folder / "model"), str(folder / "g.kg")


@pytest.fixture(scope="module")
def model(places):
    return load(places[0], "cpu", "fp32", graph=places[1])


def answers(model, *questions):
    return [prediction.answer for prediction in model.predictions(questions)]


def test_the_names_in_the_question_lead_to_the_answer(model):
    (reply,) = answers(model, "请问长江的长度是多少？")
    best = reply.answers[0]
    assert (best.subject, best.sense, best.predicate, best.objects) == ("长江", "", "长度", ("6300公里",))
    assert reply.status == "ok"
    assert best.score > 0.5
    assert [a.score for a in reply.answers] == sorted((a.score for a in reply.answers), reverse=True)
    assert sum(a.score for a in reply.answers) + reply.absent <= 1 + 1e-9


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


def test_a_name_in_other_brackets_or_case_or_with_a_slip(model):
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
        ("曹雪斤的出生地在哪里？", None),  # too short for a slip
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


def test_a_name_with_a_slip_is_answered_but_not_ok(places, tmp_path):
    make_graph(tmp_path / "g.kg", [*TRIPLES, ("南京长江大江", "长度", "4589米")])
    model = load(places[0], "cpu", "fp32", graph=str(tmp_path / "g.kg"))
    right, slip, short = answers(
        model, "南京长江大江的长度是多少？", "南京长安大江的长度是多少？", "南京长江大的长度是多少？"
    )
    assert (right.status, right.answers[0].subject) == ("ok", "南京长江大江")
    for reply in (slip, short):
        assert reply.status != "ok" or reply.answers[0].subject != "南京长江大江"


def test_a_name_that_the_question_is_not_about_is_not_ok(model):
    question = "长江的长度是多少？"
    model = model.changed(mention=0.0)
    (before,) = answers(model, question)
    model = model.changed(mention=1.0)  # the borders of an untrained model are never so sure
    (after,) = answers(model, question)
    model = model.changed(mention=0.0)
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
        model = model.changed(threshold=threshold, absent=absent)
        (reply,) = answers(model, question)
        assert reply.status == status
        assert reply.answers[0].predicate == "长度"
    model = model.changed(threshold=0.5, absent=0.5)


def test_chains(model):
    chain, plain_, dead = answers(
        model, "红楼梦的作者的出生地是哪里？", "红楼梦的作者是谁？", "红楼梦的作者的别名是什么？"
    )
    best = chain.answers[0]
    assert (best.subject, best.predicate, best.objects) == ("曹雪芹", "出生地", ("南京",))
    assert [(step.subject, step.predicate, step.objects) for step in best.path] == [("红楼梦", "作者", ("曹雪芹",))]
    assert plain_.answers[0].path == ()
    assert all(not a.path for a in dead.answers) or dead.answers[0].predicate != "别名"
    assert dead.status != "ok"  # more is asked about the author
    (whose,) = answers(model, "红楼梦是哪位作者的？")
    assert (whose.status, whose.answers[0].predicate) == ("ok", "作者")


@pytest.mark.parametrize(
    "question", ["红楼梦作者的出生地在哪里？", "《红楼梦》的作者出生地是哪里？", "红楼梦的作者有什么出生地？"]
)
def test_a_chain_is_taken_where_it_explains_more_of_the_question(model, question):
    (reply,) = answers(model, question)
    best = reply.answers[0]
    assert [step.predicate for step in (*best.path, best)] == ["作者", "出生地"]


def test_rules(places, tmp_path):
    rules = tmp_path / "rules.tsv"
    rules.write_text("# aliases\n石头记\t红楼梦\n大江\t长江\n\n最长的河是哪条？\t长江\t长度\n", encoding="utf-8")
    model = load(places[0], "cpu", "fp32", graph=places[1], rules=str(rules))
    alias, fixed, both = answers(model, "石头记的作者是谁？", "最长的河是哪条", "大江的发源地在哪里？")
    assert alias.answers[0].objects == ("曹雪芹",)
    assert (fixed.status, fixed.answers[0].objects, fixed.answers[0].score) == ("ok", ("6300公里",), 1.0)
    assert both.answers[0].objects == ("唐古拉山",)
    assert fixed.rule == f"{rules}:5"
    assert model.explain("最长的河是哪条", fixed) == []
    assert alias.rule == ""
    same = answers(model, "石頭記的作者是誰？", "最長的河是哪條", "大江的發源地在哪裡？")
    assert [reply.answers for reply in same] == [alias.answers, fixed.answers, both.answers]


def test_stale_rules_are_skipped_and_counted(places, tmp_path):
    rules = tmp_path / "rules.tsv"
    rules.write_text("石头记\t红楼梦\n玉\t金玉\n大江\t长江\n？？\t长江\t长度\n多深\t长江\t深度\n", encoding="utf-8")
    found = []
    errors = OnError("skip", lambda error: found.append(str(error)))
    model = load(places[0], "cpu", "fp32", graph=places[1], rules=str(rules), on_error=errors)
    assert errors.count == 3
    assert [place.split(": ")[0] for place in found] == [f"{rules}:{number}" for number in (2, 4, 5)]
    (alias,) = answers(model, "大江的长度是多少？")
    assert alias.answers[0].objects == ("6300公里",)


def test_rules_in_any_width_and_script(places, tmp_path):
    rules = tmp_path / "rules.tsv"
    rules.write_text(
        "\u200b石頭記 \t\ufeff紅樓夢\u00a0\n苹果Ｘ\tＩｐｈｏｎｅ\n最长的河？\t長江\t長度\n", encoding="utf-8"
    )
    model = load(places[0], "cpu", "fp32", graph=places[1], rules=str(rules))
    replies = answers(model, "石头记的作者是谁？", "苹果x的厂商", "最长的河")
    assert [reply.answers[0].objects for reply in replies] == [("曹雪芹",), ("苹果公司",), ("6300公里",)]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("石头记", "alias<TAB>name or question<TAB>subject<TAB>predicate is expected"),
        ("石头记\t", "is expected"),
        ("a\tb\tc\td", "is expected"),
        ("石头记\t金瓶梅", "the graph has no name '金瓶梅'"),
        ("有多长？\t长江\t宽度", "the graph has no '宽度' of '长江'"),
    ],
)
def test_bad_rules(places, tmp_path, line, said):
    rules = tmp_path / "rules.tsv"
    rules.write_text("# 1\n" + line + "\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"rules\.tsv:2: ") as error:
        load(places[0], "cpu", "fp32", graph=places[1], rules=str(rules))
    assert said in str(error.value)


def test_an_alias_that_is_part_of_its_name_is_left_alone(places, tmp_path):
    rules = tmp_path / "rules.tsv"
    rules.write_text("长\t长江\n", encoding="utf-8")
    model = load(places[0], "cpu", "fp32", graph=places[1], rules=str(rules))
    renamed = model.task.rules.renamed
    assert renamed("长江的长") == "长江的长江"
    assert plain(" 《红楼梦》，谁写的 ？A") == "红楼梦谁写的a"


def test_beam_search_alone(model):
    model = model.changed(search="beam", beam=20)
    (reply,) = answers(model, "长江的长度是多少？")
    assert len(reply.answers) == len(TRIPLES) - 1  # every key, of which one has two objects
    assert sum(a.score for a in reply.answers) == pytest.approx(1.0, abs=1e-4)
    model = model.changed(search="both", beam=3)


def test_explained(model):
    question = "长江的长度是多少？"
    (reply,) = answers(model, question)
    first, second = model.explain(question, reply)
    assert (first["after"], first["chosen"]) == ("", "长")
    assert first["allowed"] == 7  # 红 曹 南 长 江 《 iphone, the beginnings of names
    assert (second["after"], second["allowed"], second["chosen"]) == ("长江|", 2, "长")
    assert set(second["options"]) == {"长", "发"}
    assert sum(second["options"].values()) == pytest.approx(1.0, abs=1e-3)


def test_another_tokenizer_is_refused(places, tmp_path):
    from nlpkit.core.text.tokenizer import CharTokenizer

    other = save_model(tmp_path / "other", CharTokenizer([*TOKENIZER.tokens, "麒"]))
    with pytest.raises(ModelError, match="tokenizer of another model"):
        load(other, "cpu", "fp32", graph=places[1])


def test_thresholds_are_found_on_dev(model):
    line = None
    examples = [
        Example("长江的长度是多少？", "长江", "", "长度", "6300公里", line),
        Example("长江有多么长？", "长江", "", "发源地", "唐古拉山", line),  # will be answered wrongly
        Example("南京的面积", "南京", "", "面积", "6587平方千米", line),
    ]
    tuned = model.changed(**model.calibrate(examples))
    ranked = model.ranked([Question.of(e.text, TOKENIZER, 64) for e in examples])
    best = [r.probabilities(tuned.settings.temperature)[0].max() for r in ranked]
    assert best[1] < tuned.settings.threshold <= min(best[0], best[2])
    assert tuned.graph is model.graph
    assert best_threshold([0.9, 0.8], [0.1, 0.3]) > 0.3
    assert best_threshold([], [0.1]) == 0.5
