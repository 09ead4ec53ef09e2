"""The beams of a question: what each knows of its way, and which of them go on."""

import math
from dataclasses import dataclass, field

from nlpkit.tasks.kgqa.codec import Question
from nlpkit.tasks.kgqa.decoding.look_ahead import Ahead
from nlpkit.tasks.kgqa.graph.prefix_tree import PrefixTree


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A key and the log-probability of the path to it."""

    key: int
    score: float


@dataclass(slots=True)
class Beam:
    """A beginning of a key.

    Attributes:
        node: in the tree.
        score: log-probability of the choices so far.
        length: tokens so far, those that were forced included; of the whole key, where that is certain.
        pending: tokens that the model has not read; the first was chosen, the others forced.
        seen: the places of those that it has read, behind its question.
        key: where it is certain.
        options: the best continuations, once the model was asked: (score, token, node).
        children: the beams made of these so far, by node.
    """

    node: int
    score: float
    length: int
    pending: list[int]
    seen: list[int]
    key: int | None = None
    options: list[tuple[float, int, int]] | None = None
    children: dict[int, "Beam"] = field(default_factory=dict)

    @property
    def due(self) -> int:
        """The length at which it is compared with the others again."""
        return self.length if self.key is not None else self.length + 1

    def child(self, tree: PrefixTree, score: float, token: int, node: int) -> "Beam":
        """The beam that one of its options makes."""
        found = self.children.get(node)
        if found is None:
            found = self.children[node] = settled(tree, Beam(node, score, self.length + 1, [token], self.seen))
        return found


@dataclass(slots=True)
class Search:
    """The state of one question.

    Attributes:
        question: asked.
        width: beams.
        wanted: keys.
        ahead: how far the question would be covered, where that counts.
        beams: those that go on, best first.
        finished: complete keys.
        waiting: the beams whose pending units must be read before it can go on.
    """

    question: Question
    width: int
    wanted: int
    ahead: Ahead | None
    beams: list[Beam] = field(default_factory=list)
    finished: list[Hypothesis] = field(default_factory=list)
    waiting: list[Beam] = field(default_factory=list)

    def begin(self, tree: PrefixTree) -> None:
        """One beam, at the root."""
        self.beams = [settled(tree, Beam(tree.root, 0.0, 0, [], []))]

    def done(self) -> bool:
        """Whether no beam is left; those that cannot come among the wanted ones any more are dropped."""
        if len(self.finished) >= self.wanted:
            worst = sorted((found.score for found in self.finished), reverse=True)[self.wanted - 1]
            self.beams = [beam for beam in self.beams if beam.score > worst]  # scores only fall
        return not self.beams

    def advance(self, tree: PrefixTree) -> None:
        """Goes on until it is done or beams are `waiting`."""
        self.waiting = []
        while not self.done() and not self.waiting:
            leader = self._leader(tree) if self.wanted == 1 else None
            if leader is None:
                self.waiting = [beam for beam in self.beams if beam.key is None and beam.options is None]
                if not self.waiting:
                    self._step(tree)
            elif leader.key is None:
                self.waiting = [leader]
            else:
                self.finished.append(Hypothesis(leader.key, leader.score))

    def _leader(self, tree: PrefixTree) -> Beam | None:
        """How the best beam goes on as far as is known, if nothing can come before it; else None.

        As scores only fall, a beam that is better than all others is among the best at every length, whatever they go
        on to; so they need not be read as long as it stays better.
        """
        best, *others = self.beams
        scores = [beam.score for beam in others] + [found.score for found in self.finished]
        rival = max(scores, default=-math.inf)
        while best.score > rival and best.options:
            first, *rest = best.options
            rival = max(rival, rest[0][0]) if rest else rival
            best = best.child(tree, *first)
        return best if best.score > rival else None

    def best(self) -> list[Hypothesis]:
        """The wanted keys, best first."""
        return sorted(self.finished, key=lambda found: -found.score)[: self.wanted]

    def _step(self, tree: PrefixTree) -> None:
        """Compares the beams at the least length at which one of them is due."""
        length = min(beam.due for beam in self.beams)
        candidates: list[tuple[float, Beam, tuple[int, int] | None]] = []
        for beam in self.beams:
            if beam.due > length or beam.options is None:
                candidates.append((beam.score, beam, None))
            else:
                candidates += [(score, beam, (token, node)) for score, token, node in beam.options]
        candidates.sort(key=lambda item: -item[0])
        kept: list[Beam] = []
        for rank, (score, beam, choice) in enumerate(candidates):
            if len(kept) == self.width and rank >= self.width:
                break
            found = beam if choice is None else beam.child(tree, score, *choice)
            if found.key is not None and found.length == length:
                if rank < self.width:
                    self.finished.append(Hypothesis(found.key, score))
            elif len(kept) < self.width:
                kept.append(found)
        self.beams = kept


def settled(tree: PrefixTree, beam: Beam) -> Beam:
    """The beam after all that is forced."""
    lo, hi = tree.keys(beam.node)
    if hi - lo == 1:
        beam.key, beam.length = lo, tree.length(lo)
        return beam
    forced, beam.node = tree.forced(beam.node)
    beam.pending += forced
    beam.length += len(forced)
    return beam
