"""Records through a processor to an output, in order, in this process or in several."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from nlpkit.core.io.progress import Advance, silent
from nlpkit.core.io.records import Record
from nlpkit.core.io.stream import CHUNK_SIZE, CHUNK_WEIGHT, WAIT, in_chunks
from nlpkit.core.pipeline.memory import Halving
from nlpkit.core.pipeline.outputs import Output
from nlpkit.core.pipeline.processor import Piece, Processor

if TYPE_CHECKING:  # it imports multiprocessing, which takes time
    from nlpkit.core.pipeline.workers import Workers

# A chunk of a file is small, as the progress is saved between chunks; it does not depend on the time.
_LIVE: dict[str, Any] = {"size": CHUNK_SIZE, "weight": CHUNK_WEIGHT, "wait": WAIT}
_SAVED: dict[str, Any] = {"size": CHUNK_SIZE // 4, "weight": CHUNK_WEIGHT // 4, "wait": None}


def run(
    records: Iterable[Record],
    processor: Processor,
    outputs: Sequence[Output],
    *,
    workers: int = 1,
    live: bool = False,
    advance: Advance = silent,
    report: Callable[[str], None] = silent,
) -> None:
    """Process records chunk by chunk, and write the outputs in the order of the input.

    Args:
        records: of the input; a thread reads ahead.
        processor: what to do with them.
        outputs: each gets all chunks.
        workers: number of processes; with 1, this process does the work.
        live: whether to process what has come when no record comes for a while, for live pipes. Without it the chunks
            depend on the records alone, and so do the last digits of the results.
        advance: called after each chunk.
        report: called with messages for the user.

    Raises:
        DataError: a record is invalid.
        OutputError: an output cannot be written.
        WorkerError: a worker process has ended.
    """
    process = Halving(processor.process, report)
    with _pool(process, workers) as started:
        chunks = in_chunks(records, lambda record: len(record.text), **(_LIVE if live else _SAVED))
        pairs = started.map(chunks) if started else ((chunk, process(chunk)) for chunk in chunks)
        for chunk, piece in pairs:
            for output in outputs:
                output.write(chunk, piece)
            advance(len(chunk), sum(record.line.size for record in chunk))


def _pool(
    process: Callable[[list[Record]], Piece], workers: int
) -> "AbstractContextManager[Workers[list[Record], Piece] | None]":
    """Return the processes that share the work; None for one."""
    if workers == 1:
        return nullcontext()
    from nlpkit.core.pipeline.workers import Workers

    return Workers(process, workers)
