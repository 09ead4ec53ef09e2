"""Hard negatives: names similar to that of a question's subject."""

import numpy as np
import pytest
from kgqa_support import QUESTIONS, TOKENIZER, TRIPLES, make_graph

from nlpkit.core.io.records import Line
from nlpkit.tasks.kgqa.codec import Question
from nlpkit.tasks.kgqa.data import Example
from nlpkit.tasks.kgqa.graph.triples import split_subject
from nlpkit.tasks.kgqa.retrieval.candidates import CandidateFinder
from nlpkit.tasks.kgqa.training.dataset import KeyDataset
from nlpkit.tasks.kgqa.training.hard_negatives import hard_negative
from nlpkit.tasks.kgqa.training.synthesize import synthesize


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    return make_graph(tmp_path_factory.mktemp("graph") / "g")


def asked(text):
    return Question.encode(text, TOKENIZER, 64)


def distance(left, right):
    """The edit distance."""
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        previous, row[0] = row[0], i
        for j, b in enumerate(right, 1):
            previous, row[j] = row[j], min(previous + (a != b), row[j] + 1, row[j - 1] + 1)
    return row[-1]


@pytest.mark.parametrize(("text", "size"), [("红楼梦的作者是谁？", 3), ("长江有多长？", 2), ("江的读音", 1)])
def test_a_hard_negative_is_another_name_at_the_position_of_the_subject(graph, text, size):
    question, random = asked(text), np.random.default_rng(0)
    subject = CandidateFinder(graph).mentions(question, 1)[0]
    own = question.tokens[subject.start : subject.end]
    assert len(own) == size
    kinds = set()
    for _ in range(300):
        near = hard_negative(graph, question, subject, random)
        if near is None:  # a token was replaced by itself
            continue
        name = list(near.form[:-1])
        assert near.form[-1] == TOKENIZER.sep_id
        assert near.name == subject.name  # with the subject's facts
        assert name != own
        assert 1 <= distance(name, own) <= 3
        assert near.literal == (name == question.tokens[near.start : near.end])
        assert not near.literal or len(name) < size
        kinds.add((near.literal, near.end > near.start))
    assert (False, False) in kinds
    assert ((True, True) in kinds) == (size > 1)


def test_part_of_a_word_is_not_literal(graph):
    question = asked("iPhone的厂商")
    (subject,) = CandidateFinder(graph).mentions(question)
    random = np.random.default_rng(0)
    found = [hard_negative(graph, question, subject, random) for _ in range(100)]
    assert not any(near.literal for near in found if near is not None)


def test_training_examples_contain_a_hard_negative(graph):
    pairs = [(text, *split_subject(gold.split(" ||| ")[0]), *gold.split(" ||| ")[1:]) for text, gold in QUESTIONS]
    examples = [Example(*pair, Line("", "gold", 1)) for pair in pairs]
    prepared = KeyDataset(examples + synthesize(graph, 10, 1), graph, TOKENIZER, 64, 4, seed=1).examples
    finder = CandidateFinder(graph)
    found = 0
    for example, gold in zip(prepared, examples, strict=False):
        subject = next(m for m in finder.mentions(example.question) if m.columns == example.subject_columns)
        assert example.question.text[slice(*example.question.character_span(subject.start, subject.end))] == gold.name
        assert example.mention_columns[example.gold] == example.subject_columns
        assert len(example.mention_columns) == len(example.features)
        if (
            example.mention_columns[-1] != example.subject_columns or not example.masked[-1]
        ):  # the last candidate is the hard negative
            found += 1
            assert not example.masked[-1]  # it stays when the subject is removed
            assert example.gold != len(example.masked) - 1
    assert found


def test_features_of_a_name_do_not_depend_on_the_other_names(graph, tmp_path):
    question = asked("红楼梦的江和长江有什么读音？")
    small = make_graph(tmp_path / "small", [triple for triple in TRIPLES if triple[0] == "江"])
    by_graph = []
    for which in (graph, small):
        finder = CandidateFinder(which)
        mention = next(m for m in finder.mentions(question) if m.end - m.start == 1)
        by_graph.append([candidate.features for candidate in finder.candidates(question, [mention])])
    assert by_graph[0] == by_graph[1]
