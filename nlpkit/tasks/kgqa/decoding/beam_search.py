"""Beam search along the prefix tree, for many questions at once (kexue.fm 8802).

Every beam carries its node. Where the tree allows one token only, no model is asked: such runs cost nothing but their
place in the next call, which reads all of a beam's new units at once. A key that is certain is not even read to its
end. Scores are sums of log-probabilities renormalised over what the tree allows.

*Look-ahead*: once the name is complete, a token with probability p that leads to a key standing Δ units more in the
question gets p^(1/(Δ+1)) before it is renormalised.

Beams of a question are compared at equal lengths, as in the usual search, although they are fed at different ones: at
each length the best `width` that go on are kept, and those that end among the best `width` are finished. Where one key
is wanted, the others of a question are read only once the best one could fall behind them.
"""

from collections.abc import Sequence

import torch

from nlpkit.tasks.kgqa.codec import Question
from nlpkit.tasks.kgqa.decoding.beam_state import Hypothesis, Search
from nlpkit.tasks.kgqa.decoding.decoder import Decoder
from nlpkit.tasks.kgqa.decoding.look_ahead import Ahead
from nlpkit.tasks.kgqa.graph.prefix_tree import PrefixTree
from nlpkit.tasks.kgqa.model import KgqaNetwork


@torch.inference_mode()
def beam_search(
    network: KgqaNetwork,
    tree: PrefixTree,
    questions: Sequence[Question],
    width: int,
    look_ahead: bool = True,
    wanted: int | None = None,
) -> list[list[Hypothesis]]:
    """The best keys of each question, best first.

    With a width of at least the number of keys nothing is pruned: the result is every key with its exact score.

    Args:
        network: in evaluation mode.
        tree: of the keys.
        questions: searched together, the faster the more alike their lengths are.
        width: beams of each question.
        look_ahead: see above.
        wanted: keys to give, as many as beams when None; they are the same, and found the sooner, the fewer they are.
    """
    if not questions:
        return []
    wanted = min(width, wanted or width)
    searches = [Search(q, width, wanted, Ahead(q, tree) if look_ahead else None) for q in questions]
    for search in searches:
        search.begin(tree)
    decoder = Decoder(network, tree, searches)
    while True:
        for search in searches:
            search.advance(tree)
        open_ = [search for search in searches if not search.done()]
        if not open_:
            return [search.best() for search in searches]
        decoder.read(open_)
