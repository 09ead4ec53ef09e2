"""All errors for users, caught once in `nlpkit.cli.error_handling`.

NlpkitError              exit 1
├── UsageError           exit 2   invalid options or arguments
├── DataError            exit 1   an input record or file that cannot be read, with its file and line
├── ModelError           exit 1   a checkpoint that is missing, damaged, or for another task
└── OutputError          exit 1   an output that cannot be written

A message is one line: what is wrong, where (file:line), and how to fix it.
"""


class NlpkitError(Exception):
    """Base class of all errors."""

    exit_code = 1


class UsageError(NlpkitError):
    """Invalid options or arguments."""

    exit_code = 2


class DataError(NlpkitError):
    """Input that cannot be read.

    Args:
        message: what is wrong and how to fix it.
        source: the file as named by the user, or `<stdin>`.
        line: line number from 1, if known.
        record: the text of the bad line, if it is one.
    """

    def __init__(self, message: str, source: str | None = None, line: int | None = None, record: str | None = None):
        where = "" if source is None else f"{source}: " if line is None else f"{source}:{line}: "
        super().__init__(where + message)
        self.message, self.source, self.line, self.record = message, source, line, record


class ModelError(NlpkitError):
    """A checkpoint that is missing, damaged, or for another task."""


class OutputError(NlpkitError):
    """An output that cannot be written."""
