"""HNSW, approximate nearest-neighbour search by a graph of vectors (arXiv 1603.09320), by usearch, an extra."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from nlpkit.errors import ModelError

EXPANSION = 128  # candidates that a search keeps; more find more, slower


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


def has_usearch() -> bool:
    """Return whether usearch is installed."""
    return find_spec("usearch") is not None


def _usearch() -> Any:
    try:
        import usearch.index
    except ImportError:
        raise ModelError("--method graph needs usearch; install it with: pip install 'nlpkit[search]'") from None
    return usearch.index
