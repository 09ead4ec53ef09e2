"""Progress bars on stderr, with rate and remaining time; on a terminal only."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from nlpkit.cli.localization.help import localized
from nlpkit.core.io.progress import Advance, Progress, silent
from nlpkit.core.io.records import STDIN, text_size

if TYPE_CHECKING:  # it imports torch
    from nlpkit.core.training.trainer import RunProgress

_UPDATE_EVERY = 0.1  # seconds between updates of a bar, as a reader of triples reports each line


def is_shown(quiet: bool) -> bool:
    """Return whether progress is shown."""
    return not quiet and sys.stderr.isatty()


@contextmanager
def reading(paths: list[str], quiet: bool) -> Iterator[Advance]:
    """Show a bar over the bytes of the files."""
    if not is_shown(quiet):
        yield silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    rate = localized("{task.fields[lines]:,} lines, {task.fields[rate]:,.0f}/s")
    bar = Bar(
        BarColumn(), TextColumn(rate), TimeElapsedColumn(),
        TextColumn(localized("ETA")), TimeRemainingColumn(), console=Console(stderr=True), transient=True,
    )  # fmt: skip
    with bar:
        task = bar.add_task("", total=None, lines=0, rate=0.0)
        total, lines, read, updated = _size(paths), 0, 0, 0.0

        def advance(records: int, size: int) -> None:
            nonlocal lines, read, updated
            lines += records
            read += size
            if time.monotonic() - updated >= _UPDATE_EVERY:
                updated = time.monotonic()
                rate = lines / max(1e-9, bar.tasks[0].elapsed or 0)
                bar.update(task, total=total if read else None, completed=read, lines=lines, rate=rate)

        yield advance


@contextmanager
def training(metric: str, quiet: bool) -> Iterator[Callable[["RunProgress"], None]]:
    """Show a bar over the steps of a run and a line per evaluation; give the `report` hook of the training loop."""
    if quiet:
        yield silent
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar

    console = Console(stderr=True)
    bar = Bar(
        MofNCompleteColumn(), BarColumn(),
        TextColumn(localized("loss {task.fields[loss]:.4f}, {task.fields[rate]:,.0f} tokens/s")), TimeElapsedColumn(),
        TextColumn(localized("ETA")), TimeRemainingColumn(), console=console, disable=not console.is_terminal,
    )  # fmt: skip
    with bar:
        task = bar.add_task("", total=None, loss=float("nan"), rate=0.0)

        def report(run: "RunProgress") -> None:
            bar.update(
                task,
                total=run.total_steps,
                completed=run.step,
                loss=run.loss,
                rate=run.tokens / max(1e-9, run.elapsed),
            )
            if run.metrics:
                step, value = f"{run.step}/{run.total_steps}", f"{run.metrics[metric]:.4f}"
                line = f"step {step}: dev {metric} {value}, {run.elapsed:.0f} s"
                if run.best_step == run.step:
                    line = f"step {step}: dev {metric} {value} (best), {run.elapsed:.0f} s"
                console.print(localized(line), highlight=False)

        yield report


@contextmanager
def stages(quiet: bool) -> Iterator[Progress]:
    """Show a line for each stage."""
    if not is_shown(quiet):
        yield silent
        return
    current, start = "", 0.0

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal current, start
        if stage != current:
            sys.stderr.write("\n" if current else "")
            current, start = stage, time.monotonic()
        left = (time.monotonic() - start) / max(1, done) * (total - done)
        rest = localized(f"ETA {max(0, left):.0f} s")
        sys.stderr.write(f"\r{localized(stage)} {done:,}/{total:,}, {rest} ")
        sys.stderr.flush()

    try:
        yield progress
    finally:
        sys.stderr.write("\n" if current else "")


def _size(paths: list[str]) -> int | None:
    """Return the decompressed size of the files in bytes; None if that of one is unknown."""
    sizes = [None if path == STDIN else text_size(path) for path in paths]
    return None if None in sizes else sum(filter(None, sizes))
