"""Progress bars on stderr, with rate and remaining time; on a terminal only."""

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nlpkit.cli.localization.help import localized
from nlpkit.core.io.records import STDIN

if TYPE_CHECKING:  # it imports torch
    from nlpkit.core.training.trainer import Progress as Run


def is_shown(quiet: bool) -> bool:
    """Return whether progress is shown."""
    return not quiet and sys.stderr.isatty()


@contextmanager
def reading(paths: list[str], quiet: bool) -> Iterator[Callable[[int, int], None]]:
    """Show a bar over the bytes of the files; give `advance(records, bytes)`."""
    if not is_shown(quiet):
        yield lambda records, size: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    rate = localized("{task.fields[lines]:,} lines, {task.fields[rate]:,.0f}/s")
    bar = Progress(
        BarColumn(), TextColumn(rate), TimeElapsedColumn(),
        TextColumn(localized("ETA")), TimeRemainingColumn(), console=Console(stderr=True), transient=True,
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
    """Show a bar over the steps of a run and a line per evaluation; give the `report` hook of the training loop."""
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
        TextColumn(localized("loss {task.fields[loss]:.4f}, {task.fields[rate]:,.0f} tokens/s")), TimeElapsedColumn(),
        TextColumn(localized("ETA")), TimeRemainingColumn(), console=console, disable=not console.is_terminal,
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
                step, value = f"{run.step}/{run.total_steps}", f"{run.metrics[metric]:.4f}"
                line = f"step {step}: dev {metric} {value}, {run.elapsed:.0f} s"
                if run.best_step == run.step:
                    line = f"step {step}: dev {metric} {value} (best), {run.elapsed:.0f} s"
                console.print(localized(line), highlight=False)

        yield report


@contextmanager
def stages(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """Show a line for each stage; give `progress(stage, done, total)`, where total is 0 if unknown."""
    if not is_shown(quiet):
        yield lambda stage, done, total: None
        return
    current, start = "", 0.0

    def progress(stage: str, done: int, total: int) -> None:
        nonlocal current, start
        if stage != current:
            sys.stderr.write("\n" if current else "")
            current, start = stage, time.monotonic()
        left = (time.monotonic() - start) / max(1, done) * (total - done)
        rest = localized(f"ETA {max(0, left):.0f} s")
        sys.stderr.write(f"\r{localized(stage)} {done:,}" + (f"/{total:,}, {rest} " if total else " "))
        sys.stderr.flush()

    try:
        yield progress
    finally:
        sys.stderr.write("\n" if current else "")


def _size(paths: list[str]) -> int | None:
    """Return the size of the files in bytes; None if one is compressed or not a file."""
    if STDIN in paths or any(Path(path).suffix in (".gz", ".xz", ".bz2", ".zst") for path in paths):
        return None
    try:
        return sum(Path(path).stat().st_size for path in paths)
    except OSError:
        return None
