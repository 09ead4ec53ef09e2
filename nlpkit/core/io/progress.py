"""The two callbacks by which long work reports its progress; `cli.progress` shows both."""

from collections.abc import Callable

Advance = Callable[[int, int], None]
"""Called with the numbers of records and of bytes (0 if unknown) that were read since the last call."""
Progress = Callable[[str, int, int], None]
"""Called with the name of a stage, the amount done, and the total."""


def silent(*counts: object) -> None:
    """Report nothing: the default of both callbacks."""
