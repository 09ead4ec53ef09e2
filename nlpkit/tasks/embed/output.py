"""Streamed output of vectors: JSON Lines, .npy or Parquet, in fp32, half precision, int8 or binary.

Each output has the provenance of the vectors: a field `encoder` in every JSON line, OUT.npy.json beside a .npy, the
metadata `nlpkit` in the schema of a Parquet file. A .npy on stdout or in a special file has no file beside it.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, Protocol

import numpy as np
import orjson
from numpy.typing import NDArray

from nlpkit.core.io.artefacts import to_json
from nlpkit.core.io.npy import NpyWriter
from nlpkit.core.io.output import COMPRESSED_SUFFIXES, content_suffix, is_file_output, is_stdout, open_output, replacing
from nlpkit.core.io.printable import encodable
from nlpkit.core.io.records import Record, combined, dump_line, dumps
from nlpkit.errors import OutputError, UsageError
from nlpkit.tasks.embed.encoder.embedder import Embeddings

Format = Literal["jsonl", "npy", "parquet"]
Precision = Literal["float32", "float16", "int8", "binary"]
SUFFIXES: dict[str, Format] = {".npy": "npy", ".parquet": "parquet"}
SIDECAR = ".json"  # behind the whole name of the .npy
ENCODER = "encoder"
FIELDS = ("embedding", ENCODER, "windows", "truncated")  # of JSON Lines


class Writer(Protocol):
    """Writes the embeddings of chunks of records."""

    def write(self, records: Sequence[Record], embeddings: Embeddings) -> None:
        """Write the vectors of the records."""


def to_precision(vectors: NDArray[np.float32], precision: Precision) -> NDArray[Any]:
    """Return vectors [n, d] in a precision.

    int8 scales each vector so that its largest entry is 127: cosines stay, lengths do not. binary keeps the signs,
    eight to a byte [n, ⌈d/8⌉], the first one in the highest bit; compare them by Hamming distance.
    """
    if precision == "int8":
        largest = np.abs(vectors).max(axis=1, keepdims=True)
        scaled: NDArray[np.float32] = vectors * (127 / np.maximum(largest, np.float32(1e-12)))
        return np.rint(scaled).astype(np.int8)
    if precision == "binary":
        return np.packbits(vectors > 0, axis=1)
    return vectors if precision == "float32" else vectors.astype(np.float16)


def choose_format(name: Format | None, output: str | None) -> Format:
    """Return the given format, else that of the suffix of the output, else JSON Lines.

    Raises:
        UsageError: a binary format for a terminal, or one that cannot be compressed.
        OutputError: the output is a folder.
    """
    chosen = name or SUFFIXES.get(content_suffix(output or ""), "jsonl")
    if chosen != "jsonl" and is_stdout(output) and sys.stdout.isatty():
        raise UsageError(f"--format {chosen} is not shown on a terminal; name a file with -o, or redirect the output")
    if chosen != "jsonl" and (suffix := Path(output or "").suffix).lower() in COMPRESSED_SUFFIXES:
        cure = f"leave {suffix} out, or take --precision float16 or int8"
        raise UsageError(f"{encodable(output or '')}: {chosen} is not compressed; {cure}")
    if output and Path(output).is_dir():
        raise OutputError(f"{encodable(output)}: is a directory; name a file")
    return chosen


@contextmanager
def open_writer(
    format: Format,
    output: str | None,
    precision: Precision,
    provenance: dict[str, Any],
    dim: int,
    nest: str | None = None,
) -> Iterator[Writer]:
    """Open a writer; its file appears when it is complete.

    Args:
        format: see `choose_format`.
        output: a file; None is stdout.
        precision: see `to_precision`.
        provenance: of the vectors, see `Embedder`.
        dim: of the vectors.
        nest: of JSON Lines, see `core.io.records.combined`.

    Raises:
        OutputError: the file cannot be written, or Parquet is not installed.
    """
    provenance = {**provenance, "precision": precision}
    if format == "jsonl":
        with open_output(output) as stream:
            yield JsonWriter(stream, provenance, precision, nest)
    elif format == "npy":
        with _open_npy(output, provenance, precision, dim) as writer:
            yield writer
    else:
        with _open_parquet(output, provenance, precision, dim) as writer:
            yield writer


@dataclass(slots=True)
class JsonWriter:
    """Writes JSON Lines: the record's fields, `embedding`, `encoder`, and for a long text `windows` or `truncated`."""

    stream: IO[bytes]
    provenance: dict[str, Any]
    precision: Precision
    nest: str | None = None

    def write(self, records: Sequence[Record], embeddings: Embeddings) -> None:
        """Write a line for each record; see `Writer`."""
        encoder = orjson.Fragment(dumps(self.provenance))
        vectors = to_precision(embeddings.vectors, self.precision)
        if self.precision == "float16":  # orjson writes no half precision
            vectors = vectors.astype(np.float32)
        for index, record in enumerate(records):
            vector = None if index in embeddings.blank else np.ascontiguousarray(vectors[index])
            value: dict[str, Any] = {"embedding": vector, ENCODER: encoder}
            if index in embeddings.windows:
                value["windows"] = embeddings.windows[index]
            if index in embeddings.truncated:
                value["truncated"] = True
            self.stream.write(dump_line(combined(record.fields, value, self.nest)))
        self.stream.flush()


