"""Synthesize training questions from the triples of a graph, by templates.

Templates are those below, and those mined from real questions that contain their subject and predicate once each.

    to_template("请问姚明的妻子是谁？", "姚明", "妻子") == "请问{s}的{p}是谁？"

Two-hop questions are made of two questions: a description of an object replaces the subject of the second question. The
fact of the description is a partial answer.

    姚明的老婆是谁？ + 长江的长度是多少？ -> 姚明的老婆的长度是多少？
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from nlpkit.core.io.records import Line
from nlpkit.errors import DataError, UsageError
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
DESCRIPTION = re.compile("的[^是在有叫为几哪什谁多，,？?]{1,8}(?=[是在有叫为])")  # after the subject
QUOTES = "《“「『\"'（("
MINED_FRACTION = 0.8  # of the questions use a mined template, if there are any
MAX_DRAWS = 20  # per question; a small or ambiguous graph gives fewer questions
TWO_HOP_FRACTION = 0.125  # two-hop questions, as a fraction of the others; more of them cost correct answers
DEV_FRACTION, MAX_DEV = 0.1, 1000  # synthetic questions held out for dev if there is no other dev set


def to_template(question: str, name: str, predicate: str) -> str | None:
    """Return a question with placeholders; None unless it contains name and predicate once each, not overlapping."""
    if "{" in question or "}" in question or question.count(name) != 1:
        return None
    without_name = question.replace(name, "\0")
    if predicate == name or without_name.count(predicate) != 1:
        return None
    return without_name.replace(predicate, "{p}").replace("\0", "{s}")


def mine_templates(examples: Sequence[Example]) -> list[str]:
    """Return the templates of real questions, repeated as often as they occur."""
    templates = (to_template(example.text, example.name, example.predicate) for example in examples)
    return [template for template in templates if template is not None]


def synthesize(graph: Graph, count: int, seed: int, examples: Sequence[Example] = ()) -> list[Example]:
    """Return questions about random triples of a graph; fewer than `count` if the graph is too small.

    Triples whose name and predicate belong to several senses are not used, because their questions are ambiguous.

    Args:
        graph: graph.
        count: number of questions.
        seed: random seed.
        examples: real questions to mine templates from.
    """
    random = np.random.default_rng([seed, count])
    templates = mine_templates(examples)
    questions: dict[tuple[int, str], Example] = {}
    for _ in range(count * MAX_DRAWS if len(graph.tree) else 0):
        if len(questions) >= count:
            break
        key = int(random.integers(len(graph.tree)))
        pool: Sequence[str] = templates if templates and random.random() < MINED_FRACTION else TEMPLATES
        template = pool[int(random.integers(len(pool)))]
        if (key, template) in questions or _ambiguous(graph, key):
            continue
        fact = graph.facts(key)[0]
        text = template.replace("{s}", fact.subject).replace("{p}", fact.predicate.replace(" ", ""))
        line = Line(text, str(graph.folder), key)
        questions[key, template] = Example(text, fact.subject, fact.sense, fact.predicate, fact.objects[0], line)
    return list(questions.values())


def synthesize_two_hop(graph: Graph, count: int, seed: int, examples: Sequence[Example] = ()) -> list[Example]:
    """Return two-hop questions, each with the fact of its first hop (`Example.needs_second_hop`).

    The subject of one question is replaced by a description of the object of a fact. Half of the descriptions are the
    fact's subject and predicate, half are taken from real questions, if there are any.

    Args:
        graph: graph.
        count: number of questions.
        seed: random seed.
        examples: real questions.
    """
    random = np.random.default_rng([seed, count, 1])
    seconds = [example for example in examples if _is_replaceable(example)] or synthesize(graph, count, seed)
    facts = synthesize(graph, count, seed + 1)
    descriptions = [(text, example) for example in examples for text in _descriptions(example)]
    questions: list[Example] = []
    for index in range(count if seconds and facts else 0):
        second = seconds[int(random.integers(len(seconds)))]
        first = facts[int(random.integers(len(facts)))]
        description = f"{first.name}的{first.predicate}"
        if descriptions and index % 2:
            description, first = descriptions[int(random.integers(len(descriptions)))]
        if first.predicate != second.predicate:
            text = second.text.replace(second.name, description)
            line = Line(text, str(graph.folder), index)
            questions.append(replace(first, text=text, line=line, needs_second_hop=True))
    return questions


def training_sets(
    train: Sequence[Example], dev: Sequence[Example], graph: str | None, count: int, seed: int
) -> tuple[list[Example], list[Example]]:
    """Return (training, dev) sets with synthetic questions of a graph.

    Args:
        train: real questions; templates are mined from them.
        dev: real questions; if there are none, some synthetic ones are held out.
        graph: folder of the graph for synthetic questions; None for no synthetic questions.
        count: number of synthetic questions.
        seed: random seed.

    Raises:
        DataError: the graph has too few triples.
        UsageError: there are no training questions or no dev set.
    """
    if graph is None:
        if not train:
            raise UsageError("nothing to train on; name files, or make questions from a graph with --synthesize")
        if not dev:
            raise UsageError("no dev set; name one with --dev")
        return list(train), list(dev)
    opened = Graph.open(graph)
    synthetic = synthesize(opened, count, seed, train)
    if len(synthetic) < 2:
        raise DataError("has too few triples to make questions from", graph)
    held_out = 0 if dev else max(1, min(MAX_DEV, int(len(synthetic) * DEV_FRACTION)))
    two_hop = synthesize_two_hop(opened, int(count * TWO_HOP_FRACTION), seed, train)
    return [*train, *synthetic[held_out:], *two_hop], [*dev, *synthetic[:held_out]]


def _is_replaceable(example: Example) -> bool:
    """Return whether the question contains its subject once, and not in quotes."""
    before, name, _ = example.text.partition(example.name)
    return bool(name) and example.text.count(name) == 1 and not before.endswith(tuple(QUOTES))


def _descriptions(example: Example) -> Iterator[str]:
    """Yield the description of the object at the beginning of a question, if any: 姚明的老婆 in 姚明的老婆是谁？"""
    if example.text.startswith(example.name):
        match = DESCRIPTION.match(example.text, len(example.name))
        if match:
            yield example.text[: match.end()]


def _ambiguous(graph: Graph, key: int) -> bool:
    """Return whether another sense of the name has the same predicate."""
    name, predicate, _ = graph.tree.components(key)
    lo, hi = graph.tree.keys(graph.tree.subject(name))
    return int((graph.tree.key_predicates[lo:hi] == predicate).sum()) > 1
