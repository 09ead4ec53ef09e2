"""HNSW, approximate nearest-neighbour search by a graph of vectors (arXiv 1603.09320), by usearch, an extra."""

import time
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from nlpkit.core.io.output import replacing_inside
from nlpkit.core.io.progress import Progress
from nlpkit.errors import ModelError
from nlpkit.tasks.embed.index.manifest import KIND, VECTORS, Precision, hnsw_file

EXPANSION = 512  # candidates of a search (ef); a larger number improves recall and takes longer
SEGMENT = 1_000_000  # vectors; with 384 dimensions a segment takes 0.9 GB of memory while it is built


def new_hnsw(dim: int) -> Any:
    """Return an empty HNSW index for vectors of unit length; raise ModelError without usearch."""
    return _usearch().Index(ndim=dim, metric="ip", dtype="f16", expansion_search=EXPANSION)


def open_hnsw(path: Path, *, mapped: bool = True) -> Any:
    """Open the HNSW index in a file, mapped for search or read into memory for additions.

    Raises:
        ModelError: usearch is not installed, or the file is broken.
    """
    usearch = _usearch()
    try:
        hnsw = usearch.Index.restore(path, view=mapped)
    except Exception as error:  # usearch has no errors of its own
        raise ModelError(f"{path}: broken ({error}); build the index again") from None
    if hnsw is None:
        raise ModelError(f"{path}: broken; build the index again")
    hnsw.expansion_search = EXPANSION
    return hnsw


def write_hnsw(
    folder: Path,
    shape: tuple[int, int],
    precision: Precision,
    progress: Progress,
    chunk_size: int,
    save_every: float,
    segment_size: int = SEGMENT,
) -> None:
    """Add the vectors, in order, that HNSW in the folder does not have yet.

    HNSW is divided into segments of a range of rows each, and only one is in memory at a time.

    Args:
        folder: of the index.
        shape: [n, d] of the vectors.
        precision: of the vectors.
        progress: called with the number of vectors that are in HNSW.
        chunk_size: vectors that are added at a time.
        save_every: seconds between two savings.
        segment_size: vectors in a segment.

    Raises:
        ModelError: usearch is not installed, or the vectors are damaged.
        OutputError: the folder cannot be written, or the disk is full.
    """
    vectors = KIND.reader(folder).array(VECTORS, [np.dtype(precision).newbyteorder("<").str], shape)
    saved = time.monotonic()
    for segment, begin in enumerate(range(0, len(vectors), segment_size)):
        path, end = folder / hnsw_file(segment), min(begin + segment_size, len(vectors))
        hnsw = _begun(path, shape[1], end - begin)
        for start in range(begin + len(hnsw), end, chunk_size):
            block = np.asarray(vectors[start : min(start + chunk_size, end)], dtype=np.float32)
            hnsw.add(np.arange(start, start + len(block)), block)
            done = start + len(block)
            progress("HNSW", done, len(vectors))
            if time.monotonic() - saved >= save_every or done == end:
                with replacing_inside(path) as temporary:
                    hnsw.save(temporary)
                saved = time.monotonic()


def _begun(path: Path, dim: int, size: int) -> Any:
    """Return the segment in a file, in memory unless it is complete; a new one if there is none or it is broken."""
    if path.exists():
        with suppress(ModelError):
            mapped = open_hnsw(path)
            return mapped if len(mapped) == size else open_hnsw(path, mapped=False)
    return new_hnsw(dim)


def has_usearch() -> bool:
    """Return whether usearch is installed."""
    return find_spec("usearch") is not None


def _usearch() -> Any:
    try:
        import usearch.index
    except ImportError:
        raise ModelError("--method graph needs usearch; install it with: pip install 'nlpkit[search]'") from None
    return usearch.index
