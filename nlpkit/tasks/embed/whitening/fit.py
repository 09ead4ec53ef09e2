"""Fitting a whitening in one pass over any number of texts or vectors, and writing linear maps."""

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

from nlpkit.core.io.folders import check_name
from nlpkit.core.io.records import ErrorPolicy, Record, read_records
from nlpkit.core.io.stream import in_chunks
from nlpkit.core.model.manifest import MANIFEST
from nlpkit.errors import DataError, ModelError, OutputError, UsageError
from nlpkit.tasks.embed.encoder.embedder import Embedder
from nlpkit.tasks.embed.encoder.fingerprint import weights_fingerprint
from nlpkit.tasks.embed.encoder.linear_map import STORED, LinearMap, Moments, Whitening, read
from nlpkit.tasks.embed.encoder.postprocess import incompatibilities
from nlpkit.tasks.embed.encoder.unknown import is_blank
from nlpkit.tasks.embed.vectors import VectorFile, add_vectors, read_sidecar

MAX_BYTES = 1 << 25  # of a .npy file, read at a time
Advance = Callable[[int, int], None]


def fit_on_texts(
    paths: Sequence[str],
    embedder: Embedder,
    field: str | None,
    encoding: str,
    on_error: ErrorPolicy,
    advance: Advance,
    *,
    format: str | None = None,
) -> Whitening:
    """Fit a whitening on an encoder's raw vectors of the texts of files; blank lines are skipped.

    Args:
        paths: as for `core.io.records.read_records`.
        embedder: encodes the texts.
        field: as for `core.io.records.read_records`.
        encoding: of the files.
        on_error: what to do with a bad line.
        advance: called with the number of records and of bytes that were read.
        format: as for `core.io.records.read_records`.
    """
    moments = Moments(embedder.width)
    records: Iterator[Record] = read_records(paths, field, encoding, on_error, format=format)
    for chunk in in_chunks(records, lambda record: len(record.text)):
        texts = [record.text for record in chunk if not is_blank(record.text)]
        if texts:
            moments.add(embedder.raw(texts).vectors)
        advance(len(chunk), sum(record.line.size for record in chunk))
    return Whitening(embedder.raw_provenance, moments)


def fit_on_vectors(paths: Sequence[str], advance: Advance, *, max_bytes: int = MAX_BYTES) -> Whitening:
    """Fit a whitening on the vectors in .npy files.

    Args:
        paths: of the files.
        advance: called with the number of vectors and of bytes that were read.
        max_bytes: number of bytes to read at a time.

    Raises:
        DataError: a file is no matrix of floats, or holds NaN; or two have vectors of different spaces.
    """
    provenance: dict[str, Any] | None = None
    moments: Moments | None = None
    for path in paths:
        own = vectors_provenance(path)
        if provenance is not None and (changed := incompatibilities(provenance, own)):
            raise DataError(f"vectors of another {', '.join(changed)} than those of {paths[0]}", path)
        provenance = own if provenance is None else provenance
        file = VectorFile.open(path)
        dim = file.shape[1]
        moments = moments or Moments(dim)
        if file.shape[0] and dim != len(moments.mean):
            raise DataError(f"vectors of {dim} dimensions, not {len(moments.mean)} as before", path)
        for start, piece in file.pieces(max_bytes):
            add_vectors(moments, piece, start, path)
            advance(len(piece), piece.nbytes)
    return Whitening(provenance or {}, moments or Moments(1))


def read_whitening(path: Path, provenance: dict[str, Any]) -> Whitening:
    """Read a whitening that the statistics of more vectors can be merged into.

    Args:
        path: of the file.
        provenance: of the new vectors; empty if unknown.

    Raises:
        ModelError: the file is missing, broken, a projection, or was fitted on other vectors.
    """
    map = read(path)
    if not isinstance(map, Whitening):
        raise ModelError(f"{path}: a {map.kind} stores no statistics that could be merged")
    if provenance and map.provenance and (changed := incompatibilities(provenance, map.provenance)):
        raise ModelError(f"{path}: fitted for another {', '.join(changed)}; only one of the same can be merged")
    return map


def merge(fitted: Whitening, other: Whitening) -> Whitening:
    """Return a whitening with the statistics of both, and the settings of the other one.

    Raises:
        ModelError: the other one is of other dimensions.
    """
    if other.width != fitted.width:
        raise ModelError(f"a whitening of {other.width} dimensions cannot be merged with vectors of {fitted.width}")
    moments = deepcopy(fitted.moments)
    moments.merge(other.moments)
    return replace(fitted, moments=moments, beta=other.beta, gamma=other.gamma, selected_dim=other.selected_dim)


def output_path(output: Path, provenance: dict[str, Any]) -> Path:
    """Return the file to write a map to: `output`, or that of the whitening in a model's folder.

    Args:
        output: a file, or the folder of the model.
        provenance: of the vectors that the map is for; empty if unknown.

    Raises:
        UsageError: the folder is not a model's.
        ModelError: it is the folder of another model.
        OutputError: the folder of the file does not exist.
    """
    check_name(output)
    if output.is_dir():
        if not any((output / name).exists() for name in (MANIFEST, "modules.json", "config.json")):
            raise UsageError(f"--output {output}: a folder, but not a model's; name a file")
        if provenance and provenance["fingerprint"] != weights_fingerprint(output):
            raise ModelError(f"{output}: not the model that it is fitted for, {provenance['model']}; name a file")
        return output / STORED
    if not output.parent.is_dir():
        raise OutputError(f"{output}: cannot be written (there is no folder {output.parent})")
    return output


def write_map(map: LinearMap, output: Path) -> Path:
    """Write a map to its `output_path` and return that path; errors as there."""
    path = output_path(output, map.provenance)
    map.save(path, inside=path != output)
    return path


def rank_warnings(fitted: Whitening) -> list[str]:
    """Return a warning if a whitening cannot have all dimensions."""
    if fitted.rank == fitted.width:
        return []
    lost = f"the whitening has {fitted.rank}, and what lies outside them is lost"
    if fitted.moments.count <= fitted.width:
        return [f"only {fitted.moments.count} texts for {fitted.width} dimensions: {lost}"]
    return [f"the vectors do not use all {fitted.width} dimensions: {lost}"]


def with_settings(
    fitted: Whitening, beta: float | None, gamma: float | None, dim: int | None, source: str
) -> Whitening:
    """Return the whitening with other settings; None keeps the current one.

    Raises:
        DataError: the vectors do not vary.
        UsageError: there are fewer dimensions.
    """
    beta, gamma = fitted.beta if beta is None else beta, fitted.gamma if gamma is None else gamma
    # A stored number of dimensions may be more than the rank after a change of gamma or of the texts.
    old_dim = min(fitted.selected_dim, fitted.rank) if fitted.selected_dim else None
    return replace(fitted, beta=beta, gamma=gamma, selected_dim=None).validated(source).with_dim(dim or old_dim)


def vectors_provenance(path: str) -> dict[str, Any]:
    """Return the provenance in the sidecar of a .npy file; empty if there is none.

    Raises:
        DataError: the vectors are whitened already.
    """
    sidecar = read_sidecar(path)
    if not sidecar:
        return {}
    if sidecar.get("whitening") is not None:
        raise DataError("its vectors are whitened already; embed with --whiten none", path)
    return {name: sidecar.get(name) for name in ("model", "fingerprint", "pooling", "whitening", "dim", "normalised")}