class NpyVectorWriter:
    """Writes a .npy file [n, d] in a precision, and counts truncated texts."""

    def __init__(self, stream: IO[bytes], precision: Precision, dim: int):
        empty = _empty(precision, dim)
        self.array, self.precision, self.truncated = NpyWriter(stream, empty.dtype, empty.shape[1]), precision, 0

    def write(self, records: Sequence[Record], embeddings: Embeddings) -> None:
        """Append the vectors; see `Writer`."""
        self.array.append(to_precision(embeddings.vectors, self.precision))
        self.truncated += len(embeddings.truncated)


@contextmanager
def _open_npy(
    output: str | None, provenance: dict[str, Any], precision: Precision, dim: int
) -> Iterator[NpyVectorWriter]:
    sidecar = Path(output + SIDECAR) if output and is_file_output(output) else None
    if sidecar is not None and sidecar.exists() and not _is_sidecar(sidecar):
        cure = "it would be overwritten by the description of the vectors; move it, or choose another name"
        raise OutputError(f"{encodable(str(sidecar))}: is not a file of nlpkit embed; {cure}")
    with (
        replacing(output) as target,
        replacing(sidecar) if sidecar else nullcontext() as sidecar_target,
        target.open("wb") as stream,
    ):
        writer = NpyVectorWriter(stream, precision, dim)
        yield writer
        writer.array.write_header()
        if sidecar_target is not None:
            content = {**provenance, "count": writer.array.length, "truncated": writer.truncated}
            sidecar_target.write_text(to_json(content), encoding="utf-8")


def _empty(precision: Precision, dim: int) -> NDArray[Any]:
    """Return no vectors in a precision, [0, d]."""
    return to_precision(np.zeros((0, dim), dtype=np.float32), precision)


def _is_sidecar(path: Path) -> bool:
    """Return whether a file describes vectors, or is empty."""
    try:
        content = orjson.loads(path.read_bytes() or b'{"fingerprint":""}')
    except (OSError, orjson.JSONDecodeError):
        return False
    return isinstance(content, dict) and "fingerprint" in content


@dataclass(slots=True)
class ParquetWriter:
    """Writes columns `text` and `embedding`, a list of fixed size, or null for a blank text."""

    file: Any
    schema: Any
    precision: Precision

    def write(self, records: Sequence[Record], embeddings: Embeddings) -> None:
        """Write a row for each record; see `Writer`."""
        import pyarrow as arrow

        vectors = to_precision(embeddings.vectors, self.precision)
        blank = arrow.array([index in embeddings.blank for index in range(len(records))])
        column = arrow.FixedSizeListArray.from_arrays(arrow.array(vectors.reshape(-1)), vectors.shape[1], mask=blank)
        texts = arrow.array([record.text for record in records], arrow.string())
        self.file.write_batch(arrow.record_batch([texts, column], schema=self.schema))


@contextmanager
def _open_parquet(
    output: str | None, provenance: dict[str, Any], precision: Precision, dim: int
) -> Iterator[ParquetWriter]:
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        cure = "install it with: pip install 'nlpkit[parquet]'"
        raise OutputError(f"{encodable(output or '<stdout>')}: Parquet needs an extra; {cure}") from None
    empty = _empty(precision, dim)
    vector = arrow.list_(arrow.from_numpy_dtype(empty.dtype), empty.shape[1])
    schema = arrow.schema([("text", arrow.string()), ("embedding", vector)])
    schema = schema.with_metadata({"nlpkit": dumps(provenance)})
    with replacing(output) as target, parquet.ParquetWriter(target, schema) as file:
        yield ParquetWriter(file, schema, precision)
