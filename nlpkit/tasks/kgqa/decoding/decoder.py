"""Advance the beams: encode their pending tokens and score the continuations that the tree allows.

Each question has one sequence in the key/value cache, which all its beams share: their tokens are appended in the order
of encoding. A beam is a list of positions in that sequence. Its tokens attend to the question and to these positions
only, and their position ids count only these. So a beam can branch without copying, and shared prefixes are encoded
once.
"""

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from nlpkit.nn.tokens import TokenBatch
from nlpkit.tasks.kgqa.codec import KEY_SEGMENT, question_tokens
from nlpkit.tasks.kgqa.decoding.beam_state import Beam, BeamState
from nlpkit.tasks.kgqa.graph.prefix_tree import HEAVY, NAME, PrefixTree
from nlpkit.tasks.kgqa.network.runner import Floats, KgqaRunner, log_softmax

Array: TypeAlias = NDArray[Any]
MAX_TOKENS_PER_CALL = 8  # pending tokens of a question that are encoded in one call


class Decoder:
    """Encoder of questions and beams; the questions are encoded on construction.

    Args:
        runner: of the network.
        tree: tree of the keys.
        states: new states, each with one beam.
        max_tokens_per_call: number of pending tokens of a question that are encoded in one call.
    """

    def __init__(
        self,
        runner: KgqaRunner,
        tree: PrefixTree,
        states: Sequence[BeamState],
        max_tokens_per_call: int = MAX_TOKENS_PER_CALL,
    ):
        self.runner, self.tree, self.max_tokens_per_call = runner, tree, max_tokens_per_call
        self.cache = runner.new_cache()
        self.states = list(states)  # state of each sequence of the cache
        self.lengths = np.array([len(state.question.ids) for state in states])  # [b] used length of each sequence
        ready = [row for row, state in enumerate(states) if not state.beams[0].pending]
        last = self.lengths.cumsum() - 1
        hidden = runner.encode(question_tokens([state.question for state in states]), last, self.cache)
        self._score_options([(states[row], states[row].beams[0]) for row in ready], hidden[ready])

    def encode_pending(self, states: Sequence[BeamState]) -> None:
        """Encode the pending tokens of the states' beams; score the options of the beams with no token left.

        At most `max_tokens_per_call` tokens of a question are encoded per call, because a few long runs of forced
        tokens would pad the attention of all other questions. The rest waits for the next call.

        Args:
            states: states with `waiting` beams, in the order of the decoder.
        """
        self._drop_finished(states)
        sequence_of = {id(state): row for row, state in enumerate(self.states)}
        runs = [run for state in states for run in _next_tokens(state, self.max_tokens_per_call)]
        owners = np.array([sequence_of[id(state)] for state, _, _ in runs])
        counts = np.array([len(new) for _, _, new in runs])
        begins = counts.cumsum() - counts
        sequence_ids, order = owners.repeat(counts), np.arange(counts.sum())
        added = np.bincount(sequence_ids, minlength=len(self.states))
        slots = order - (added.cumsum() - added)[sequence_ids]  # the states are in the order of their sequences
        cache_positions = self.lengths[sequence_ids] + slots
        starts = np.array([len(state.question.ids) + len(beam.cache_positions) for state, beam, _ in runs])
        question_lengths = np.array([len(state.question.ids) for state in self.states])
        in_question = np.arange((self.lengths + added).max()) < question_lengths[:, None]
        mask = in_question[:, None].repeat(added.max(), 1)
        for row, slot, position, count, (_, beam, _) in zip(
            *(array.tolist() for array in (owners, slots[begins], cache_positions[begins], counts)), runs, strict=True
        ):
            mask[row, slot : slot + count, beam.cache_positions] = True
            mask[row, slot : slot + count, position : position + count] = np.tri(count, dtype=np.bool_)
            beam.cache_positions = [*beam.cache_positions, *range(position, position + count)]
            beam.pending = beam.pending[count:]
        ids = np.concatenate([new for _, _, new in runs])
        position_ids = order + (starts - begins).repeat(counts)
        ready = [index for index, (_, beam, _) in enumerate(runs) if not beam.pending]
        last = (begins + counts - 1)[ready]
        types = np.full_like(ids, KEY_SEGMENT)
        tokens = TokenBatch(ids, types, position_ids, sequence_ids, cache_positions, slots, mask)
        hidden = self.runner.encode(tokens, last, self.cache)
        self.lengths += added
        self._score_options([runs[index][:2] for index in ready], hidden)

    def _drop_finished(self, unfinished: Sequence[BeamState]) -> None:
        """Drop the cache of finished states once they are at least half of all."""
        if 2 * len(unfinished) <= len(self.states):
            open_states = {id(state) for state in unfinished}
            kept = [row for row, state in enumerate(self.states) if id(state) in open_states]
            self.cache = self.cache.select(np.array(kept))
            self.lengths, self.states = self.lengths[kept], [self.states[row] for row in kept]

    def _score_options(self, ready: Sequence[tuple[BeamState, Beam]], hidden: Floats) -> None:
        """Set the options of beams from the hidden state [n, d] of the last token of each."""
        if not ready:
            return
        scores = self.runner.generate(hidden)
        if any(state.look_ahead is not None for state, _ in ready):  # look-ahead needs normalised probabilities
            scores = log_softmax(scores)
        allowed = [self.tree.next_tokens(beam.node) for _, beam in ready]
        logits = [
            self._with_look_ahead(state, beam, nodes, row[tokens].astype(np.float64))
            for (state, beam), (tokens, nodes), row in zip(ready, allowed, scores, strict=True)
        ]
        _set_options(ready, allowed, logits)

    def _with_look_ahead(self, state: BeamState, beam: Beam, nodes: Array, scores: Array) -> Array:
        """Return the log-probabilities of the continuations after look-ahead, which starts after the name."""
        if state.look_ahead is None or self.tree.level(beam.node) == NAME:
            return scores
        first, _ = self.tree.keys(beam.node)
        name_keys = self.tree.keys(self.tree.subject(self.tree.name_of(first)))
        prefix = self.tree.tokens(first)[: beam.length].tolist()
        gains = state.look_ahead.gains(name_keys, prefix, nodes.tolist())
        return scores if gains is None else scores / (gains + 1)


