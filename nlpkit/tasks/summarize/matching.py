"""The units of a text that its reference summary was made of, by monotone matching (kexue.fm 8046, SPACES)."""

from collections.abc import Sequence

from nlpkit.core.text.lcs import lcs_similarity


def matched(units: Sequence[str], summary: Sequence[str]) -> list[int]:
    """Return, for each clause of a summary, the index of the unit of the text that is most similar to it.

    The longest clause is matched first; clauses before it are matched with units up to its own, clauses behind it with
    units from its own. So the indices ascend; a unit may be matched again. The similarity is ROUGE-L of characters.

    Args:
        units: of the text; at least one.
        summary: its clauses.
    """
    if not summary:
        return []
    longest = max(range(len(summary)), key=lambda index: len(summary[index]))
    best = max(range(len(units)), key=lambda index: lcs_similarity(units[index], summary[longest]))
    before = matched(units[: best + 1], summary[:longest])
    behind = matched(units[best:], summary[longest + 1 :])
    return [*before, best, *(best + index for index in behind)]
