"""A chunk that does not fit in memory is processed in halves."""

import gc
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np

from nlpkit.core.io.records import Record
from nlpkit.core.pipeline.processor import Piece

_BLAS = 128  # rows of a product that OpenBLAS computes with a buffer
_WORDS = ("can't allocate memory", "out of memory", "not enough memory", "bad_alloc", "bad allocation",
          "failed to allocate memory")  # fmt: skip


def is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out.

    The errors of torch and ONNX Runtime have no common class: torch's for CUDA is recognized by its name; theirs for
    a CPU are recognized by their text.
    """
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    own = isinstance(error, RuntimeError) or type(error).__module__.startswith("onnxruntime")
    return own and any(words in str(error).lower() for words in _WORDS)


class Halving:
    """Processes a chunk in parts of at most `limit` records; after an error for lack of memory, in parts half as large.

    Args:
        process: see `Processor`.
        report: called with a message when the parts become smaller.
    """

    def __init__(self, process: Callable[[Sequence[Record]], Piece], report: Callable[[str], None]):
        self._process, self._report = process, report
        square = np.ones((_BLAS, _BLAS), dtype=np.float32)
        np.dot(square, square)  # OpenBLAS takes its memory now: later it would end the process if there were none
        self.limit: int | None = None

    def __call__(self, chunk: Sequence[Record]) -> Piece:
        """Return the output of a chunk.

        Raises:
            DataError: a single record does not fit.
        """
        pieces: list[Piece] = []
        done = 0
        while done < len(chunk):
            part = chunk[done : done + (self.limit or len(chunk))]
            try:
                pieces.append(self._process(part))
                done += len(part)
            except Exception as error:
                self._shrink(part, error)
        if len(pieces) == 1:
            return pieces[0]
        counts: Counter[str] = Counter()
        for piece in pieces:
            counts.update(piece.counts)
        return Piece(b"".join(p.data for p in pieces), b"".join(p.page for p in pieces), dict(counts))

    def _shrink(self, part: Sequence[Record], error: Exception) -> None:
        """Halve the limit; raise the error if it is another one, or if the part is a single record."""
        if not is_out_of_memory(error):
            raise error
        if len(part) == 1:
            size = f"out of memory for a text of {len(part[0].text):,} characters; split it, or pass --device cpu"
            raise part[0].line.error(size) from error
        self.limit = len(part) // 2
        self._report(f"out of memory; continuing with {self.limit:,} texts at a time")
        error.__traceback__ = None  # its frames hold the memory
        gc.collect()
