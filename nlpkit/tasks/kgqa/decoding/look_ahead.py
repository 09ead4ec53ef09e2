"""Look-ahead: how many more tokens of the question a continuation allows the key to cover (kexue.fm 8802)."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from nlpkit.core.text.lcs import Matcher
from nlpkit.tasks.kgqa.codec import Question
from nlpkit.tasks.kgqa.graph.prefix_tree import PrefixTree

MAX_KEYS = 4096  # of a name; names with more keys get no look-ahead


class LookAhead:
    """Coverage of a question by the keys under the nodes of a tree.

    Coverage is the length of the longest common subsequence of question and key, in tokens.

    Args:
        question: question to cover.
        tree: tree of the keys.
        max_keys: number of keys of a name above which it gets no look-ahead.
    """

    def __init__(self, question: Question, tree: PrefixTree, max_keys: int = MAX_KEYS):
        self.tree, self.matcher, self.max_keys = tree, Matcher(question.tokens), max_keys
        self._coverage_of_keys: dict[tuple[int, int], list[int]] = {}

    def gains(
        self, name_keys: tuple[int, int], prefix: Iterable[int], nodes: Sequence[int]
    ) -> NDArray[np.float64] | None:
        """Return Δ for each node: the best coverage of a key under it minus the coverage of the prefix.

        None if the name has too many keys.

        Args:
            name_keys: range of the keys of the name.
            prefix: tokens so far.
            nodes: children of the prefix's node.
        """
        lo, hi = name_keys
        if hi - lo > self.max_keys:
            return None
        coverage = self._coverage_of_keys.get(name_keys)
        if coverage is None:
            coverage = [self._coverage(self.tree.tokens(key).tolist()) for key in range(lo, hi)]
            self._coverage_of_keys[name_keys] = coverage
        covered = self._coverage(prefix)
        ranges = (self.tree.keys(node) for node in nodes)
        return np.array([max(coverage[start - lo : end - lo]) - covered for start, end in ranges], dtype=np.float64)

    def _coverage(self, tokens: Iterable[int]) -> int:
        return self.matcher.length(self.matcher.run(tokens))