def _next_tokens(state: BeamState, budget: int) -> Iterator[tuple[BeamState, Beam, list[int]]]:
    """Yield the waiting beams of a state with the tokens of each to encode next, at most `budget` in all."""
    for beam in state.waiting:
        new = beam.pending[:budget]
        budget -= len(new)
        if new:
            yield state, beam, new


def _set_options(
    ready: Sequence[tuple[BeamState, Beam]], allowed: Sequence[tuple[Array, Array]], logits: Sequence[Array]
) -> None:
    """Set the best continuations of each beam, 2 × width: up to `width` of them may end while `width` stay open."""
    counts = np.array([len(scores) for scores in logits])
    starts = np.cumsum(counts) - counts
    flat = np.concatenate(logits)
    flat -= np.repeat(np.maximum.reduceat(flat, starts), counts)
    sums = np.log(np.add.reduceat(np.exp(flat), starts))
    flat += np.repeat(np.array([beam.score for _, beam in ready]) - sums, counts)
    kept = np.minimum(counts, [2 * state.width for state, _ in ready])
    likely = np.ones(len(flat), dtype=np.bool_)
    for index in np.flatnonzero(counts > HEAVY).tolist():  # sorting thousands of options would dominate the search
        options_of = slice(starts[index], starts[index] + counts[index])
        likely[options_of] = flat[options_of] >= np.partition(flat[options_of], -kept[index])[-kept[index]]
    owners = np.repeat(np.arange(len(counts)), counts)[likely]
    order = np.lexsort((-flat[likely], owners))  # grouped by beam, best first
    ranks = np.arange(len(order)) - np.searchsorted(owners, owners)
    best = np.flatnonzero(likely)[order[ranks < kept[owners]]]
    tokens, nodes = (np.concatenate(arrays)[best].tolist() for arrays in zip(*allowed, strict=True))
    options = list(zip(flat[best].tolist(), tokens, nodes, strict=True))
    for (_, beam), end, count in zip(ready, np.cumsum(kept).tolist(), kept.tolist(), strict=True):
        beam.options = options[end - count : end]
