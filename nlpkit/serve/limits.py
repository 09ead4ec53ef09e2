"""What a service accepts."""

from dataclasses import dataclass
from typing import Annotated

from nlpkit.core.training.option import Option


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a service; a request beyond one is refused, and the message names the option."""

    max_body: Annotated[int, Option("Largest body of a request in bytes.", min=1)] = 8 << 20
    max_texts: Annotated[int, Option("Maximum number of texts in a request.", min=1)] = 2048
    max_characters: Annotated[int, Option("Maximum number of characters of a text.", min=1)] = 100_000
    max_queue: Annotated[
        int, Option("Maximum number of characters that wait; requests beyond it get status 429.", min=1)
    ] = 1_000_000
    batch_characters: Annotated[int, Option("Number of characters that are processed together.", min=1)] = 8192
    timeout: Annotated[float, Option("Seconds after which a request that waits gets status 504.", min=0.001)] = 60.0
    body_timeout: Annotated[float, Option("Seconds within which the body of a request must arrive.", min=0.001)] = 15.0
