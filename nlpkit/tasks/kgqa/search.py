"""Beam search along the prefix tree, for many questions at once (kexue.fm 8802).

Every beam carries its node. Where the tree allows one token only, no model is asked: such runs cost nothing but their
place in the next call, which reads all of a beam's new units at once behind what the cache holds. A key that is certain
is not even read to its end. Scores are sums of log-probabilities renormalised over what the tree allows.

*Look-ahead*: once the name is complete, a token with probability p that leads to a key standing Δ units more in the
question gets p^(1/(Δ+1)) before it is renormalised.

Beams of a question are compared at equal lengths, as in the usual search, although they are fed at different ones: at
each length the best `width` that go on are kept, and those that end among the best `width` are finished.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlpkit.core.task import Inputs
from nlpkit.nn.cache import Cache, stretched
from nlpkit.tasks.kgqa.codec import KEY_SEGMENT, Question, pad
from nlpkit.tasks.kgqa.matching import Matcher
from nlpkit.tasks.kgqa.model import KgqaNetwork
from nlpkit.tasks.kgqa.prefix_tree import NAME, PrefixTree

MOST_AHEAD = 4096  # keys of a name up to which it is looked ahead


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
        length: tokens so far, those that were forced included.
        pending: tokens that the model has not read; the first was chosen, the others forced.
        row: of the cache, before the pending tokens.
        position: of the first pending token.
        key: where it is certain.
        options: the best continuations, once the model was asked: (score, token, node).
    """

    node: int
    score: float
    length: int
    pending: list[int]
    row: int
    position: int
    key: int | None = None
    options: list[tuple[float, int, int]] | None = None

    @property
    def due(self) -> int:
        """The length at which it is compared with the others again."""
        return self.length if self.key is not None else self.length + 1


@dataclass(slots=True)
class _Search:
    """The state of one question."""

    question: Question
    width: int
    wanted: int
    ahead: "Ahead | None"
    beams: list[Beam] = field(default_factory=list)
    finished: list[Hypothesis] = field(default_factory=list)

    def done(self) -> bool:
        """Whether no beam is left; those that cannot come among the wanted ones any more are dropped."""
        if len(self.finished) >= self.wanted:
            worst = sorted((found.score for found in self.finished), reverse=True)[self.wanted - 1]
            self.beams = [beam for beam in self.beams if beam.score > worst]  # scores only fall
        return not self.beams


class Ahead:
    """How much more of a question the keys behind each token would cover.

    Args:
        question: to be covered.
        tree: of the keys.
    """

    def __init__(self, question: Question, tree: PrefixTree):
        self.tree, self.matcher = tree, Matcher(question.units)
        self._covered: dict[tuple[int, int], list[int]] = {}

    def gains(self, name: tuple[int, int], prefix: Iterable[int], nodes: Sequence[int]) -> NDArray[np.float64] | None:
        """Δ of each node behind a beginning; None where the name has too many keys.

        Args:
            name: the range of the keys of the name.
            prefix: the tokens of the beginning.
            nodes: the possible continuations.
        """
        lo, hi = name
        if hi - lo > MOST_AHEAD:
            return None
        covered = self._covered.get(name)
        if covered is None:
            covered = self._covered[name] = [self._length(self.tree.tokens(key).tolist()) for key in range(lo, hi)]
        before = self._length(prefix)
        ranges = (self.tree.keys(node) for node in nodes)
        return np.array([max(covered[start - lo : end - lo]) - before for start, end in ranges], dtype=np.float64)

    def _length(self, tokens: Iterable[int]) -> int:
        return self.matcher.length(self.matcher.run(tokens))


