"""Fuzzy lookup of names: brackets, truncation and one substituted token."""

import random

import pytest
from kgqa_support import TOKENIZER, TRIPLES, make_graph

from nlpkit.tasks.kgqa.codec import Question
from nlpkit.tasks.kgqa.retrieval.fuzzy_names import MIN_MATCHED, MIN_TOKENS, FuzzyNameFinder

MORE = (
    ("江西省", "省会", "南昌"),
    ("广西壮族自治区", "首府", "南宁"),
    *((f"南京{letter}站", "别名", "站") for letter in "的是谁什么请问在哪里"),
)
LETTERS = "红楼梦作者长江"


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    return make_graph(tmp_path_factory.mktemp("graph") / "g", [*TRIPLES, *MORE])


def question(text):
    return Question.encode(text, TOKENIZER, 64)


def names(graph, mentions):
    return [graph.names.surface_forms(mention.name)[0] for mention in mentions]


@pytest.mark.parametrize(
    ("text", "name", "span"),
    [
        ("茶馆的作者是谁？", "《茶馆》", (0, 2)),
        ("请问《红楼》梦的作者是谁？", "红楼梦", (3, 7)),
        ("IPHONE的厂商", "iPhone", (0, 6)),
        ("江西的省会是哪座城？", "江西省", (0, 2)),
        ("请问广西的首府", "广西壮族自治区", (2, 4)),
        ("广西壮x自治区在哪里", "广西壮族自治区", (0, 7)),
    ],
)
def test_names_that_differ_a_little(graph, text, name, span):
    mentions = FuzzyNameFinder(graph.tree, TOKENIZER).mentions(question(text), 5)
    found = dict(zip(names(graph, mentions), mentions, strict=True))
    assert name in found
    assert (found[name].start, found[name].end) == span


def test_names_that_differ_too_much(graph):
    finder = FuzzyNameFinder(graph.tree, TOKENIZER)
    assert "长江" not in names(graph, finder.mentions(question("长河有多长？"), 9))  # too short for a substitution
    assert names(graph, finder.mentions(question("南京x"), 9)) == ["南京"]  # too many names begin so
    assert finder.mentions(question(""), 9) == []


def brute_force(name, tokens):
    """Return every (end, whether inexact) at which a name matches from the first token, by the rules of the module."""
    ends = set()
    for end in range(1, len(tokens) + 1):
        if end == len(name) and sum(a != b for a, b in zip(name, tokens, strict=False)) <= 1:
            wrong = next((i for i, (a, b) in enumerate(zip(name, tokens, strict=False)) if a != b), None)
            if wrong is None:
                ends.add((end, False))
            elif wrong >= MIN_MATCHED and len(name) >= MIN_TOKENS:
                ends.add((end, True))
        if (
            MIN_MATCHED <= end < len(name)
            and name[:end] == tokens[:end]
            and tokens[end : end + 1] not in ([], [name[end]])
        ):
            ends.add((end, True))  # truncated
    return ends


@pytest.mark.parametrize("seed", range(8))
def test_against_brute_force(tmp_path, seed):
    """One name per graph, without ignored characters."""
    chance = random.Random(seed)
    words = {"".join(chance.choices(LETTERS, k=chance.randint(1, 6))) for _ in range(6)}
    for word in sorted(words):
        graph = make_graph(tmp_path / f"{seed}-{word}", [(word, "作者", "x")])
        finder, name = FuzzyNameFinder(graph.tree, TOKENIZER, max_branches=1000), TOKENIZER.encode(word).ids
        changed = list(word)
        changed[chance.randrange(len(word))] = chance.choice(LETTERS)
        for text in (word, word[:-1], "".join(changed), "".join(changed) + "的", "".join(chance.choices(LETTERS, k=8))):
            tokens = question(text).tokens
            expected = {
                (start, start + end, inexact)
                for start in range(len(tokens))
                for end, inexact in brute_force(name, tokens[start:])
            }
            mentions = finder.mentions(question(text), 9)
            assert bool(mentions) == bool(expected), (word, text)
            if mentions:
                (mention,) = mentions
                best = min(expected, key=lambda match: (match[2], match[0] - match[1], match[0]))
                assert (mention.start, mention.end, not mention.literal) == best, (word, text)
