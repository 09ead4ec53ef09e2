"""The network: a backbone, a pointer over subjects and objects, and two links for each predicate."""

from nlpkit.core.spans.linker import LinkerNetwork
from nlpkit.nn.backbones import Backbone


class RelationNetwork(LinkerNetwork):
    """S(s, p, o) = S(sh, st) + S(oh, ot) + S(sh, oh | p) + S(st, ot | p); an object may precede its subject.

    Args:
        backbone: an encoder; see `nn.backbones`.
        num_predicates: p.
        head_size: of the pointers.
    """

    def __init__(self, backbone: Backbone, num_predicates: int, head_size: int):
        super().__init__(backbone, 2, num_predicates, head_size, ordered=False)
