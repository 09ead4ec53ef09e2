"""Values of the three heads of GPLinker; see `core.spans.linker`."""

from collections.abc import Callable, Sequence
from typing import Any, Generic, NamedTuple, TypeVar

from nlpkit.core.onnx.weights import StoredWeights
from nlpkit.core.spans.pointers import Sizes, efficient_pointer, standardized
from nlpkit.core.spans.spans import Bools, Floats, Ints, collate
from nlpkit.nn.factors import Factors

T = TypeVar("T")
NAMES = ("spans", "heads", "tails")
MATRICES = 3  # of s × s logits per sequence, whatever the number of labels


class Linked(NamedTuple, Generic[T]):
    """One value per head, such as gold spans or logits."""

    spans: T
    heads: T
    tails: T


def collate_linked(
    targets: Sequence[Linked[list[Any]]],
    num_labels: int,
    num_links: int,
    size: int,
    collate: Callable[[list[list[Any]], int, int], Ints] = collate,
) -> dict[str, Ints]:
    """Return the sparse labels of the heads for sequences of `size` positions.

    Args:
        targets: of each sequence, lists of what `collate` takes.
        num_labels: of the head of spans.
        num_links: of the other heads.
        size: of the padded sequences.
        collate: `core.spans.spans.collate` or `collate_alternatives`.
    """
    counts = Linked(num_labels, num_links, num_links)
    return {name: collate([getattr(target, name) for target in targets], getattr(counts, name), size) for name in NAMES}


def linked_head(
    weights: StoredWeights, width: int, num_labels: int, num_links: int, head_size: int, *, ordered: bool
) -> Callable[[Floats, Bools], Linked[Factors[Floats]]]:
    """Return the three heads of `LinkerNetwork` in numpy; see `core.model.task.Task.head`.

    Args:
        weights: of the network.
        width: d of the backbone.
        num_labels: as of the network.
        num_links: as of the network.
        head_size: as of the network.
        ordered: as of the network.

    Raises:
        ValueError: a weight is missing or has another shape.
    """
    spans = efficient_pointer(weights.under("spans."), Sizes(width, num_labels, head_size))
    links = Sizes(width, num_links, head_size)
    heads, tails = (
        efficient_pointer(weights.under(f"{name}."), links, rope=False, triangle=ordered) for name in NAMES[1:]
    )
    return standardized(weights, width, lambda x, mask: Linked(spans(x, mask), heads(x, mask), tails(x, mask)))
