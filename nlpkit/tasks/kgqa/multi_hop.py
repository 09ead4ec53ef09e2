"""Two-hop questions S–P–O–P–O: questions about the object of a fact, where the object is an entity of the graph.

    姚明的妻子的身高是多少？     first hop 姚明 – 妻子 – 叶莉, remaining question 叶莉的身高是多少？
    孙悟空的师傅是什么朝代的人？ first hop 孙悟空 – 师父 – 玄奘, remaining question 玄奘的师傅是什么朝代的人？

The first hop is a fact whose subject and predicate are adjacent in the question, or the best single-hop answer, whose
predicate may be paraphrased. The remaining question is answered like any other. The two hops are preferred to a single
hop if their predicates cover more characters of the question.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from nlpkit.core.text.lcs import lcs_length
from nlpkit.core.text.normalization import normalize
from nlpkit.tasks.kgqa.codec import Question
from nlpkit.tasks.kgqa.data import Answer
from nlpkit.tasks.kgqa.graph.graph import Graph
from nlpkit.tasks.kgqa.retrieval.candidates import Mention

MAX_CHAINS = 4  # of a question
_SEPARATOR = re.compile("[》”」』\"']*的?")  # between a subject and its predicate
_OBJECT_SEPARATOR = re.compile("[、，；;,/]")  # between several objects that are written as one string
_PARTICLE = "的"
_OPENING_QUOTES = "《“「『\"'"


@dataclass(frozen=True, slots=True)
class HopChain:
    """A first hop with the remaining question.

    Attributes:
        first: fact of the first hop, with the one object that is followed.
        question: remaining question, with the object in place of the subject.
        start: first character of the object in the remaining question.
        end: end of the object in the remaining question.
        literal: whether the question contains the predicate of the first hop; the remaining question then does not.
    """

    first: Answer
    question: str
    start: int
    end: int
    literal: bool

    def is_about(self, question: Question, mention: Mention) -> bool:
        """Return whether a mention in the tokenised remaining question is the object."""
        return question.token_span(self.start, self.end) == (mention.start, mention.end)

    def covers_more(self, second: str, single: Answer, question: Question) -> bool:
        """Return whether the chain covers more of the question than a single-hop answer, in characters of predicates.

        The predicates of both hops must differ. The remaining question must contain half of the second predicate; or
        all of it if the first predicate is paraphrased, because the words might paraphrase the second one instead.

        Args:
            second: predicate of the answer to the remaining question.
            single: single-hop answer to the question.
            question: whole question.
        """
        covered = lcs_length(_normalized(second), normalize(self.question[self.end :]))
        required = len(second) / 2 if self.literal else len(second)
        if second == self.first.predicate or covered < required:
            return False
        first = _normalized(self.first.predicate)
        covered_first = len(first) if self.literal else lcs_length(first, question.normalized)
        return covered_first + covered > lcs_length(_normalized(single.predicate), question.normalized)


def find_chains(graph: Graph, question: Question, mentions: Sequence[Mention], best: Answer | None) -> list[HopChain]:
    """Return the possible first hops of a question: literal predicates first, longest first; at most `MAX_CHAINS`.

    Args:
        graph: graph of the facts.
        question: question.
        mentions: entity names in the question.
        best: best single-hop answer.
    """
    text, normalized, chains = question.text, question.normalized, list[HopChain]()
    for mention in mentions:
        if not mention.literal:
            continue
        start, end = question.character_span(mention.start, mention.end)
        before = len(text[:start].rstrip(_OPENING_QUOTES))
        after = _after_separator(text, end)
        keys = graph.tree.keys(graph.tree.subject(mention.name))
        for key, (predicate, *_) in zip(range(*keys), graph.predicates_of(*keys), strict=True):
            literal = normalized.startswith(_normalized(predicate), after)
            if literal or (best is not None and key == best.key):
                rest = text[after + len(predicate) :] if literal else text[end:]
                chains += [
                    HopChain(first, text[:before] + name + rest, before, before + len(name), literal)
                    for first, name in _entity_objects(graph, key)
                ]
    return sorted(chains, key=lambda chain: -len(chain.first.predicate) if chain.literal else 0)[:MAX_CHAINS]


def needs_second_hop(answer: Answer, question: Question) -> bool:
    """Return whether the answer is partial: the question contains subject, predicate and 的 in one piece."""
    start = question.normalized.find(normalize(answer.subject))
    after = _after_separator(question.text, start + len(answer.subject))
    return start >= 0 and question.normalized.startswith(normalize(answer.predicate) + _PARTICLE, after)


@lru_cache(1 << 16)
def _normalized(predicate: str) -> str:
    return normalize(predicate)


def _after_separator(text: str, end: int) -> int:
    """Return where a predicate starts that follows a subject with this end."""
    separator = _SEPARATOR.match(text, end)
    return separator.end() if separator else end


def _entity_objects(graph: Graph, key: int) -> Iterator[tuple[Answer, str]]:
    """Yield the objects of a key that are entity names, each with the fact that has only this object."""
    for fact in graph.facts(key):
        for text in fact.objects:
            for name in dict.fromkeys([text, *_OBJECT_SEPARATOR.split(text)]):
                if name and graph.names_matching(name):
                    yield Answer(fact.subject, fact.sense, fact.predicate, (name,), 1.0, key=key), name
