"""Fitting a whitening in one pass over texts or vectors of any number, or making a random projection."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlpkit.core.io.folders import check_name
from nlpkit.core.io.records import ErrorPolicy, Record, read_records
from nlpkit.core.io.stream import in_chunks
from nlpkit.core.model.manifest import MANIFEST
from nlpkit.errors import DataError, ModelError, OutputError, UsageError
from nlpkit.tasks.embed.encoder.embedder import Embedder
from nlpkit.tasks.embed.encoder.loading import fingerprint
from nlpkit.tasks.embed.encoder.postprocess import differences
from nlpkit.tasks.embed.unknown import is_blank
from nlpkit.tasks.embed.vectors import add_vectors, open_vectors, read_header, read_sidecar
from nlpkit.tasks.embed.whitening.whitening import STORED, LinearMap, Moments, Whitening, read

CHUNK = 1 << 25  # bytes of a .npy that are read at once
Advance = Callable[[int, int], None]


def whitening_of_texts(
    paths: Sequence[str], embedder: Embedder, field: str | None, encoding: str, on_error: ErrorPolicy, advance: Advance
) -> Whitening:
    """The whitening of an encoder's raw vectors over the texts of files; blank lines are passed over.

    Args:
        paths: as for `core.io.records.read_records`.
        embedder: encodes.
        field: as for `core.io.records.read_records`.
        encoding: of the files.
        on_error: what to do with a bad line.
        advance: progress: (records, bytes) more.
    """
    moments = Moments(embedder.width)
    records: Iterator[Record] = read_records(paths, field, encoding, on_error)
    for chunk in in_chunks(records, lambda record: len(record.text)):
        texts = [record.text for record in chunk if not is_blank(record.text)]
        if texts:
            moments.add(embedder.raw(texts).vectors)
        advance(len(chunk), sum(record.line.size for record in chunk))
    return Whitening(embedder.raw_identity, moments)


def whitening_of_vectors(paths: Sequence[str], advance: Advance) -> Whitening:
    """The whitening of the vectors in .npy files, read in pieces.

    Raises:
        DataError: a file is no float matrix, or holds NaN; or two are of different spaces.
    """
    identity: dict[str, Any] | None = None
    moments: Moments | None = None
    for path in paths:
        found = identity_of(path)
        if identity is not None and (changed := differences(identity, found)):
            raise DataError(f"vectors of another {', '.join(changed)} than those of {paths[0]}", path)
        identity = found if identity is None else identity
        row = 0
        for piece in _pieces(path):
            moments = moments or Moments(piece.shape[1])
            if piece.shape[1] != len(moments.mean):
                raise DataError(f"vectors of {piece.shape[1]} dimensions, not {len(moments.mean)} as before", path)
            add_vectors(moments, piece, row, path)
            row += len(piece)
            advance(len(piece), piece.nbytes)
    return Whitening(identity or {}, moments or Moments(1))


def read_whitening(path: Path, identity: dict[str, Any]) -> Whitening:
    """One that more vectors of this identity can be merged with.

    Raises:
        ModelError: the file is missing, broken, a projection, or of other vectors.
    """
    found = read(path)
    if not isinstance(found, Whitening):
        raise ModelError(f"{path}: a {found.kind} has seen no text that could be merged")
    if identity and found.identity and (changed := differences(identity, found.identity)):
        raise ModelError(f"{path}: fitted for another {', '.join(changed)}; only one of the same can be merged")
    return found


def merged(fitted: Whitening, other: Whitening) -> Whitening:
    """A whitening with what another one has seen before, and with its settings.

    Raises:
        ModelError: that one is of other vectors.
    """
    if other.width != fitted.width:
        raise ModelError(f"a whitening of {other.width} dimensions cannot be merged with vectors of {fitted.width}")
    fitted.moments.merge(other.moments)
    return replace(fitted, beta=other.beta, gamma=other.gamma, kept=other.kept)


def target(output: Path, identity: dict[str, Any]) -> Path:
    """The file to write the map of vectors to: `output`, or that of a whitening in the folder of their model.

    Raises:
        UsageError: a folder that is not a model's.
        ModelError: the folder of another model.
        OutputError: the file is in no folder.
    """
    check_name(output)
    if output.is_dir():
        if not any((output / name).exists() for name in (MANIFEST, "modules.json", "config.json")):
            raise UsageError(f"--output {output}: a folder, but not a model's; name a file")
        if identity and identity["fingerprint"] != fingerprint(output):
            raise ModelError(f"{output}: not the model that it is fitted for, {identity['model']}; name a file")
        return output / STORED
    if not output.parent.is_dir():
        raise OutputError(f"{output}: cannot be written (there is no folder {output.parent})")
    return output


def store(map: LinearMap, output: Path) -> Path:
    """Writes a map to its `target`, which see for errors; gives the path."""
    path = target(output, map.identity)
    map.save(path, inside=path != output)
    return path


def warnings(fitted: Whitening) -> list[str]:
    """What a user should know of a whitening: that it cannot have all dimensions."""
    if fitted.rank == fitted.width:
        return []
    few = fitted.moments.count <= fitted.width
    seen = f"{fitted.moments.count} texts are no more than" if few else "the vectors do not use all"
    return [f"{seen} {fitted.width} dimensions: the whitening has {fitted.rank}, and what lies outside them is lost"]


def configured(fitted: Whitening, beta: float | None, gamma: float | None, dim: int | None, source: str) -> Whitening:
    """The same with those of its settings that are given.

    Raises:
        DataError: there is nothing to whiten.
        UsageError: it has not so many dimensions.
    """
    beta, gamma = fitted.beta if beta is None else beta, fitted.gamma if gamma is None else gamma
    kept = min(fitted.kept, fitted.rank) if fitted.kept else None
    return replace(fitted, beta=beta, gamma=gamma, kept=None).checked(source).at(dim or kept)


def identity_of(path: str) -> dict[str, Any]:
    """What the sidecar of a .npy says; nothing where there is none.

    Raises:
        DataError: the vectors are whitened already.
    """
    found = read_sidecar(path)
    if not found:
        return {}
    if found.get("whitening") is not None:
        raise DataError("its vectors are whitened already; embed with --whiten none", path)
    return {name: found.get(name) for name in ("model", "fingerprint", "pooling", "whitening", "dim", "normalised")}


def _pieces(path: str) -> Iterator[NDArray[Any]]:
    """The rows of a .npy in pieces; read, not mapped, so that the memory does not grow with the file."""
    try:
        with open_vectors(path) as stream:
            shape, dtype = read_header(stream, path)
            rows = max(1, CHUNK // (shape[1] * dtype.itemsize))
            left = shape[0]
            while left:
                flat = np.fromfile(stream, dtype, min(rows, left) * shape[1])
                piece = flat[: len(flat) // shape[1] * shape[1]].reshape(-1, shape[1])
                if not len(piece):
                    raise DataError(f"ends {left} vectors too early; embed again", path)
                left -= len(piece)
                yield piece
    except FileNotFoundError:
        raise DataError("no such file", path) from None
    except (ValueError, OSError) as error:
        raise DataError(f"not a .npy file that can be read ({error})", path) from None
