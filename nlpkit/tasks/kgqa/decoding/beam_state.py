"""State of the beam search of one question: its beams, and which of them are kept."""

from dataclasses import dataclass, field

from nlpkit.tasks.kgqa.codec import Question
from nlpkit.tasks.kgqa.decoding.look_ahead import LookAhead
from nlpkit.tasks.kgqa.graph.prefix_tree import PrefixTree


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A complete key with its score.

    Attributes:
        key: rank of the key.
        score: log-probability of the path to the key.
    """

    key: int
    score: float


@dataclass(slots=True)
class Beam:
    """A prefix of a key.

    Attributes:
        node: node of the tree.
        score: log-probability of the choices so far.
        length: number of tokens so far, forced ones included; length of the whole key if only one key is left.
        pending: tokens not yet encoded by the network; the first was chosen, the others are forced.
        cache_positions: positions of the encoded tokens in the sequence of the cache, after the question.
        key: the only key left under the node, if any.
        options: best continuations as (score, token, node); None until the network has scored them.
    """

    node: int
    score: float
    length: int
    pending: list[int]
    cache_positions: list[int]
    key: int | None = None
    options: list[tuple[float, int, int]] | None = None

    @property
    def next_length(self) -> int:
        """Return the length at which this beam is compared with the others again."""
        return self.length if self.key is not None else self.length + 1


@dataclass(slots=True)
class BeamState:
    """Beam search of one question.

    Attributes:
        question: question.
        width: beam width.
        look_ahead: look-ahead gains; None for a search without look-ahead.
        beams: open beams, best first.
        finished: complete keys.
        waiting: beams with pending tokens that must be encoded before the search can continue.
    """

    question: Question
    width: int
    look_ahead: LookAhead | None
    beams: list[Beam] = field(default_factory=list)
    finished: list[Hypothesis] = field(default_factory=list)
    waiting: list[Beam] = field(default_factory=list)

    @classmethod
    def start(cls, question: Question, width: int, look_ahead: LookAhead | None, tree: PrefixTree) -> "BeamState":
        """Return the state with one beam at the root."""
        return cls(question, width, look_ahead, [skip_forced(tree, Beam(tree.root, 0.0, 0, [], []))])

    def is_done(self) -> bool:
        """Return whether no beam is open; beams that can no longer be among the best are dropped."""
        if len(self.finished) >= self.width:
            worst = sorted((hypothesis.score for hypothesis in self.finished), reverse=True)[self.width - 1]
            self.beams = [beam for beam in self.beams if beam.score > worst]  # scores never increase
        return not self.beams

    def advance(self, tree: PrefixTree) -> None:
        """Continue the search until it is done or beams are `waiting`."""
        self.waiting = []
        while not self.is_done() and not self.waiting:
            self.waiting = [beam for beam in self.beams if beam.key is None and beam.options is None]
            if not self.waiting:
                self._step(tree)

    def best(self) -> list[Hypothesis]:
        """Return the best keys, best first, at most `width`."""
        return sorted(self.finished, key=lambda hypothesis: -hypothesis.score)[: self.width]

    def _step(self, tree: PrefixTree) -> None:
        """Keep the best beams at the smallest length at which one of them is compared; finish complete keys."""
        length = min(beam.next_length for beam in self.beams)
        candidates: list[tuple[float, Beam, tuple[int, int] | None]] = []
        for beam in self.beams:
            if beam.next_length > length or beam.options is None:
                candidates.append((beam.score, beam, None))
            else:
                candidates += [(score, beam, (token, node)) for score, token, node in beam.options]
        candidates.sort(key=lambda item: -item[0])
        kept: list[Beam] = []
        for rank, (score, beam, choice) in enumerate(candidates):
            if len(kept) == self.width and rank >= self.width:
                break
            candidate = beam if choice is None else extended(tree, beam, score, *choice)
            if candidate.key is not None and candidate.length == length:
                if rank < self.width:
                    self.finished.append(Hypothesis(candidate.key, score))
            elif len(kept) < self.width:
                kept.append(candidate)
        self.beams = kept


def extended(tree: PrefixTree, beam: Beam, score: float, token: int, node: int) -> Beam:
    """Return the beam for one continuation of a beam."""
    return skip_forced(tree, Beam(node, score, beam.length + 1, [token], beam.cache_positions))


def skip_forced(tree: PrefixTree, beam: Beam) -> Beam:
    """Move a new beam past all forced tokens, or to its key if only one is left; return it."""
    lo, hi = tree.keys(beam.node)
    if hi - lo == 1:
        beam.key, beam.length = lo, tree.length(lo)
        return beam
    forced, beam.node = tree.forced(beam.node)
    beam.pending += forced
    beam.length += len(forced)
    return beam
