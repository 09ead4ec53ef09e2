"""Rules of a user: aliases and fixed answers."""

import pytest
from kgqa_support import make_graph

from nlpkit.core.io.records import ErrorPolicy
from nlpkit.errors import DataError
from nlpkit.tasks.kgqa.rules import read_rules, strip_punctuation


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    return make_graph(tmp_path_factory.mktemp("graph") / "g")


@pytest.fixture
def read(graph, tmp_path):
    def read_text(text, on_error=None):
        path = tmp_path / "rules.tsv"
        path.write_text(text, encoding="utf-8")
        return read_rules(str(path), graph, on_error)

    return read_text


def test_aliases_are_replaced_longest_first(read):
    rules = read("# aliases\n石头\t江\n石头记\t红楼梦\n\n大江\t长江\n")
    assert rules.replace_aliases("石头记和大江和石头") == "红楼梦和长江和江"
    assert rules.replace_aliases("茶馆的作者") == "茶馆的作者"
    assert rules.replace_aliases("") == ""


def test_an_alias_that_is_part_of_its_name_is_left_alone(read):
    assert read("长\t长江\n").replace_aliases("长江的长") == "长江的长江"


def test_fixed_answers_ignore_punctuation_and_case(read, tmp_path):
    rules = read("#\n最长的A河是哪条？\t长江\t长度\n")
    for question in ("最长的A河是哪条？", " 最长的a河, 是哪条", "最長的Ａ河是哪條"):
        answer = rules.fixed_answer(question)
        assert [fact.objects for fact in answer.facts] == [("6300公里",)]
        assert answer.location == f"{tmp_path / 'rules.tsv'}:2"
    assert rules.fixed_answer("最长的河") is None
    assert strip_punctuation(" 《红楼梦》，谁写的 ？A") == "红楼梦谁写的a"


def test_any_width_and_script(read):
    rules = read("\u200b石頭記 \t\ufeff紅樓夢\u00a0\n苹果Ｘ\tＩｐｈｏｎｅ\n最长的河？\t長江\t長度\n")
    assert rules.replace_aliases("石头记的作者是谁？") == "红楼梦的作者是谁？"
    assert rules.replace_aliases("苹果x的厂商") == "iPhone的厂商"
    assert [fact.objects for fact in rules.fixed_answer("最长的河").facts] == [("6300公里",)]


def test_invalid_rules_are_skipped_and_counted(read, tmp_path):
    messages = []
    errors = ErrorPolicy("skip", lambda error: messages.append(str(error)))
    rules = read("石头记\t红楼梦\n玉\t金玉\n大江\t长江\n？？\t长江\t长度\n多深\t长江\t深度\n", errors)
    assert errors.count == 3
    locations = [f"{tmp_path / 'rules.tsv'}:{number}" for number in (2, 4, 5)]
    assert [message.split(": ")[0] for message in messages] == locations
    assert rules.replace_aliases("大江") == "长江"


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("石头记", "alias<TAB>name or question<TAB>subject<TAB>predicate is expected"),
        ("石头记\t", "is expected"),
        ("a\tb\tc\td", "is expected"),
        ("石头记\t金瓶梅", "the graph has no name '金瓶梅'"),
        ("？？\t长江\t长度", "the question has no letter, character or digit"),
        ("有多长？\t长江\t宽度", "the graph has no '宽度' of '长江'"),
    ],
)
def test_an_invalid_rule(read, line, message):
    with pytest.raises(DataError, match=r"rules\.tsv:2: ") as error:
        read("# 1\n" + line + "\n")
    assert message in str(error.value)
