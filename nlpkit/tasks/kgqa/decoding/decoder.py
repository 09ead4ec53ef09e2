"""Asks the network how beams go on: what they have pending is read, and what the tree allows behind it weighed.

A question is a row of the cache, and all its beams stand in that row, one behind the other as they were read. A beam
is a list of places in it: its units attend to the question and to these, and have positions as if they stood there
alone. So nothing is copied where a beam splits, and what two beams share was read once.
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlpkit.nn.layers.kv_cache import KeyValueCache, TokenBatch
from nlpkit.tasks.kgqa.codec import KEY_SEGMENT
from nlpkit.tasks.kgqa.decoding.beam_state import Beam, Search
from nlpkit.tasks.kgqa.graph.prefix_tree import HEAVY, NAME, PrefixTree
from nlpkit.tasks.kgqa.model import KgqaNetwork

Array: TypeAlias = NDArray[Any]
MOST_AT_ONCE = 8  # units of a question


class Decoder:
    """Reads the questions of some searches, and then their beams.

    Args:
        network: in evaluation mode.
        tree: of the keys.
        searches: with one beam each, that has read nothing.
    """

    def __init__(self, network: KgqaNetwork, tree: PrefixTree, searches: Sequence[Search]):
        self.network, self.tree = network, tree
        self.cache = KeyValueCache()
        self.rows = list(searches)  # those of the cache
        self.used = np.array([len(search.question.ids) for search in searches])  # [b] places that are taken
        size = int(self.used.max())
        asked = np.arange(size) < self.used[:, None]  # [b, m] where the question of each row stands
        rows, places = asked.nonzero()
        ids = np.concatenate([search.question.ids for search in searches])
        free = [row for row, search in enumerate(searches) if not search.beams[0].pending]
        units = ids, 0 * ids, places, rows, places, places, asked[:, None].repeat(size, 1)
        states = self._read(self.used.cumsum()[free] - 1, *units)
        self._weigh([(searches[row], searches[row].beams[0]) for row in free], states)

    def read(self, searches: Sequence[Search]) -> None:
        """Reads what the beams of these searches have pending, and weighs how those go on that have nothing left.

        A few long runs of forced units would be padding for all the others' attention; what is beyond `MOST_AT_ONCE`
        of a question waits for the next call.
        """
        self._keep(searches)
        row_of = {id(search): row for row, search in enumerate(self.rows)}
        parts = [part for search in searches for part in _pending(search)]
        owners = np.array([row_of[id(search)] for search, _, _ in parts])
        counts = np.array([len(new) for _, _, new in parts])
        begins = counts.cumsum() - counts
        rows, order = owners.repeat(counts), np.arange(counts.sum())
        added = np.bincount(rows, minlength=len(self.rows))
        slots = order - (added.cumsum() - added)[rows]  # searches come in the order of their rows
        places = self.used[rows] + slots
        starts = np.array([len(search.question.ids) + len(beam.seen) for search, beam, _ in parts])
        lengths = np.array([len(search.question.ids) for search in self.rows])
        asked = np.arange((self.used + added).max()) < lengths[:, None]
        mask = asked[:, None].repeat(added.max(), 1)
        for row, slot, place, count, (_, beam, _) in zip(
            *(array.tolist() for array in (owners, slots[begins], places[begins], counts)), parts, strict=True
        ):
            mask[row, slot : slot + count, beam.seen] = True
            mask[row, slot : slot + count, place : place + count] = np.tri(count, dtype=np.bool_)
            beam.seen, beam.pending = [*beam.seen, *range(place, place + count)], beam.pending[count:]
        ids = np.concatenate([new for _, _, new in parts])
        positions = order + (starts - begins).repeat(counts)
        ready = [index for index, (_, beam, _) in enumerate(parts) if not beam.pending]
        last = (begins + counts - 1)[ready]
        states = self._read(last, ids, np.full_like(ids, KEY_SEGMENT), positions, rows, places, slots, mask)
        self.used += added
        self._weigh([parts[index][:2] for index in ready], states)

    def _keep(self, searches: Sequence[Search]) -> None:
        """Drops the rows of finished searches once they are half of all."""
        if 2 * len(searches) <= len(self.rows):
            open_ = {id(search) for search in searches}
            kept = [row for row, search in enumerate(self.rows) if id(search) in open_]
            self.cache.select(torch.tensor(kept, device=self.network.bias.device))
            self.used, self.rows = self.used[kept], [self.rows[row] for row in kept]

    def _read(self, asked: Array, *units: Array) -> Tensor:
        """The states [k, d] of some of the new units, which are given by the fields of `TokenBatch`."""
        device = self.network.bias.device
        new = TokenBatch(*map(torch.from_numpy, units)).to(device)
        return self.network.read(new, torch.from_numpy(asked).to(device), self.cache)

    def _weigh(self, ready: Sequence[tuple[Search, Beam]], states: Tensor) -> None:
        """Works out the options of beams from the state [n, d] of the last unit of each."""
        if not ready:
            return
        scores = self.network.generate(states)
        if any(search.ahead is not None for search, _ in ready):  # it weighs by absolute probabilities
            scores = scores.log_softmax(-1)
        allowed = [self.tree.next_tokens(beam.node) for _, beam in ready]
        logits = [
            self._ahead(search, beam, nodes, row[tokens].astype(np.float64))
            for (search, beam), (tokens, nodes), row in zip(ready, allowed, scores.cpu().numpy(), strict=True)
        ]
        _choose(ready, allowed, logits)

    def _ahead(self, search: Search, beam: Beam, nodes: Array, scores: Array) -> Array:
        """Log-probabilities of the continuations after look-ahead, which begins where the name is complete."""
        if search.ahead is None or self.tree.level(beam.node) == NAME:
            return scores
        first, _ = self.tree.keys(beam.node)
        name = self.tree.keys(self.tree.subject(self.tree.name_of(first)))
        prefix = self.tree.tokens(first)[: beam.length].tolist()
        gains = search.ahead.gains(name, prefix, nodes.tolist())
        return scores if gains is None else scores / (gains + 1)


def _pending(search: Search) -> Iterator[tuple[Search, Beam, list[int]]]:
    """What is read of a search next: beams, and units of each."""
    room = MOST_AT_ONCE
    for beam in search.waiting:
        new = beam.pending[:room]
        room -= len(new)
        if new:
            yield search, beam, new


def _choose(
    ready: Sequence[tuple[Search, Beam]], allowed: Sequence[tuple[Array, Array]], logits: Sequence[Array]
) -> None:
    """Gives every beam its best continuations, twice as many as beams: so many may end, and as many go on."""
    counts = np.array([len(part) for part in logits])
    starts = np.cumsum(counts) - counts
    flat = np.concatenate(logits)
    flat -= np.repeat(np.maximum.reduceat(flat, starts), counts)
    sums = np.log(np.add.reduceat(np.exp(flat), starts))
    flat += np.repeat(np.array([beam.score for _, beam in ready]) - sums, counts)
    most = np.minimum(counts, [2 * search.width for search, _ in ready])
    likely = np.ones(len(flat), dtype=np.bool_)
    for index in np.flatnonzero(counts > HEAVY).tolist():  # sorting all of them would take longer than all else
        part = slice(starts[index], starts[index] + counts[index])
        likely[part] = flat[part] >= np.partition(flat[part], -most[index])[-most[index]]
    owners = np.repeat(np.arange(len(counts)), counts)[likely]
    order = np.lexsort((-flat[likely], owners))  # beam by beam, best first
    ranks = np.arange(len(order)) - np.searchsorted(owners, owners)
    best = np.flatnonzero(likely)[order[ranks < most[owners]]]
    tokens, nodes = (np.concatenate(part)[best].tolist() for part in zip(*allowed, strict=True))
    options = list(zip(flat[best].tolist(), tokens, nodes, strict=True))
    for (_, beam), end, count in zip(ready, np.cumsum(most).tolist(), most.tolist(), strict=True):
        beam.options = options[end - count : end]
