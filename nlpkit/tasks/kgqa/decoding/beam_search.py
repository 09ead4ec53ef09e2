"""Beam search along the prefix tree, for many questions at once (kexue.fm 8802).

Scores are sums of log-probabilities, renormalised over the tokens that the tree allows. Where only one token is
allowed, the network is not called: forced tokens are encoded together with the chosen token before them. Once only one
key is left under a beam, the rest of the key is not encoded at all.

*Look-ahead*: after the name is complete, a token with probability p that leads to a key covering Δ more tokens of the
question gets p^(1/(Δ+1)) before renormalisation.

Beams of a question are compared at equal lengths, as in standard beam search, although forced tokens make them reach
these lengths in different numbers of calls. At each length the best `width` open beams are kept, and complete keys
among the best `width` are finished. Ties keep the order of the beams, then of the token ids;
complete keys with equal scores keep the order in which they were finished.
"""

from collections.abc import Sequence

from nlpkit.tasks.kgqa.codec import Question
from nlpkit.tasks.kgqa.decoding.beam_state import BeamState, Hypothesis
from nlpkit.tasks.kgqa.decoding.decoder import MAX_TOKENS_PER_CALL, Decoder
from nlpkit.tasks.kgqa.decoding.look_ahead import LookAhead
from nlpkit.tasks.kgqa.graph.prefix_tree import PrefixTree
from nlpkit.tasks.kgqa.network.runner import KgqaRunner


def beam_search(
    runner: KgqaRunner,
    tree: PrefixTree,
    questions: Sequence[Question],
    width: int,
    look_ahead: bool = True,
    *,
    max_tokens_per_call: int = MAX_TOKENS_PER_CALL,
) -> list[list[Hypothesis]]:
    """Return the best keys of each question, best first, at most `width` per question.

    If the width is at least the number of keys, the result is every key with its exact score.

    Args:
        runner: of the network.
        tree: tree of the keys.
        questions: questions; questions of similar length are searched together fastest.
        width: beam width.
        look_ahead: whether to apply look-ahead.
        max_tokens_per_call: as for `Decoder`.
    """
    if not questions:
        return []
    states = [BeamState.start(q, width, LookAhead(q, tree) if look_ahead else None, tree) for q in questions]
    decoder = Decoder(runner, tree, states, max_tokens_per_call)
    while True:
        for state in states:
            state.advance(tree)
        unfinished = [state for state in states if not state.is_done()]
        if not unfinished:
            return [state.best() for state in states]
        decoder.encode_pending(unfinished)
