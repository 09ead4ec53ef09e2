"""Longest common subsequences (LCS), computed one token at a time.

The algorithm is bit-parallel (Hyyrö 2004): the state is an int with one bit per token of the reference sequence, so a
step takes three operations on machine words, and sequences with a common prefix can share its state.

    m = Matcher([5, 6, 7]); m.length(m.run([6, 9, 7])) == 2
"""

from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise


def lcs_length(left: str, right: str) -> int:
    """Return the number of characters in the longest common subsequence of two strings."""
    matcher = Matcher([ord(character) for character in left])
    return matcher.length(matcher.run(map(ord, right)))


def lcs_similarity(left: str, right: str) -> float:
    """Return 2·LCS/(|a| + |b|) of two strings; 0 if both are empty."""
    return 2 * lcs_length(left, right) / max(1, len(left) + len(right))


class Matcher:
    """Longest common subsequences of other sequences with one reference sequence.

    Args:
        tokens: the reference sequence.
        excluded: positions in it that match nothing.

    Attributes:
        places: the positions of each token as the bits of an int.
    """

    def __init__(self, tokens: Sequence[int], excluded: Collection[int] = ()):
        self.size = len(tokens)
        self.start = (1 << self.size) - 1
        self.places: dict[int, int] = {}
        for position, token in enumerate(tokens):
            if position not in excluded:
                self.places[token] = self.places.get(token, 0) | 1 << position

    def step(self, state: int, token: int) -> int:
        """Return the state after one more token."""
        matched = state & self.places.get(token, 0)
        return ((state + matched) | (state - matched)) & self.start if matched else state

    def run(self, tokens: Iterable[int], state: int | None = None) -> int:
        """Return the state after several tokens, from the initial state if None is given."""
        state = self.start if state is None else state
        for token in tokens:
            state = self.step(state, token)
        return state

    def length(self, state: int) -> int:
        """Return the length of the longest common subsequence with the tokens that led to a state."""
        return self.size - state.bit_count()

    def adjacent(self, tokens: Sequence[int]) -> int:
        """Return how many pairs of consecutive tokens are also consecutive in the reference sequence."""
        places = [self.places.get(token, 0) for token in tokens]
        return sum(1 for first, second in pairwise(places) if first << 1 & second)

    def contains(self, tokens: Sequence[int]) -> bool:
        """Return whether the tokens are a contiguous part of the reference sequence; False for no tokens."""
        if not tokens:
            return False
        ends = self.places.get(tokens[0], 0)
        for token in tokens[1:]:
            ends = (ends << 1) & self.places.get(token, 0)
        return ends != 0
