"""Look-ahead: how much more of a question a token would let the key cover (kexue.fm 8802)."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from nlpkit.core.text.lcs import Matcher
from nlpkit.tasks.kgqa.codec import Question
from nlpkit.tasks.kgqa.graph.prefix_tree import PrefixTree

MOST_AHEAD = 4096  # keys of a name up to which it is looked ahead


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
