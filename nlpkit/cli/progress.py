"""Progress on stderr, with rate and time left; only on a terminal."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nlpkit.core.io.records import STDIN

if TYPE_CHECKING:  # it imports torch
    from nlpkit.core.training.trainer import Progress as Run


def wanted(quiet: bool) -> bool:
    """Whether to show progress."""
    return not quiet and sys.stderr.isatty()


@contextmanager
def reading(paths: list[str], quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """A bar over the bytes of the files; gives `advance(records, bytes)`."""
    if not wanted(quiet):
        yield lambda records, size: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    bar = Progress(
        BarColumn(), TextColumn("{task.fields[lines]:,} lines, {task.fields[rate]:,.0f}/s"), TimeElapsedColumn(),
        TextColumn("ETA"), TimeRemainingColumn(), console=Console(stderr=True), transient=True,
    )  # fmt: skip
    with bar:
        task = bar.add_task("", total=_size(paths), lines=0, rate=0.0)
        lines = 0

        def advance(records: int, size: int) -> None:
            nonlocal lines
            lines += records
            bar.update(task, advance=size, lines=lines, rate=lines / max(1e-9, bar.tasks[0].elapsed or 1e-9))

        yield advance


@contextmanager
def training(metric: str, quiet: bool) -> Iterator[Callable[["Run"], None]]:
    """A bar over the steps of a run and a line per evaluation; gives the `report` hook of the loop."""
    if quiet:
        yield lambda run: None
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = Console(stderr=True)
    bar = Progress(
        MofNCompleteColumn(), BarColumn(),
        TextColumn("loss {task.fields[loss]:.4f}, {task.fields[rate]:,.0f} tokens/s"), TimeElapsedColumn(),
        TextColumn("ETA"), TimeRemainingColumn(), console=console, disable=not console.is_terminal,
    )  # fmt: skip
    with bar:
        task = bar.add_task("", total=None, loss=float("nan"), rate=0.0)

        def report(run: "Run") -> None:
            bar.update(
                task,
                total=run.total_steps,
                completed=run.step,
                loss=run.loss,
                rate=run.tokens / max(1e-9, run.elapsed),
            )
            if run.metrics:
                best = " (best)" if run.best_step == run.step else ""
                value = run.metrics[metric]
                console.print(
                    f"step {run.step}/{run.total_steps}: dev {metric} {value:.4f}{best}, {run.elapsed:.0f} s",
                    highlight=False,
                )

        yield report


@contextmanager
def stages(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A line on a terminal for each stage; gives `progress(stage, done, total)`, with total 0 where none is known."""
    if not wanted(quiet):
        yield lambda stage, done, total: None
        return
    current, start = "", 0.0

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal current, start
        if stage != current:
            sys.stderr.write("\n" if current else "")
            current, start = stage, time.monotonic()
        left = (time.monotonic() - start) / max(1, done) * (total - done)
        sys.stderr.write(f"\r{stage} {done:,}" + (f"/{total:,}, ETA {max(0, left):.0f} s " if total else " "))
        sys.stderr.flush()

    try:
        yield progress
    finally:
        sys.stderr.write("\n" if current else "")


def _size(paths: list[str]) -> int | None:
    """The bytes of the files, where all are files and none is compressed."""
    if STDIN in paths or any(Path(path).suffix in (".gz", ".xz", ".bz2", ".zst") for path in paths):
        return None
    try:
        return sum(Path(path).stat().st_size for path in paths)
    except OSError:
        return None
