"""Relations that exclude each other: a person has one father, but a film has several actors.

The network scores each relation by itself. How often relations stand together is known from the training texts, and
makes a relation beside a more probable one less probable.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from nlpkit.tasks.relation.data import Example, Relation, Span

# Of each predicate, in a text: the share of subjects with one object, of objects with one subject, of pairs of both
# with no other predicate, and of relations whose subject and object do not both overlap with those of another one.
Shares = Mapping[str, tuple[float, float, float, float]]

# Exponents of the odds, one for each share. The network has learned part of the first three from the text: for the
# first two, ½ was the best of ¼, ½, ¾ and 1, on average over three models of DuIE.
EXPONENTS = (0.5, 0.5, 0.5, 1.0)
PAIR = 2  # index of the share of pairs


def count_shares(examples: Iterable[Example]) -> dict[str, tuple[float, float, float, float]]:
    """Return the shares of each predicate, with Laplace's rule of succession; subjects and objects are strings."""
    alone: dict[str, list[list[bool]]] = defaultdict(lambda: [[] for _ in EXPONENTS])
    for example in examples:
        partners: dict[tuple[int, str, str], set[str]] = defaultdict(set)
        for relation in example.relations:
            for key, partner in _groups(example.text, relation):
                partners[key].add(partner)
        for (side, first, _), found in partners.items():
            for predicate in found if side == PAIR else (first,):
                alone[predicate][side].append(len(found) == 1)
        overlapping = {index for pair in _overlaps(example.relations) for index in pair}
        for index, relation in enumerate(example.relations):
            alone[relation.predicate][3].append(index not in overlapping)
    return {predicate: (_share(a), _share(b), _share(c), _share(d)) for predicate, (a, b, c, d) in alone.items()}


def exclude(text: str, relations: Sequence[Relation], shares: Shares) -> list[Relation]:
    """Return the relations with lower scores where more probable ones exclude them.

    A more probable relation excludes one that has (1) the same subject and predicate, (2) the same object and
    predicate, (3) the same subject and object, or (4) the same predicate, and a subject and an object that overlap with
    its own. Each of the four multiplies the odds by a power of (1 − φ) / φ, where φ is the share of the predicate, if
    that is more than ½. Occurrences of the same strings do not exclude each other in (1) to (3).

    Example:
        In 甲的父亲是乙还是丙？, 乙 and 丙 have the probabilities 0.9 and 0.8. If 99 % of the subjects have one father,
        that of 丙 becomes 0.29, as its odds of 4 are multiplied by √(1 / 99).
    """
    if not shares:
        return list(relations)
    groups = [_groups(text, relation) for relation in relations]
    best: dict[tuple[int, str, str], tuple[float, str]] = defaultdict(lambda: (0.0, ""))
    for relation, found in zip(relations, groups, strict=True):
        for key, partner in found:
            best[key] = max(best[key], (relation.score, partner))
    overlapped = set()
    for i, j in _overlaps(relations):
        if relations[i].score != relations[j].score:
            overlapped.add(i if relations[i].score < relations[j].score else j)
    result = []
    for index, (relation, found) in enumerate(zip(relations, groups, strict=True)):
        excluded = [best[key][0] > relation.score and best[key][1] != partner for key, partner in found]
        score, known = relation.score, shares.get(relation.predicate, (0.0, 0.0, 0.0, 0.0))
        for share, exponent, applies in zip(known, EXPONENTS, (*excluded, index in overlapped), strict=True):
            if applies and share > 0.5:
                factor = ((1 - share) / share) ** exponent
                score = score * factor / (score * factor + 1 - score)
        result.append(replace(relation, score=score))
    return result


def _groups(text: str, relation: Relation) -> tuple[tuple[tuple[int, str, str], str], ...]:
    """Return, for the first three shares, what a relation may have in common with others, and the rest of it."""
    (subject, other), predicate = relation.strings(text), relation.predicate
    return ((0, predicate, subject), other), ((1, predicate, other), subject), ((PAIR, subject, other), predicate)


def _share(alone: Sequence[bool]) -> float:
    return (sum(alone) + 1) / (len(alone) + 2)


def _overlaps(relations: Sequence[Relation]) -> Iterator[tuple[int, int]]:
    """Yield the pairs of relations of one predicate whose subjects and whose objects overlap, as indices."""
    order = sorted(range(len(relations)), key=lambda index: (relations[index].predicate, relations[index].subject))
    for place, i in enumerate(order):
        for later in range(place + 1, len(order)):
            one, other = relations[i], relations[order[later]]
            if other.predicate != one.predicate or other.subject.start >= one.subject.end:
                break
            if _overlap(one.object, other.object):
                yield i, order[later]


def _overlap(one: Span, other: Span) -> bool:
    return one.start < other.end and other.start < one.end
