"""The edge: errors become one line on stderr and an exit code, here and nowhere else.

Exit codes: 0 done; 1 fatal; 2 usage; 3 done, but records were skipped (`--on-error skip`); 129, 130 and 143 ended by
SIGHUP, Ctrl-C and SIGTERM; 141 the reader of our output has gone, silently, as for any Unix tool.
"""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn, TextIO

import typer

from nlpkit.cli.lazy import LazyGroup
from nlpkit.cli.localization.help import localized
from nlpkit.core.io.printable import one_line
from nlpkit.errors import NlpkitError, OutputError

SKIPPED, INTERRUPTED, CLOSED_PIPE, BY_SIGNAL = 3, 130, 141, 128
DEBUG = "NLPKIT_DEBUG"
_LENGTH = 2000  # characters of a message
_SIGNALS = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
_CURES = {
    "train": "take a smaller --batch-size (and a larger --accumulate) or --max-length",
    "pretrain": "take a smaller --batch-size (and a larger --accumulate) or --length",
}


class Edge(LazyGroup):
    """The root command group."""

    def main(self, *args: Any, **extra: Any) -> NoReturn:
        """Run the command line and exit; nothing gets past it but the exit code."""
        _open_standard_streams()
        code: Any = None
        try:
            with _reported(None), _terminable():
                if sys.stdout is None:
                    raise OutputError("<stdout>: is closed; redirect it to a file")
                code = super().main(*args, **{**extra, "standalone_mode": False})
                sys.stdout.flush()
        except (typer.Exit, typer.Abort) as error:
            code = getattr(error, "exit_code", NlpkitError.exit_code)
        try:
            sys.stderr.flush()
        except OSError:
            _silence(sys.stderr)
        sys.exit(code if isinstance(code, int) else 0)

    def make_context(self, *args: Any, **extra: Any) -> Any:
        """Parse the options before the command; here, as what is raised further out is reworded by typer."""
        with _reported(None):
            return super().make_context(*args, **extra)

    def invoke(self, ctx: Any) -> Any:
        """Run a command."""
        with _reported(ctx):
            result = super().invoke(ctx)
            sys.stdout.flush()
            return result


class Terminated(BaseException):
    """SIGTERM or SIGHUP; like KeyboardInterrupt, it lets go of what is open and removes what is unfinished."""

    def __init__(self, number: int):
        super().__init__(number)
        self.number = number


def message(text: str) -> None:
    """Print one line on stderr in the language of the user.

    Control characters are shown, and of a long text the middle is left out.
    """
    with suppress(OSError, ValueError):
        typer.echo(f"nlpkit: {localized(one_line(text, _LENGTH))}", err=True)


@contextmanager
def _reported(ctx: Any) -> Iterator[None]:
    """Turn what goes wrong into a line and a `typer.Exit`."""
    try:
        yield
    except (typer.Exit, typer.Abort):
        raise
    except BrokenPipeError:
        _silence(sys.stdout)
        raise typer.Exit(CLOSED_PIPE) from None
    except OSError as error:  # such as a full disk
        _silence(sys.stdout)
        _fail(f"{error.filename or '<stdout>'}: {error.strerror or error}", NlpkitError.exit_code, error)
    except NlpkitError as error:
        if isinstance(error, OutputError):
            _silence(sys.stdout)
        _fail(str(error), error.exit_code, error)
    except KeyboardInterrupt:
        raise typer.Exit(INTERRUPTED) from None
    except Terminated as error:
        raise typer.Exit(BY_SIGNAL + error.number) from None
    except Exception as error:
        if hasattr(error, "format_message"):  # typer's own, of options and arguments
            _fail_usage(error)
        from nlpkit.core.pipeline.memory import is_out_of_memory

        if is_out_of_memory(error):
            cure = _CURES.get(ctx.invoked_subcommand if ctx else "", "try --device cpu")
            _fail(f"out of memory; {cure}", NlpkitError.exit_code, error)
        _fail(_internal(error), NlpkitError.exit_code, error)


def _fail(text: str, code: int, error: BaseException) -> NoReturn:
    if os.environ.get(DEBUG):
        import traceback

        traceback.print_exception(error)
    message(f"error: {text}")
    raise typer.Exit(code) from None


def _fail_usage(error: Any) -> NoReturn:
    """Report a wrong option in one line; for a group without a command show its help, as typer does."""
    context = getattr(error, "ctx", None)
    text = " ".join(error.format_message().split())
    if context is not None and text in ("", " ".join(context.get_help().split())):
        typer.echo(context.get_help(), err=True)
        raise typer.Exit(error.exit_code) from None
    see = f"; see: {context.command_path} --help" if context is not None else ""
    _fail(text.removesuffix(".") + see, error.exit_code, error)


def _internal(error: Exception) -> str:
    """Return the message of an unexpected error: what, where, and how to report it."""
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    where = f" at {Path(step.tb_frame.f_code.co_filename).name}:{step.tb_lineno}" if step is not None else ""
    cure = f"please report it with the command, and with what {DEBUG}=1 shows"
    return f"internal error: {type(error).__name__}{where}: {error}; this is a fault of nlpkit: {cure}"


@contextmanager
def _terminable() -> Iterator[None]:
    """Raise `Terminated` on the signals by which a process is asked to end, so that nothing unfinished is left.

    Once is enough: a second signal, as `timeout` sends one to the group, must not disturb the clearing up. A signal
    that is ignored, as under nohup, stays ignored.
    """

    def raise_once(number: int, frame: FrameType | None) -> None:
        for each in before:
            signal.signal(each, signal.SIG_IGN)
        raise Terminated(number)

    before: dict[int, Any] = {}
    if threading.current_thread() is threading.main_thread():
        before = {each: found for each in _SIGNALS if (found := signal.getsignal(each)) == signal.SIG_DFL}
    for each in before:
        signal.signal(each, raise_once)
    try:
        yield
    finally:
        for each, found in before.items():
            signal.signal(each, found)


def _open_standard_streams() -> None:
    """Give what was closed (`2>&-`) something harmless, so that no file of ours gets its number and its messages."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):  # help in Chinese must not fail on an ASCII terminal
            stream.reconfigure(errors="backslashreplace")


def _silence(stream: TextIO) -> None:
    """Point a stream at nothing, so that the interpreter's last flush does not complain as well."""
    with suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
