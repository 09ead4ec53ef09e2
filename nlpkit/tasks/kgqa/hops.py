"""Chains S–P–O–P–O: a question about the object of a fact, which is a subject of the graph itself.

    姚明的妻子的身高是多少？     姚明 – 妻子 – 叶莉, so the question is: 叶莉的身高是多少？

A subject, one of its predicates and 的 in one piece begin a chain; both stand as in the graph. What comes of the
shorter question is answered like any other, so a chain is as good as its second step.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nlpkit.tasks.kgqa.candidates import Mention
from nlpkit.tasks.kgqa.codec import Question
from nlpkit.tasks.kgqa.data import Answer
from nlpkit.tasks.kgqa.graph import Graph

MOST = 4  # chains that are followed in one question
_JOINT = re.compile("[》”」』\"']*的?")  # between a subject and its predicate
_OBJECT = re.compile("[、，；;,/]")  # between several objects that are written as one
_PARTICLE = "的"


@dataclass(frozen=True, slots=True)
class Chain:
    """A first step, and the question that is left.

    Attributes:
        first: the fact; its objects are only the one that is followed.
        question: about that object.
        start: the object's first character there.
        end: behind its last.
    """

    first: Answer
    question: str
    start: int
    end: int

    def is_about(self, question: Question, mention: Mention) -> bool:
        """Whether a mention in the question that is left is the object."""
        return question.span(self.start, self.end) == (mention.start, mention.end)


def chains(graph: Graph, question: Question, mentions: Sequence[Mention]) -> list[Chain]:
    """The chains that a question may begin with."""
    found = []
    for mention in mentions:
        if mention.end == mention.start:
            continue
        start, end = question.encoding.starts[mention.start], question.encoding.ends[mention.end - 1]
        joint = _JOINT.match(question.text, end)
        after = joint.end() if joint else end
        for key in range(*graph.tree.keys(graph.tree.subject(mention.name))):
            _, _, predicate = graph.triple(key)
            behind = after + len(predicate)
            if not question.text.startswith(predicate + _PARTICLE, after):
                continue
            while start and question.text[start - 1] in "《“「『\"'":
                start -= 1
            found += [
                Chain(first, question.text[:start] + name + question.text[behind:], start, start + len(name))
                for first, name in _objects(graph, key)
            ]
    return found[:MOST]


def _objects(graph: Graph, key: int) -> Iterator[tuple[Answer, str]]:
    """The objects of a key that are names of the graph."""
    for fact in graph.facts(key):
        for text in fact.objects:
            for name in dict.fromkeys([text, *_OBJECT.split(text)]):
                if name and graph.names.find(name) is not None:
                    yield Answer(fact.subject, fact.meaning, fact.predicate, (name,), 1.0, key=key), name
