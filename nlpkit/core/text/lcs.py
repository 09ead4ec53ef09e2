"""How much of a key stands in a question: longest common subsequences, one token at a time.

Bit-parallel (Hyyrö 2004): the state is an int with a bit per token of the question, so a step is three operations on
machine words, and the keys of a subject share the states of their common beginnings.

    m = Matcher([5, 6, 7]); m.length(m.run([6, 9, 7])) == 2
"""

from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise


def common(left: str, right: str) -> int:
    """The characters that two texts share in their order: the length of their longest common subsequence."""
    matcher = Matcher([ord(character) for character in left])
    return matcher.length(matcher.run(map(ord, right)))


class Matcher:
    """Common subsequences with a sequence of tokens.

    Args:
        tokens: of the question.
        hidden: places of it that match nothing, such as those of the subject.
    """

    def __init__(self, tokens: Sequence[int], hidden: Collection[int] = ()):
        self.size = len(tokens)
        self.start = (1 << self.size) - 1
        self.places: dict[int, int] = {}
        for place, token in enumerate(tokens):
            if place not in hidden:
                self.places[token] = self.places.get(token, 0) | 1 << place

    def step(self, state: int, token: int) -> int:
        """The state after one more token."""
        matched = state & self.places.get(token, 0)
        return ((state + matched) | (state - matched)) & self.start if matched else state

    def run(self, tokens: Iterable[int], state: int | None = None) -> int:
        """The state after some tokens, from the start or from another state."""
        state = self.start if state is None else state
        for token in tokens:
            state = self.step(state, token)
        return state

    def length(self, state: int) -> int:
        """The length of the longest common subsequence with the tokens that led to a state."""
        return self.size - state.bit_count()

    def adjacent(self, tokens: Sequence[int]) -> int:
        """How many neighbouring pairs of the tokens are neighbours here, too."""
        places = [self.places.get(token, 0) for token in tokens]
        return sum(1 for first, second in pairwise(places) if first << 1 & second)

    def contains(self, tokens: Sequence[int]) -> bool:
        """Whether the tokens stand here in one piece."""
        if not tokens:
            return False
        ends = self.places.get(tokens[0], 0)
        for token in tokens[1:]:
            ends = (ends << 1) & self.places.get(token, 0)
        return ends != 0
