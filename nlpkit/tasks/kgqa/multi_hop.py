"""Chains S–P–O–P–O: a question about the object of a fact, which is a subject of the graph itself.

    姚明的妻子的身高是多少？     姚明 – 妻子 – 叶莉, so the question is: 叶莉的身高是多少？
    孙悟空的师傅是什么朝代的人？ 师父 is the best answer in one step, so: 玄奘的师傅是什么朝代的人？

A subject with one of its predicates behind it begins a chain, and so does the best answer in one step, whose predicate
may stand there in other words. What comes of the question that is left is answered like any other. The chain is taken
where its two steps explain more of the question than one does, by the characters of their predicates that stand there.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nlpkit.core.text.lcs import lcs_length
from nlpkit.core.text.normalization import normalize
from nlpkit.tasks.kgqa.codec import Question
from nlpkit.tasks.kgqa.data import Answer
from nlpkit.tasks.kgqa.graph.graph import Graph
from nlpkit.tasks.kgqa.retrieval.candidates import Mention

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
        literal: whether the first predicate stands in the whole question; it is then no part of what is left.
    """

    first: Answer
    question: str
    start: int
    end: int
    literal: bool

    def is_about(self, question: Question, mention: Mention) -> bool:
        """Whether a mention in the question that is left is the object."""
        return question.span(self.start, self.end) == (mention.start, mention.end)

    def explains_more(self, second: Answer, other: Answer, question: Question) -> bool:
        """Whether it leaves less of the whole question unexplained than an answer in one step.

        Half of the second predicate must stand in what is left; all of it where the first is in other words, which
        might as well be a wording of the second. Nor may they be the same one.
        """
        found = lcs_length(normalize(second.predicate), normalize(self.question[self.end :]))
        least = len(second.predicate) / 2 if self.literal else len(second.predicate)
        if second.predicate == self.first.predicate or found < least:
            return False
        first = normalize(self.first.predicate)
        explained = len(first) if self.literal else lcs_length(first, question.normal)
        return explained + found > lcs_length(normalize(other.predicate), question.normal)


def chains(graph: Graph, question: Question, mentions: Sequence[Mention], best: Answer | None) -> list[Chain]:
    """The chains that a question may begin with: first those whose predicate stands there, the longest before others.

    Args:
        graph: of the facts.
        question: as it was asked.
        mentions: the names in it.
        best: its best answer in one step.
    """
    text, normal, found = question.text, question.normal, list[Chain]()
    for mention in mentions:
        if not mention.literal:
            continue
        start, end = question.encoding.starts[mention.start], question.encoding.ends[mention.end - 1]
        before = len(text[:start].rstrip("《“「『\"'"))
        after = _behind(text, end)
        for key in range(*graph.tree.keys(graph.tree.subject(mention.name))):
            predicate = graph.triple(key)[2]
            literal = normal.startswith(normalize(predicate), after)
            if literal or (best is not None and key == best.key):
                rest = text[after + len(predicate) :] if literal else text[end:]
                found += [
                    Chain(first, text[:before] + name + rest, before, before + len(name), literal)
                    for first, name in _objects(graph, key)
                ]
    return sorted(found, key=lambda chain: -len(chain.first.predicate) if chain.literal else 0)[:MOST]


def goes_on(answer: Answer, question: Question) -> bool:
    """Whether more is asked about an answer: subject, predicate and 的 stand in the question in one piece."""
    start = question.normal.find(normalize(answer.subject))
    after = _behind(question.text, start + len(answer.subject))
    return start >= 0 and question.normal.startswith(normalize(answer.predicate) + _PARTICLE, after)


def _behind(text: str, end: int) -> int:
    """Where a predicate begins if it stands behind a subject that ends here."""
    joint = _JOINT.match(text, end)
    return joint.end() if joint else end


def _objects(graph: Graph, key: int) -> Iterator[tuple[Answer, str]]:
    """The objects of a key that are names of the graph."""
    for fact in graph.facts(key):
        for text in fact.objects:
            for name in dict.fromkeys([text, *_OBJECT.split(text)]):
                if name and graph.names_matching(name):
                    yield Answer(fact.subject, fact.sense, fact.predicate, (name,), 1.0, key=key), name
