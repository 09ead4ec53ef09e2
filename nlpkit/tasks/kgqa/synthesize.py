"""Questions made from a graph's own triples by templates: a user's graph is known, its questions are not.

Templates are those below and those that real questions give: a question in which its subject and its predicate stand
once is a template with two holes.

    template("请问姚明的妻子是谁？", "姚明", "妻子") == "请问{s}的{p}是谁？"
"""

from collections.abc import Sequence

import numpy as np

from nlpkit.core.io import Line
from nlpkit.tasks.kgqa.data import Example
from nlpkit.tasks.kgqa.graph import Graph

TEMPLATES = (
    "{s}的{p}是什么？", "{s}的{p}是什么", "请问{s}的{p}是什么？", "你知道{s}的{p}是什么吗？", "{s}的{p}是？",
    "{s}的{p}是谁？", "请问{s}的{p}是谁？", "谁是{s}的{p}？", "你知道谁是{s}的{p}吗？", "{s}的{p}是哪里？",
    "{s}的{p}在哪里？", "{s}的{p}是哪个？", "{s}的{p}有哪些？", "{s}有哪些{p}？", "{s}有什么{p}？",
    "{s}的{p}是多少？", "我想知道{s}的{p}", "我想知道{s}的{p}是什么。", "告诉我{s}的{p}", "有人知道{s}的{p}吗？",
    "{s}{p}是什么？", "{s}{p}", "{s}的{p}", "什么是{s}的{p}？", "{s}是什么{p}？", "{s}属于什么{p}？",
    "查一下{s}的{p}", "《{s}》的{p}是什么？", "《{s}》的{p}是谁？", "“{s}”的{p}是什么？",
)  # fmt: skip
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
        asked[key, pattern] = Example(text, fact.subject, fact.meaning, fact.predicate, fact.objects[0], line)
    return list(asked.values())


def _ambiguous(graph: Graph, key: int) -> bool:
    """Whether another sense of the name has the predicate, too."""
    name, predicate, _ = graph.tree.parts(key)
    lo, hi = graph.tree.keys(graph.tree.subject(name))
    return int((graph.tree.key_predicates[lo:hi] == predicate).sum()) > 1
