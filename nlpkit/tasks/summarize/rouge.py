"""ROUGE of characters (Lin 2004): F1 of n-grams, and of the longest common subsequence."""

from collections import Counter
from collections.abc import Sequence

from nlpkit.core.text.lcs import lcs_similarity
from nlpkit.core.text.normalization import normalize


def rouge(pairs: Sequence[tuple[str, str]]) -> dict[str, float]:
    """Return the mean ROUGE-L, ROUGE-1 and ROUGE-2 of (summary, reference) pairs, as fractions; 0 of no pairs.

    Characters are compared in half width, lower case and simplified form; white space is ignored.

    Example:
        甲乙丙 against 甲丙: the subsequence 甲丙 gives ROUGE-L 2·2/(3 + 2) = 0.8, so does ROUGE-1, and ROUGE-2 is 0.
    """
    plain = [tuple("".join(normalize(text).split()) for text in pair) for pair in pairs]
    count = max(1, len(plain))
    return {
        "rouge_l": sum(lcs_similarity(summary, reference) for summary, reference in plain) / count,
        "rouge_1": sum(_overlap(summary, reference, 1) for summary, reference in plain) / count,
        "rouge_2": sum(_overlap(summary, reference, 2) for summary, reference in plain) / count,
    }


def _overlap(summary: str, reference: str, n: int) -> float:
    one, other = (Counter(text[i : i + n] for i in range(len(text) - n + 1)) for text in (summary, reference))
    total = one.total() + other.total()
    return 2 * (one & other).total() / total if total else 0.0
