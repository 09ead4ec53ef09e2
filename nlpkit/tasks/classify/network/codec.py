"""Pairs of texts as one sequence: [CLS] a [SEP] b [SEP], all with token type 0."""

from dataclasses import dataclass

from nlpkit.core.text.document import Document
from nlpkit.core.text.tokenizer import CharTokenizer, Encoding
from nlpkit.core.text.windows import Window


@dataclass(frozen=True, slots=True)
class PairDocument(Document):
    """A pair of texts with its tokens in one window; offsets are those of each text.

    Attributes:
        truncated: whether tokens at the end of a text were left out.
    """

    truncated: bool = False

    @classmethod
    def of_pair(cls, pair: tuple[str, str], tokenizer: CharTokenizer, max_length: int) -> "PairDocument":
        """Tokenize a pair of texts and cut the longer one, or both, to fit a sequence of `max_length`."""
        first, second = (tokenizer.encode(text) for text in pair)
        budget = max_length - 3  # [CLS] and two [SEP]
        first_length, second_length = shared_budget(len(first), len(second), budget)
        encoding = Encoding(
            [*first.ids[:first_length], tokenizer.sep_id, *second.ids[:second_length]],
            [*first.starts[:first_length], len(pair[0]), *second.starts[:second_length]],
            [*first.ends[:first_length], len(pair[0]), *second.ends[:second_length]],
        )
        truncated = first_length + second_length < len(first) + len(second)
        return cls(pair[0], encoding, [Window(0, len(encoding))], truncated)


def shared_budget(first: int, second: int, budget: int) -> tuple[int, int]:
    """Return how many tokens of two texts are kept: all if they fit, else the longer one is cut first."""
    if first + second <= budget:
        return first, second
    half = budget // 2
    if first <= half:
        return first, budget - first
    if second <= budget - half:
        return budget - second, second
    return half, budget - half
