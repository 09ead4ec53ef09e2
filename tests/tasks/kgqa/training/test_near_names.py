"""Names near that of a question's subject: for training, and for the thresholds."""

import numpy as np
import pytest
from kgqa_support import QUESTIONS, TOKENIZER, TRIPLES, make_graph

from nlpkit.core.io.records import Line
from nlpkit.tasks.kgqa.codec import Question
from nlpkit.tasks.kgqa.data import Example
from nlpkit.tasks.kgqa.graph.triples import split_subject
from nlpkit.tasks.kgqa.retrieval.candidates import Candidates, columns
from nlpkit.tasks.kgqa.training.dataset import KeyRows
from nlpkit.tasks.kgqa.training.near_names import near_mention
from nlpkit.tasks.kgqa.training.synthesize import synthesize


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    return make_graph(tmp_path_factory.mktemp("graph") / "g")


def asked(text):
    return Question.of(text, TOKENIZER, 64)


def distance(left, right):
    """The edit distance."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            previous, row[j] = row[j], min(previous + (a != b), row[j] + 1, row[j - 1] + 1)
    return row[-1]


@pytest.mark.parametrize(("text", "size"), [("红楼梦的作者是谁？", 3), ("长江有多长？", 2), ("江的读音", 1)])
def test_a_near_name_is_another_one_in_the_place_of_the_subject(graph, text, size):
    question, random = asked(text), np.random.default_rng(0)
    subject = Candidates(graph).mentions(question, 1)[0]
    own = question.units[subject.start : subject.end]
    assert len(own) == size
    kinds = set()
    for _ in range(300):
        near = near_mention(graph, question, subject, random)
        if near is None:  # a token was replaced by itself
            continue
        name = list(near.form[:-1])
        assert near.form[-1] == TOKENIZER.sep_id
        assert near.name == subject.name  # with the subject's facts
        assert name != own
        assert 1 <= distance(name, own) <= 3
        assert near.literal == (name == question.units[near.start : near.end])
        assert not near.literal or len(name) < size
        kinds.add((near.literal, near.end > near.start))
    assert (False, False) in kinds
    assert ((True, True) in kinds) == (size > 1)


def test_part_of_a_word_is_not_literal(graph):
    question = asked("iPhone的厂商")
    (subject,) = Candidates(graph).mentions(question)
    random = np.random.default_rng(0)
    found = [near_mention(graph, question, subject, random) for _ in range(100)]
    assert not any(near.literal for near in found if near is not None)


def test_training_rows_hold_a_near_name_that_is_never_right(graph):
    pairs = [(text, *split_subject(gold.split(" ||| ")[0]), *gold.split(" ||| ")[1:]) for text, gold in QUESTIONS]
    examples = [Example(*pair, Line("", "gold", 1)) for pair in pairs]
    rows = KeyRows(examples + synthesize(graph, 10, 1), graph, TOKENIZER, 64, 4, seed=1).rows
    finder = Candidates(graph)
    found = 0
    for row, example in zip(rows, examples, strict=False):
        subject = next(m for m in finder.mentions(row.question) if columns(m) == row.span)
        assert row.question.text[slice(*row.question.characters(subject.start, subject.end))] == example.name
        assert row.mentions[row.gold] == row.span
        assert len(row.mentions) == len(row.features)
        if row.mentions[-1] != row.span or not row.hidden[-1]:  # the last candidate has the near name
            found += 1
            assert not row.hidden[-1]  # it stays where the subject is taken away
            assert row.gold != len(row.hidden) - 1
    assert found


def test_what_is_said_of_a_name_does_not_depend_on_the_other_names(graph, tmp_path):
    question = asked("红楼梦的江和长江有什么读音？")
    small = make_graph(tmp_path / "small", [triple for triple in TRIPLES if triple[0] == "江"])
    by_graph = []
    for which in (graph, small):
        finder = Candidates(which)
        mention = next(m for m in finder.mentions(question) if m.end - m.start == 1)
        by_graph.append([candidate.features for candidate in finder.of(question, [mention])])
    assert by_graph[0] == by_graph[1]
