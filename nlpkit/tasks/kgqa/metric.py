"""The official metric of KgCLUE.

Both sides are lower-cased and their white space collapsed. EM is the share of identical strings, F1 the mean of
2·LCS/(|a| + |b|) with the longest common subsequence in characters; the score is the mean of both, of the objects.
"""

from collections.abc import Iterable
from typing import Any

from nlpkit.core.text.lcs import lcs_similarity

PARTS = ("subject", "predicate", "object")


def normal(text: str) -> str:
    """Lower case, white space as single spaces."""
    return " ".join(text.lower().split())


def scores(pairs: Iterable[tuple[tuple[str, str, str], tuple[str, str, str]]]) -> dict[str, Any]:
    """Metrics of (gold, predicted) triples; of what was not answered the prediction is ("", "", "")."""
    count = 0
    exact, partial = [0, 0, 0, 0], [0.0, 0.0, 0.0, 0.0]
    for gold, predicted in pairs:
        count += 1
        left, right = [normal(part) for part in gold], [normal(part) for part in predicted]
        left.append("".join(left))
        right.append("".join(right))
        for index, (a, b) in enumerate(zip(left, right, strict=True)):
            exact[index] += a == b if index < 3 else left[:3] == right[:3]
            partial[index] += lcs_similarity(a, b)
    em, f1 = ([value / max(1, count) for value in values] for values in (exact, partial))
    by_part = {
        f"{name}_{part}": value[index]
        for name, value in (("em", em), ("f1", f1))
        for index, part in enumerate((*PARTS[:2], "object", "all"))
        if part != "object"
    }
    return {"em": em[2], "f1": f1[2], "score": (em[2] + f1[2]) / 2, **by_part}
