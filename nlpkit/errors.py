"""Every error that a user can meet, caught once in `nlpkit.__main__`.

NlpkitError              exit 1
├── UsageError           exit 2   options or arguments that do not fit
├── DataError            exit 1   an input record or file that cannot be read; says where
├── ModelError           exit 1   a checkpoint that is missing, broken, or of another task
└── OutputError          exit 1   the result could not be written

A message says what is wrong, where (file:line) and what to do about it, in one line.
"""


class NlpkitError(Exception):
    """Base of the tree."""

    exit_code = 1


class UsageError(NlpkitError):
    """Options or arguments that do not fit together."""

    exit_code = 2


class DataError(NlpkitError):
    """Input that cannot be read.

    Args:
        message: what is wrong and what to do.
        source: the file as the user named it, or `<stdin>`.
        line: 1-based line number, where there is one.
    """

    def __init__(self, message: str, source: str | None = None, line: int | None = None):
        where = "" if source is None else f"{source}: " if line is None else f"{source}:{line}: "
        super().__init__(where + message)
        self.message, self.source, self.line = message, source, line


class ModelError(NlpkitError):
    """A checkpoint that is missing, broken, or made for something else."""


class OutputError(NlpkitError):
    """The result could not be written."""
