"""Which keys a question may mean: those of the names that stand in it, with what the strings alone say for each."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

from nlpkit.core.text.lcs import Matcher
from nlpkit.tasks.kgqa.codec import ROOT, Forest, Question
from nlpkit.tasks.kgqa.graph.graph import Graph
from nlpkit.tasks.kgqa.graph.prefix_tree import NAME, PREDICATE, SENSE
from nlpkit.tasks.kgqa.retrieval.name_borders import is_whole

NAMES = 5  # of a question, the longest ones
KEYS = 48  # of a name, those whose predicates stand most in the question
FEATURES = 16
LONGEST_MEANING = 16  # units


@dataclass(frozen=True, slots=True)
class Mention:
    """An entity name that a question may be about.

    Attributes:
        name: its form in the graph.
        start: its first token in the question.
        end: behind its last token; `start` where no part of the name was found in the question.
        literal: whether the question contains the whole name, as a word of its own; see `name_borders.is_whole`.
        form: the tokens of a made-up name, with [SEP], in place of those of `name`; for training and calibration.
    """

    name: int
    start: int = 0
    end: int = 0
    literal: bool = False
    form: tuple[int, ...] = ()


def columns(mention: Mention) -> tuple[int, int]:
    """Return the columns of a mention's first and last token in its question's sequence; -1 where it has none."""
    return (mention.start + 1, mention.end) if mention.end > mention.start else (-1, -1)  # [CLS] is column 0


@dataclass(frozen=True, slots=True)
class Candidate:
    """A key with its forms, and how its strings match the question.

    Attributes:
        key: its rank in the tree.
        mention: the name.
        predicate: its form.
        meaning: its form.
        features: [FEATURES].
    """

    key: int
    mention: Mention
    predicate: int
    meaning: int
    features: tuple[float, ...]


class Candidates:
    """Finds the candidates of questions in a graph.

    Args:
        graph: built with the tokenizer of the questions.
    """

    def __init__(self, graph: Graph):
        self.graph, self.tree = graph, graph.tree
        self.form = lru_cache(1 << 16)(self._form)

    def mentions(self, question: Question, most: int = NAMES) -> list[Mention]:
        """The longest names in the question, and of equally long ones those that come first."""
        found: dict[int, Mention] = {}
        for start, end, text in self.graph.names_in(question.text):
            span = question.span(start, end)
            spelling = self.graph.names.find(text) if span else None
            if span and spelling is not None:
                name = self.graph.names.form_of(spelling)
                found.setdefault(name, Mention(name, *span, literal=is_whole(question.text, start, end)))
        return sorted(found.values(), key=lambda m: (m.start - m.end, m.start))[:most]

    def of(self, question: Question, mentions: Sequence[Mention], most: int = KEYS) -> list[Candidate]:
        """The keys of some names; of a name with more than `most` those that stand most in the question."""
        return [
            candidate
            for mention in mentions
            for candidate in self.scored(question, mention, self._keys(question, mention, most))
        ]

    def scored(self, question: Question, mention: Mention, keys: Iterable[int]) -> list[Candidate]:
        """Keys of one name, as candidates."""
        units = question.units
        inside = range(mention.start, mention.end)
        rest = Matcher(units, inside)
        about = self._about_name(question, mention)
        left = max(1, len(units) - len(inside))
        by_predicate: dict[int, tuple[float, ...]] = {}
        found = []
        for key in keys:
            predicate, meaning = int(self.tree.key_predicates[key]), int(self.tree.key_senses[key])
            if predicate not in by_predicate:
                by_predicate[predicate] = _about_predicate(rest, self.form(PREDICATE, predicate)[:-1], left)
            features = (*about, *by_predicate[predicate], *_about_meaning(rest, self.form(SENSE, meaning)[:-1]))
            found.append(Candidate(key, mention, predicate, meaning, features))
        return found

    def forest(self, candidates: Sequence[Candidate], whole: Iterable[int] = ()) -> Forest:
        """The candidates as a tree, its leaves in their order.

        Args:
            candidates: those of one name together, as `of` gives them.
            whole: keys whose meaning is to stand there even where it is certain.
        """
        forest, written = Forest(), set(whole)
        for (mention, predicate), group in groupby(candidates, key=lambda c: (c.mention, c.predicate)):
            unit = forest.extend(ROOT, self.name(mention))
            unit = forest.extend(unit, self.form(PREDICATE, predicate))
            members = list(group)
            for candidate in members:
                leaf = unit
                if len(members) > 1 or candidate.key in written:
                    meaning = self.form(SENSE, candidate.meaning)
                    end = forest.extend(unit, (*meaning[:-1][:LONGEST_MEANING], meaning[-1]))
                    leaf = end if len(members) > 1 else unit
                forest.leaves.append(leaf)
        return forest

    def name(self, mention: Mention) -> tuple[int, ...]:
        """Return the tokens of a mention's name, with [SEP]."""
        return mention.form or self.form(NAME, mention.name)

    def _form(self, level: int, index: int) -> tuple[int, ...]:
        return tuple(self.tree.form(level, index).tolist())

    def _keys(self, question: Question, mention: Mention, most: int) -> Iterable[int]:
        lo, hi = self.tree.keys(self.tree.subject(mention.name))
        if hi - lo <= most:
            return range(lo, hi)
        rest = Matcher(question.units, range(mention.start, mention.end))
        score: Callable[[int], float] = lru_cache(None)(lambda form: _closeness(rest, self.form(PREDICATE, form)[:-1]))
        predicates = self.tree.key_predicates[lo:hi].tolist()
        order = sorted(range(hi - lo), key=lambda index: -score(predicates[index]))
        return sorted(lo + index for index in order[:most])

    def _about_name(self, question: Question, mention: Mention) -> tuple[float, ...]:
        """Return features of the name; they do not depend on which other names the graph has."""
        units, name = question.units, self.name(mention)[:-1]
        matcher = Matcher(units)
        matched = matcher.length(matcher.run(name))
        return (
            matched / max(1, len(units)),
            matched / max(1, len(name)),
            float(mention.end > mention.start),
            float(mention.end > mention.start and not mention.literal),
            float(len(name) == 1),
            float(len(name) == 2),
        )


def _about_predicate(rest: Matcher, predicate: Sequence[int], left: int) -> tuple[float, ...]:
    """How much of a predicate stands in what the name leaves of the question; `left` units."""
    length, size = rest.length(rest.run(predicate)), max(1, len(predicate))
    adjacent = rest.adjacent(predicate)
    return (
        length / size,
        length / left,
        length / 4,
        adjacent / max(1, size - 1),
        adjacent / 4,
        float(rest.contains(predicate)),
        size / 8,
        float(bool(predicate) and predicate[0] in rest.places)
        + float(bool(predicate) and predicate[-1] in rest.places),
    )


def _about_meaning(rest: Matcher, meaning: Sequence[int]) -> tuple[float, ...]:
    return float(not meaning), rest.length(rest.run(meaning)) / max(1, len(meaning))


def _closeness(rest: Matcher, predicate: Sequence[int]) -> float:
    length = rest.length(rest.run(predicate))
    return length + length / max(1, len(predicate))
