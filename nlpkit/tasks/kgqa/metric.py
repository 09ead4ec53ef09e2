"""Official metric of KgCLUE.

Strings are lower-cased and their white space is collapsed. EM is the fraction of equal strings. F1 is the mean of
2·LCS/(|a| + |b|), with the longest common subsequence in characters. The score is the mean of EM and F1 of the objects.
"""

from collections.abc import Iterable
from typing import Any

from nlpkit.core.text.lcs import lcs_similarity

COLUMNS = ("subject", "predicate", "object", "all")
_OBJECT = 2


def normalize_text(text: str) -> str:
    """Return the text in lower case, with runs of white space as single spaces."""
    return " ".join(text.lower().split())


def is_right(gold: tuple[str, str, str], predicted: tuple[str, str, str]) -> bool:
    """Return whether subject, predicate and object are equal: what `em_all` counts."""
    return all(normalize_text(left) == normalize_text(right) for left, right in zip(gold, predicted, strict=True))


def scores(pairs: Iterable[tuple[tuple[str, str, str], tuple[str, str, str]]]) -> dict[str, Any]:
    """Return the metrics of (gold, predicted) triples; the prediction for an unanswered question is ("", "", "")."""
    count = 0
    exact, partial = [0] * len(COLUMNS), [0.0] * len(COLUMNS)
    for gold, predicted in pairs:
        count += 1
        left, right = [normalize_text(text) for text in gold], [normalize_text(text) for text in predicted]
        equal = [a == b for a, b in zip(left, right, strict=True)]
        for column, is_equal in enumerate([*equal, all(equal)]):
            exact[column] += is_equal
        for column, (a, b) in enumerate(zip([*left, "".join(left)], [*right, "".join(right)], strict=True)):
            partial[column] += lcs_similarity(a, b)
    em, f1 = ([value / max(1, count) for value in values] for values in (exact, partial))
    by_column = {
        f"{name}_{column}": values[index]
        for name, values in (("em", em), ("f1", f1))
        for index, column in enumerate(COLUMNS)
        if index != _OBJECT
    }
    return {"em": em[_OBJECT], "f1": f1[_OBJECT], "score": (em[_OBJECT] + f1[_OBJECT]) / 2, **by_column}
