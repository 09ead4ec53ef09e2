"""The network: a backbone, a pointer over all roles of all types, and one link for all types."""

from nlpkit.core.spans.linker import LinkerNetwork
from nlpkit.nn.backbones import Backbone


class EventNetwork(LinkerNetwork):
    """Scores of spans for each (type, role), triggers included, and of pairs of spans for being in one event.

    Links go from left to right and have no type.

    Args:
        backbone: an encoder; see `nn.backbones`.
        num_labels: c.
        head_size: of the pointers.
    """

    def __init__(self, backbone: Backbone, num_labels: int, head_size: int):
        super().__init__(backbone, num_labels, 1, head_size, ordered=True)