@torch.inference_mode()
def beam_search(
    network: KgqaNetwork,
    tree: PrefixTree,
    questions: Sequence[Question],
    width: int,
    look_ahead: bool = True,
    pad_id: int = 0,
    wanted: int | None = None,
) -> list[list[Hypothesis]]:
    """The best keys of each question, best first.

    With a width of at least the number of keys nothing is pruned: the result is every key with its exact score.

    Args:
        network: in evaluation mode.
        tree: of the keys.
        questions: searched together.
        width: beams of each question.
        look_ahead: see above.
        pad_id: of the tokenizer.
        wanted: keys to give, as many as beams when None; they are the same, and found the sooner, the fewer they are.
    """
    wanted = min(width, wanted or width)
    if not questions:
        return []
    searches = [_Search(q, width, wanted, Ahead(q, tree) if look_ahead else None) for q in questions]
    decoder = _Decoder(network, tree, questions, pad_id)
    for row, search in enumerate(searches):
        search.beams = _settled(tree, Beam(tree.root, 0.0, 0, [], row, len(search.question.ids)))
    while True:
        open_ = [search for search in searches if not search.done()]
        waiting = [(s, b) for s in open_ for b in s.beams if b.key is None]
        if any(beam.options is None for _, beam in waiting):
            decoder.ask(waiting)
        moved = False
        for search in open_:
            while not search.done() and all(beam.key is not None or beam.options is not None for beam in search.beams):
                _step(search, tree)
                moved = True
        if not moved:
            break
    return [sorted(search.finished, key=lambda found: -found.score)[:wanted] for search in searches]


def _step(search: _Search, tree: PrefixTree) -> None:
    """Compares the beams at the least length at which one of them is due."""
    length = min(beam.due for beam in search.beams)
    candidates: list[tuple[float, Beam, tuple[int, int] | None]] = []
    for beam in search.beams:
        if beam.due > length or beam.options is None:
            candidates.append((beam.score, beam, None))
        else:
            candidates += [(score, beam, (token, node)) for score, token, node in beam.options]
    candidates.sort(key=lambda item: -item[0])
    kept: list[Beam] = []
    for index, (score, beam, choice) in enumerate(candidates):
        if choice is not None:
            token, node = choice
            begin = beam.position + len(beam.pending)
            (found,) = _settled(tree, Beam(node, score, length, [token], beam.row, begin))
            ends = found.key is not None and found.length == length
        else:
            found, ends = beam, beam.key is not None and beam.due == length
        if ends:
            if index < search.width and found.key is not None:
                search.finished.append(Hypothesis(found.key, score))
        elif len(kept) < search.width:
            kept.append(found)
    search.beams = kept


def _settled(tree: PrefixTree, beam: Beam) -> list[Beam]:
    """The beam after all that is forced; the length of a certain key is that of the whole."""
    lo, hi = tree.keys(beam.node)
    if hi - lo == 1:
        beam.key, beam.length = lo, len(tree.tokens(lo))
        return [beam]
    forced, beam.node = tree.forced(beam.node)
    beam.pending += forced
    beam.length += len(forced)
    return [beam]


def _options(
    search: _Search, beam: Beam, tokens: NDArray[Any], nodes: NDArray[Any], logits: NDArray[Any]
) -> list[tuple[float, int, int]]:
    """The best continuations of a beam, from the logits [k] of what the tree allows."""
    scores = logits - logits.max()
    scores += beam.score - math.log(np.exp(scores).sum())
    most = 2 * search.width
    if len(scores) > most:
        likely = np.flatnonzero(scores >= np.partition(scores, -most)[-most])
        tokens, nodes, scores = tokens[likely], nodes[likely], scores[likely]
    best = np.argsort(-scores, kind="stable")[:most]
    return list(zip(scores[best].tolist(), tokens[best].tolist(), nodes[best].tolist(), strict=True))


