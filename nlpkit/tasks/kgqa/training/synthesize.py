"""Questions made from a graph's own triples by templates: a user's graph is known, its questions are not.

Templates are those below and those that real questions give: a question in which its subject and its predicate stand
once is a template with two holes.

    template("请问姚明的妻子是谁？", "姚明", "妻子") == "请问{s}的{p}是谁？"

And questions that go on, of which no fact answers more than a half: one with a description in place of its subject.

    姚明的老婆是谁？ + 长江的长度是多少？ -> 姚明的老婆的长度是多少？
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from nlpkit.core.io.records import Line
from nlpkit.tasks.kgqa.data import Example
from nlpkit.tasks.kgqa.graph.graph import Graph

TEMPLATES = (
    "{s}的{p}是什么？", "{s}的{p}是什么", "请问{s}的{p}是什么？", "你知道{s}的{p}是什么吗？", "{s}的{p}是？",
    "{s}的{p}是谁？", "请问{s}的{p}是谁？", "谁是{s}的{p}？", "你知道谁是{s}的{p}吗？", "{s}的{p}是哪里？",
    "{s}的{p}在哪里？", "{s}的{p}是哪个？", "{s}的{p}有哪些？", "{s}有哪些{p}？", "{s}有什么{p}？",
    "{s}的{p}是多少？", "我想知道{s}的{p}", "我想知道{s}的{p}是什么。", "告诉我{s}的{p}", "有人知道{s}的{p}吗？",
    "{s}{p}是什么？", "{s}{p}", "{s}的{p}", "什么是{s}的{p}？", "{s}是什么{p}？", "{s}属于什么{p}？",
    "查一下{s}的{p}", "《{s}》的{p}是什么？", "《{s}》的{p}是谁？", "“{s}”的{p}是什么？",
)  # fmt: skip
DESCRIPTION = re.compile("的[^是在有叫为几哪什谁多，,？?]{1,8}(?=[是在有叫为])")  # what a real question begins with
QUOTES = "《“「『\"'（("
MINED_SHARE = 0.8  # of the questions, where templates were mined at all
TRIES = 20  # draws for each question before a graph is given up as too small or too ambiguous


def template(question: str, name: str, predicate: str) -> str | None:
    """The question with holes, if name and predicate stand in it once each and apart."""
    if "{" in question or "}" in question or question.count(name) != 1:
        return None
    holed = question.replace(name, "\0")
    if predicate == name or holed.count(predicate) != 1:
        return None
    return holed.replace(predicate, "{p}").replace("\0", "{s}")


def mined(examples: Sequence[Example]) -> list[str]:
    """The templates of real questions, as often as they occur."""
    found = (template(example.text, example.name, example.predicate) for example in examples)
    return [text for text in found if text is not None]


def synthesize(graph: Graph, count: int, seed: int, examples: Sequence[Example] = ()) -> list[Example]:
    """Questions about triples of a graph, drawn at random; fewer where the graph has no more to ask about.

    Of a name with several senses nothing is asked that more than one of them could answer.

    Args:
        graph: any.
        count: how many.
        seed: of the draws.
        examples: real questions to mine templates from.
    """
    random = np.random.default_rng([seed, count])
    templates = mined(examples)
    asked: dict[tuple[int, str], Example] = {}
    for _ in range(count * TRIES if len(graph.tree) else 0):
        if len(asked) >= count:
            break
        key = int(random.integers(len(graph.tree)))
        pool: Sequence[str] = templates if templates and random.random() < MINED_SHARE else TEMPLATES
        pattern = pool[int(random.integers(len(pool)))]
        if (key, pattern) in asked or _ambiguous(graph, key):
            continue
        fact = graph.facts(key)[0]
        text = pattern.replace("{s}", fact.subject).replace("{p}", fact.predicate.replace(" ", ""))
        line = Line(text, str(graph.folder), key)
        asked[key, pattern] = Example(text, fact.subject, fact.sense, fact.predicate, fact.objects[0], line)
    return list(asked.values())


def going_on(graph: Graph, count: int, seed: int, examples: Sequence[Example] = ()) -> list[Example]:
    """Questions about what a fact leads to, each with that fact, which answers but half of it (`Example.goes_on`).

    The subject of one question is replaced by a description of the object of a fact: half of them the fact's own words,
    half those of a real question, as far as there are any.

    Args:
        graph: any.
        count: how many.
        seed: of the draws.
        examples: real questions.
    """
    random = np.random.default_rng([seed, count, 1])
    asked = [example for example in examples if _replaceable(example)] or synthesize(graph, count, seed)
    facts = synthesize(graph, count, seed + 1)
    described = [(text, example) for example in examples for text in _description(example)]
    made: list[Example] = []
    for index in range(count if asked and facts else 0):
        second = asked[int(random.integers(len(asked)))]
        first = facts[int(random.integers(len(facts)))]
        text = f"{first.name}的{first.predicate}"
        if described and index % 2:
            text, first = described[int(random.integers(len(described)))]
        if first.predicate != second.predicate:
            whole = second.text.replace(second.name, text)
            made.append(replace(first, text=whole, line=Line(whole, str(graph.folder), index), goes_on=True))
    return made


def _replaceable(example: Example) -> bool:
    """Whether its subject stands there once, and not in quotes."""
    before, name, _ = example.text.partition(example.name)
    return bool(name) and example.text.count(name) == 1 and not before.endswith(tuple(QUOTES))


def _description(example: Example) -> Iterator[str]:
    """What stands for the object of its triple, if it begins with that: 姚明的老婆 in 姚明的老婆是谁？"""
    if example.text.startswith(example.name):
        found = DESCRIPTION.match(example.text, len(example.name))
        if found:
            yield example.text[: found.end()]


def _ambiguous(graph: Graph, key: int) -> bool:
    """Whether another sense of the name has the predicate, too."""
    name, predicate, _ = graph.tree.components(key)
    lo, hi = graph.tree.keys(graph.tree.subject(name))
    return int((graph.tree.key_predicates[lo:hi] == predicate).sum()) > 1
