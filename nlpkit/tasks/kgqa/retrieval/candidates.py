"""Candidate keys of a question: the keys of the entity names that it contains, with string features.

String features (`FEATURE_NAMES`) say how much of a key's name, predicate and sense the question contains. The ranker
scores candidates by these and by hidden states.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import numpy as np

from nlpkit.core.text.lcs import Matcher
from nlpkit.tasks.kgqa.codec import ROOT, KeyTrie, Question
from nlpkit.tasks.kgqa.graph.graph import Graph
from nlpkit.tasks.kgqa.graph.prefix_tree import NAME, PREDICATE, SENSE
from nlpkit.tasks.kgqa.retrieval.name_borders import is_whole

MAX_NAMES = 5  # of a question; the longest are kept
MAX_KEYS = 48  # of a name; those whose predicates match the question best are kept
FEATURE_NAMES = (
    # name; see `CandidateFinder._name_features`
    "question_in_name", "name_in_question", "is_mentioned", "is_inexact", "is_one_token", "is_two_tokens",
    # predicate and the tokens of the question outside the name; see `_predicate_features`
    "predicate_in_rest", "rest_in_predicate", "predicate_matched", "bigrams_in_rest", "bigrams_matched",
    "is_contained", "predicate_length", "ends_matched",
    # sense and the same tokens; see `_sense_features`
    "has_no_sense", "sense_in_rest",
)  # fmt: skip
NUM_FEATURES = len(FEATURE_NAMES)
MAX_SENSE_TOKENS = 16
MAX_TOKEN = 16  # characters of an object are read for each token; a longer token is cut


@dataclass(frozen=True, slots=True)
class Mention:
    """An entity name that a question may be about.

    Attributes:
        name: token form of the name in the graph.
        start: first token of the mention in the question.
        end: end of the mention; equals `start` if the question does not contain the name.
        literal: whether the question contains the whole name as a word of its own; see `name_borders.is_whole`.
        form: tokens of another name with [SEP], used instead of those of `name`; for hard negatives.
    """

    name: int
    start: int = 0
    end: int = 0
    literal: bool = False
    form: tuple[int, ...] = ()

    @property
    def columns(self) -> tuple[int, int]:
        """Return the columns of the first and last token in the question's sequence; (-1, -1) if there are none."""
        return (self.start + 1, self.end) if self.end > self.start else (-1, -1)  # [CLS] is column 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A key with its components, and features of how its strings match the question.

    Attributes:
        key: rank of the key.
        mention: mention of the entity name.
        predicate: token form of the predicate.
        sense: token form of the sense.
        features: [NUM_FEATURES] values of `FEATURE_NAMES`.
    """

    key: int
    mention: Mention
    predicate: int
    sense: int
    features: tuple[float, ...]


class CandidateFinder:
    """Finds the candidates of questions in a graph.

    Args:
        graph: graph that was built with the tokenizer of the questions.
        object_tokens: number of tokens of an object that follow its key in the trie.
    """

    def __init__(self, graph: Graph, object_tokens: int = 0):
        self.graph, self.tree = graph, graph.tree
        self._object_tokens, self._tokenizer = object_tokens, graph.tokenizer
        self._form = lru_cache(1 << 16)(self._read_form)

    def mentions(self, question: Question, max_names: int = MAX_NAMES) -> list[Mention]:
        """Return the entity names in the question, the longest first, then in the order of the question."""
        mentions: dict[int, Mention] = {}
        for start, end, text in self.graph.names_in(question.text):
            span = question.token_span(start, end)
            surface_form = self.graph.names.find(text) if span else None
            if span and surface_form is not None:
                name = self.graph.names.form_of(surface_form)
                mentions.setdefault(name, Mention(name, *span, literal=is_whole(question.text, start, end)))
        return sorted(mentions.values(), key=lambda mention: (mention.start - mention.end, mention.start))[:max_names]

    def candidates(self, question: Question, mentions: Iterable[Mention], max_keys: int = MAX_KEYS) -> list[Candidate]:
        """Return the keys of the mentioned names; of a name with more than `max_keys`, the best matching ones."""
        return [
            candidate
            for mention in mentions
            for candidate in self.from_keys(question, mention, self._keys(question, mention, max_keys))
        ]

    def from_keys(self, question: Question, mention: Mention, keys: Sequence[int]) -> list[Candidate]:
        """Return keys of one name as candidates."""
        tokens = question.tokens
        inside = range(mention.start, mention.end)
        rest = Matcher(tokens, inside)
        name_features = self._name_features(question, mention)
        num_rest = max(1, len(tokens) - len(inside))
        predicate_features: dict[int, tuple[float, ...]] = {}
        sense_features: dict[int, tuple[float, ...]] = {}
        indices = np.array(keys, dtype=np.int64)
        predicates, senses = (array[indices].tolist() for array in (self.tree.key_predicates, self.tree.key_senses))
        candidates = []
        for key, predicate, sense in zip(indices.tolist(), predicates, senses, strict=True):
            if predicate not in predicate_features:
                form = self._form(PREDICATE, predicate)[:-1]
                predicate_features[predicate] = _predicate_features(rest, form, num_rest)
            if sense not in sense_features:
                sense_features[sense] = _sense_features(rest, self._form(SENSE, sense)[:-1])
            features = (*name_features, *predicate_features[predicate], *sense_features[sense])
            candidates.append(Candidate(key, mention, predicate, sense, features))
        return candidates

    def trie(self, candidates: Sequence[Candidate], with_sense: Iterable[int] = ()) -> KeyTrie:
        """Return the candidates as a trie, with the leaves in their order; objects follow the keys.

        Args:
            candidates: candidates, grouped by name as `candidates` returns them.
            with_sense: keys whose sense is included even if the name has only one sense with this predicate.
        """
        trie, always_with_sense = KeyTrie(), set(with_sense)
        for (mention, predicate), group in groupby(candidates, key=lambda c: (c.mention, c.predicate)):
            node = trie.extend(trie.extend(ROOT, self.name_tokens(mention)), self._form(PREDICATE, predicate))
            members = list(group)
            for candidate in members:
                leaf = node
                if len(members) > 1 or candidate.key in always_with_sense:
                    sense = self._form(SENSE, candidate.sense)
                    end = trie.extend(node, (*sense[:-1][:MAX_SENSE_TOKENS], sense[-1]))
                    leaf = end if len(members) > 1 else node
                trie.leaves.append(trie.extend(leaf, self._read_object(candidate.key)))
        return trie

    def name_tokens(self, mention: Mention) -> tuple[int, ...]:
        """Return the tokens of a mention's name, with [SEP]."""
        return mention.form or self._form(NAME, mention.name)

    def _read_form(self, level: int, index: int) -> tuple[int, ...]:
        return tuple(self.tree.form(level, index).tolist())

    def _read_object(self, key: int) -> list[int]:
        """Return the first tokens of the first object of a key."""
        if not self._object_tokens:
            return []
        text = self.graph.object(self.graph.triple_range(key)[0])
        return self._tokenizer.encode(text[: self._object_tokens * MAX_TOKEN]).ids[: self._object_tokens]

    def _keys(self, question: Question, mention: Mention, max_keys: int) -> Sequence[int]:
        lo, hi = self.tree.keys(self.tree.subject(mention.name))
        if hi - lo <= max_keys:
            return range(lo, hi)
        rest = Matcher(question.tokens, range(mention.start, mention.end))
        score: Callable[[int], float] = lru_cache(None)(
            lambda predicate: _match_score(rest, self._form(PREDICATE, predicate)[:-1])
        )
        predicates = self.tree.key_predicates[lo:hi].tolist()
        order = sorted(range(hi - lo), key=lambda index: -score(predicates[index]))
        return sorted(lo + index for index in order[:max_keys])

    def _name_features(self, question: Question, mention: Mention) -> tuple[float, ...]:
        """Return features of the name, which do not depend on the other names of the graph."""
        tokens, name = question.tokens, self.name_tokens(mention)[:-1]
        matcher = Matcher(tokens)
        matched = matcher.length(matcher.run(name))
        return (
            matched / max(1, len(tokens)),
            matched / max(1, len(name)),
            float(mention.end > mention.start),
            float(mention.end > mention.start and not mention.literal),
            float(len(name) == 1),
            float(len(name) == 2),
        )


def _predicate_features(rest: Matcher, predicate: Sequence[int], num_rest: int) -> tuple[float, ...]:
    """Return how well a predicate matches the `num_rest` tokens of the question outside the name."""
    if rest.places.keys().isdisjoint(predicate):
        return (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, max(1, len(predicate)) / 8, 0.0)
    length, size = rest.length(rest.run(predicate)), max(1, len(predicate))
    adjacent = rest.adjacent(predicate)
    return (
        length / size,
        length / num_rest,
        length / 4,
        adjacent / max(1, size - 1),
        adjacent / 4,
        float(rest.contains(predicate)),
        size / 8,
        float(bool(predicate) and predicate[0] in rest.places)
        + float(bool(predicate) and predicate[-1] in rest.places),
    )


def _sense_features(rest: Matcher, sense: Sequence[int]) -> tuple[float, ...]:
    return float(not sense), rest.length(rest.run(sense)) / max(1, len(sense))


def _match_score(rest: Matcher, predicate: Sequence[int]) -> float:
    length = rest.length(rest.run(predicate))
    return length + length / max(1, len(predicate))