class _Decoder:
    """Asks the model how beams go on; the cache has a row for each beam of the last call.

    Args:
        network: in evaluation mode.
        tree: of the keys.
        questions: they are read at once.
        pad_id: of the tokenizer.
    """

    def __init__(self, network: KgqaNetwork, tree: PrefixTree, questions: Sequence[Question], pad_id: int):
        self.network, self.tree, self.pad_id = network, tree, pad_id
        self.device = network.bias.device
        self.cache = Cache()
        ids = pad([question.ids for question in questions], pad_id).to(self.device)
        lengths = torch.tensor([len(question.ids) for question in questions], device=self.device)
        self.valid = torch.arange(ids.shape[1], device=self.device) < lengths[:, None]  # [b, m] columns with a unit
        positions = torch.arange(ids.shape[1], device=self.device).expand_as(ids)
        mask = self.valid[:, None].expand(-1, ids.shape[1], -1)
        states = network(Inputs(ids, mask, torch.zeros_like(ids), positions), self.cache)
        self.last = states[torch.arange(len(ids), device=self.device), lengths - 1]  # [b, d] of the last unit read

    def ask(self, waiting: Sequence[tuple[_Search, Beam]]) -> None:
        """Reads the pending tokens of the beams, and works out the options of those that have none yet."""
        groups: dict[int, list[tuple[_Search, Beam]]] = {}
        for search, beam in waiting:  # of similar lengths: a forced run may be long
            groups.setdefault(len(beam.pending).bit_length(), []).append((search, beam))
        parts = [self._read([beam for _, beam in group]) for group in groups.values()]
        self.cache = Cache.stacked([cache for cache, _, _ in parts])
        width = max(valid.shape[1] for _, valid, _ in parts)
        self.valid = torch.cat([stretched(valid, [width]) for _, valid, _ in parts])
        self.last = torch.cat([last for _, _, last in parts])
        ordered = [pair for group in groups.values() for pair in group]
        for row, (_, beam) in enumerate(ordered):
            beam.row, beam.position, beam.pending = row, beam.position + len(beam.pending), []
        self._ask([(search, beam) for search, beam in ordered if beam.options is None])

    def _ask(self, waiting: Sequence[tuple[_Search, Beam]]) -> None:
        """Works out the options; over the whole vocabulary only where look-ahead weighs by absolute probabilities."""
        looking = [(s, b) for s, b in waiting if s.ahead is not None and self.tree.level(b.node) != NAME]
        if looking:
            logits = self.network.generate(self.last[[beam.row for _, beam in looking]]).log_softmax(-1).cpu().numpy()
            for (search, beam), scores in zip(looking, logits, strict=True):
                tokens, nodes = self.tree.next_tokens(beam.node)
                chosen = scores[tokens].astype(np.float64)
                gains = self._gains(search.ahead, beam, nodes)
                beam.options = _options(search, beam, tokens, nodes, chosen if gains is None else chosen / (gains + 1))
        together: dict[int, list[tuple[_Search, Beam]]] = {}
        for search, beam in waiting:
            if beam.options is None:
                together.setdefault(beam.node, []).append((search, beam))
        for node, group in together.items():
            tokens, nodes = self.tree.next_tokens(node)
            units = torch.from_numpy(tokens.astype(np.int64)).to(self.device)
            logits = self.network.generate(self.last[[beam.row for _, beam in group]], units).double().cpu().numpy()
            for (search, beam), scores in zip(group, logits, strict=True):
                beam.options = _options(search, beam, tokens, nodes, scores)

    def _read(self, beams: Sequence[Beam]) -> tuple[Cache, Tensor, Tensor]:
        """Cache, columns with a unit, and last states of some beams, after their pending tokens."""
        rows = torch.tensor([beam.row for beam in beams], device=self.device)
        cache, valid, last = self.cache.rows(rows), self.valid[rows], self.last[rows]
        if not beams[0].pending:
            return cache, valid, last
        ids = pad([beam.pending for beam in beams], self.pad_id).to(self.device)
        count = torch.tensor([len(beam.pending) for beam in beams], device=self.device)
        steps = torch.arange(ids.shape[1], device=self.device)
        positions = torch.tensor([beam.position for beam in beams], device=self.device)[:, None] + steps
        new = steps < count[:, None]
        causal = (steps[None] <= steps[:, None]) & new[:, None]  # [b, w, w]
        mask = torch.cat([valid[:, None].expand(-1, len(steps), -1), causal], -1)
        states = self.network(Inputs(ids, mask, torch.full_like(ids, KEY_SEGMENT), positions), cache)
        return cache, torch.cat([valid, new], 1), states[torch.arange(len(beams), device=self.device), count - 1]

    def _gains(self, ahead: Ahead | None, beam: Beam, nodes: NDArray[Any]) -> NDArray[np.float64] | None:
        if ahead is None:
            return None
        first, _ = self.tree.keys(beam.node)
        name = self.tree.keys(self.tree.subject(self.tree.name_of(first)))
        return ahead.gains(name, self.tree.tokens(first)[: beam.length].tolist(), nodes.tolist())
