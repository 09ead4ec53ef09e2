"""Asks the network how beams go on: what they have pending is read, and what the tree allows behind it weighed.

A question is a row of the cache, and all its beams stand in that row, one behind the other as they were read. A beam
is a list of places in it: its units attend to the question and to these, and have positions as if they stood there
alone. So nothing is copied where a beam splits, and what two beams share was read once.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlpkit.core.task import Inputs
from nlpkit.nn.cache import Cache
from nlpkit.tasks.kgqa.beams import Beam, Search
from nlpkit.tasks.kgqa.codec import KEY_SEGMENT, pad
from nlpkit.tasks.kgqa.model import KgqaNetwork
from nlpkit.tasks.kgqa.prefix_tree import HEAVY, NAME, PrefixTree

Array: TypeAlias = NDArray[Any]


class Decoder:
    """Reads the questions of some searches, and then their beams.

    Args:
        network: in evaluation mode.
        tree: of the keys.
        searches: with one beam each, that has read nothing.
        pad_id: of the tokenizer.
    """

    def __init__(self, network: KgqaNetwork, tree: PrefixTree, searches: Sequence[Search], pad_id: int):
        self.network, self.tree, self.pad_id = network, tree, pad_id
        self.device = network.bias.device
        self.cache = Cache()
        self.rows = list(searches)  # those of the cache
        ids = pad([search.question.ids for search in searches], pad_id)
        count, size = ids.shape
        lengths = np.array([len(search.question.ids) for search in searches])
        self.asked = np.arange(size) < lengths[:, None]  # [b, m] places of each row where its question is
        self.places = size
        mask = self.asked[:, None].repeat(size, 1)
        positions = np.arange(size)[None].repeat(count, 0)
        states = self._call(ids.numpy(), positions, np.zeros_like(positions), mask)
        free = [row for row, search in enumerate(searches) if not search.beams[0].pending]
        last = np.array([row * size + lengths[row] - 1 for row in free])
        self._weigh([(searches[row], searches[row].beams[0]) for row in free], states[self._tensor(last)])

    def read(self, searches: Sequence[Search]) -> None:
        """Reads pending units of these, and weighs the options of the beams that have none left.

        Of no question more units are read than the mean of all, or the short ones would be padding; a beam with a long
        run of forced units goes on with the next call.
        """
        self._keep(searches)
        waiting = [[beam for beam in search.beams if beam.pending and beam.key is None] for search in searches]
        needed = [sum(len(beam.pending) for beam in beams) for beams in waiting]
        width = -(-sum(needed) // len(needed))
        row_of = {id(search): row for row, search in enumerate(self.rows)}
        shape = (len(self.rows), width)
        ids, positions = np.full(shape, self.pad_id), np.zeros(shape, dtype=np.int64)
        mask = np.zeros((*shape, self.places + width), dtype=np.bool_)
        mask[:, :, : self.asked.shape[1]] = self.asked[:, None]
        ready: list[tuple[Search, Beam]] = []
        last: list[int] = []
        for search, beams in zip(searches, waiting, strict=True):
            row, begin = row_of[id(search)], 0
            for beam in beams:
                new = beam.pending[: width - begin]
                if not new:
                    break
                end, place = begin + len(new), len(search.question.ids) + len(beam.seen)
                seen = beam.seen + list(range(self.places + begin, self.places + end))
                ids[row, begin:end] = new
                positions[row, begin:end] = np.arange(place, place + len(new))
                mask[row, begin:end, beam.seen] = True
                mask[row, begin:end, self.places + begin : self.places + end] = np.tri(len(new), dtype=np.bool_)
                beam.seen, beam.pending, begin = seen, beam.pending[len(new) :], end
                if not beam.pending:
                    ready.append((search, beam))
                    last.append(row * width + end - 1)
        states = self._call(ids, positions, np.full(shape, KEY_SEGMENT), mask)
        self.places += width
        self._weigh(ready, states[self._tensor(np.array(last))])

    def _keep(self, searches: Sequence[Search]) -> None:
        """Drops the rows of finished searches once they are half of all."""
        if 2 * len(searches) <= len(self.rows):
            open_ = {id(search) for search in searches}
            kept = [row for row, search in enumerate(self.rows) if id(search) in open_]
            self.cache = self.cache.rows(torch.tensor(kept, device=self.device))
            self.asked, self.rows = self.asked[kept], [self.rows[row] for row in kept]

    def _call(self, ids: Array, positions: Array, segments: Array, mask: Array) -> Tensor:
        """The states [b · s, d] of new units."""
        ids_, positions_, segments_, mask_ = (
            torch.from_numpy(array).to(self.device) for array in (ids, positions, segments, mask)
        )
        return self.network(Inputs(ids_, mask_, segments_, positions_), self.cache).flatten(0, 1)  # type: ignore[no-any-return]

    def _weigh(self, ready: Sequence[tuple[Search, Beam]], states: Tensor) -> None:
        """Works out the options of beams from the state [n, d] of the last unit of each."""
        if not ready:
            return
        allowed = [self.tree.next_tokens(beam.node) for _, beam in ready]
        logits: dict[int, Array] = {}
        looking, few, many = [], [], defaultdict(list)
        for index, (search, beam) in enumerate(ready):
            if search.ahead is not None and self.tree.level(beam.node) != NAME:
                looking.append(index)
            elif len(allowed[index][0]) <= HEAVY:
                few.append(index)
            else:
                many[beam.node].append(index)
        if looking:  # it weighs by absolute probabilities: over the whole vocabulary
            found = _array(self.network.generate(states[looking]).log_softmax(-1))
            for index, scores in zip(looking, found, strict=True):
                tokens, nodes = allowed[index]
                logits[index] = self._ahead(*ready[index], nodes, scores[tokens])
        if few:
            counts = [len(allowed[index][0]) for index in few]
            rows, units = np.repeat(few, counts), np.concatenate([allowed[index][0] for index in few])
            found = _array(self.network.generate_each(states, self._tensor(rows), self._tensor(units)))
            logits.update(zip(few, np.split(found, np.cumsum(counts)[:-1]), strict=True))
        for group in many.values():
            found = _array(self.network.generate(states[group], self._tensor(allowed[group[0]][0])))
            logits.update(zip(group, found, strict=True))
        _choose(ready, allowed, [logits[index] for index in range(len(ready))])

    def _ahead(self, search: Search, beam: Beam, nodes: Array, scores: Array) -> Array:
        """Log-probabilities of the continuations after look-ahead."""
        first, _ = self.tree.keys(beam.node)
        name = self.tree.keys(self.tree.subject(self.tree.name_of(first)))
        prefix = self.tree.tokens(first)[: beam.length].tolist()
        gains = search.ahead.gains(name, prefix, nodes.tolist()) if search.ahead is not None else None
        return scores if gains is None else scores / (gains + 1)

    def _tensor(self, array: Array) -> Tensor:
        return torch.from_numpy(array.astype(np.int64)).to(self.device)


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


def _array(tensor: Tensor) -> Array:
    return tensor.double().cpu().numpy()
