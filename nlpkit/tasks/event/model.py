"""The network: a backbone, a pointer over all roles of all types, and one link that they share."""

from nlpkit.core.spans.linker import LinkerNetwork
from nlpkit.nn.backbones import Backbone


class EventNetwork(LinkerNetwork):
    """Scores spans for each (type, role), the trigger among the roles, and pairs of spans for being in one event.

    A link goes from the left to the right and does not know the type.

    Args:
        backbone: an encoder; see `nn.backbones`.
        num_labels: c.
        head_size: of the pointers.
    """

    def __init__(self, backbone: Backbone, num_labels: int, head_size: int):
        super().__init__(backbone, num_labels, 1, head_size, ordered=True)
