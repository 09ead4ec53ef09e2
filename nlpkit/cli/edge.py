"""The edge: errors become one line on stderr and an exit code, here and nowhere else.

Exit codes: 0 done; 1 fatal; 2 usage; 3 done, but records were skipped (`--on-error skip`); 130 Ctrl-C; 141 the reader
of our output has gone, silently, as for any Unix tool.
"""

import os
import sys
from contextlib import suppress
from typing import Any

import typer
from typer.core import TyperGroup

from nlpkit.errors import NlpkitError, OutputError

SKIPPED, INTERRUPTED, CLOSED_PIPE = 3, 130, 141
_CURES = {
    "train": "take a smaller --batch-size (and a larger --accumulate) or --max-length",
    "pretrain": "take a smaller --batch-size (and a larger --accumulate) or --length",
}


class Edge(TyperGroup):
    """The root command group."""

    def invoke(self, ctx: Any) -> Any:
        """Runs a command and turns what went wrong into a line and a code."""
        if sys.stdout is None:
            message("error: <stdout>: is closed; redirect it to a file")
            raise typer.Exit(NlpkitError.exit_code)
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            _silence_stdout()
            raise typer.Exit(CLOSED_PIPE) from None
        except OSError as error:  # such as a full disk
            _silence_stdout()
            message(f"error: {error.filename or '<stdout>'}: {error.strerror or error}")
            raise typer.Exit(NlpkitError.exit_code) from None
        except NlpkitError as error:
            if isinstance(error, OutputError):
                _silence_stdout()
            message(f"error: {error}")
            raise typer.Exit(error.exit_code) from None
        except (MemoryError, RuntimeError) as error:
            if not _out_of_memory(error):
                raise
            message(f"error: out of memory; {_CURES.get(ctx.invoked_subcommand, 'try --device cpu')}")
            raise typer.Exit(NlpkitError.exit_code) from None
        except KeyboardInterrupt:
            raise typer.Exit(INTERRUPTED) from None
        return result


def message(text: str) -> None:
    """One line on stderr."""
    with suppress(OSError):
        typer.echo(f"nlpkit: {text}", err=True)


def _out_of_memory(error: Exception) -> bool:
    """Torch's own error is known by its name, as torch is not loaded here; of a CPU or MPS it is a RuntimeError."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    return any(words in str(error) for words in ("can't allocate memory", "out of memory"))


def _silence_stdout() -> None:
    """Points stdout at nothing, so that the interpreter's last flush does not complain as well."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
