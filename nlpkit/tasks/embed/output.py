"""Vectors to an output, as they come: JSON Lines, .npy, or Parquet; in fp32, half precision, int8 or bits.

Each says what the vectors are: a field `encoder` in every JSON line, OUT.npy.json beside a .npy, the metadata `nlpkit`
of a Parquet file's schema. A .npy that goes to stdout or to a special file has no such file beside it.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, Protocol

import numpy as np
import orjson
from numpy.lib import format as npy
from numpy.typing import NDArray

from nlpkit.core.io.output import COMPRESSED_SUFFIXES, content_suffix, is_file_output, is_stdout, open_output, replacing
from nlpkit.core.io.printable import encodable
from nlpkit.core.io.records import Record, combined, dump_line, dumps
from nlpkit.core.model.manifest import to_json
from nlpkit.errors import OutputError, UsageError
from nlpkit.tasks.embed.encoder.embedder import Embedded

Format = Literal["jsonl", "npy", "parquet"]
Precision = Literal["float32", "float16", "int8", "binary"]
SUFFIXES: dict[str, Format] = {".npy": "npy", ".parquet": "parquet"}
SIDECAR = ".json"  # behind the whole name of the .npy
ENCODER = "encoder"
FIELDS = ("embedding", ENCODER, "windows", "truncated")  # of JSON Lines


class Writer(Protocol):
    """Takes what a window of records has become."""

    def write(self, records: Sequence[Record], found: Embedded) -> None:
        """Writes the vectors of the records."""


def packed(vectors: NDArray[np.float32], precision: Precision) -> NDArray[Any]:
    """Vectors [n, d] in a precision.

    int8 scales each vector so that its greatest entry is 127: cosines stay, lengths do not. binary keeps the signs, a
    bit each, eight in a byte [n, ⌈d/8⌉], the first one highest; compare them by Hamming distance.
    """
    if precision == "int8":
        greatest = np.abs(vectors).max(axis=1, keepdims=True)
        scaled: NDArray[np.float32] = vectors * (127 / np.maximum(greatest, np.float32(1e-12)))
        return np.rint(scaled).astype(np.int8)
    if precision == "binary":
        return np.packbits(vectors > 0, axis=1)
    return vectors if precision == "float32" else vectors.astype(np.float16)


def choose_format(name: Format | None, output: str | None) -> Format:
    """The format that was asked for, or the one that the output's name says; JSON Lines else.

    Raises:
        UsageError: one that is no text, for a terminal; or one that cannot be compressed.
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
    identity: dict[str, Any],
    dim: int,
    nest: str | None = None,
) -> Iterator[Writer]:
    """A writer whose file appears when all is written.

    Args:
        format: see `choose_format`.
        output: a file; None is stdout.
        precision: see `packed`.
        identity: of the vectors, see `Embedder`.
        dim: of the vectors.
        nest: see `core.io.records.combined`; of JSON Lines.

    Raises:
        OutputError: the file cannot be written, or Parquet is not installed.
    """
    described = {**identity, "precision": precision}
    if format == "jsonl":
        with open_output(output) as stream:
            yield JsonWriter(stream, described, precision, nest)
    elif format == "npy":
        with _open_npy(output, described, precision, dim) as writer:
            yield writer
    else:
        with _open_parquet(output, described, precision, dim) as writer:
            yield writer


@dataclass(slots=True)
class JsonWriter:
    """The record's own fields, `embedding`, `encoder`, and `windows` or `truncated` where a text was too long."""

    stream: IO[bytes]
    identity: dict[str, Any]
    precision: Precision
    nest: str | None = None

    def write(self, records: Sequence[Record], found: Embedded) -> None:
        """See `Writer`."""
        encoder = orjson.Fragment(dumps(self.identity))
        rows = packed(found.vectors, self.precision)
        if self.precision == "float16":  # as numbers, as orjson writes no halves
            rows = rows.astype(np.float32)
        for index, record in enumerate(records):
            vector = None if index in found.blank else np.ascontiguousarray(rows[index])
            value: dict[str, Any] = {"embedding": vector, ENCODER: encoder}
            if index in found.windows:
                value["windows"] = found.windows[index]
            if index in found.truncated:
                value["truncated"] = True
            self.stream.write(dump_line(combined(record.fields, value, self.nest)))
        self.stream.flush()


@dataclass(slots=True)
class NpyWriter:
    """Rows behind a header whose count is filled in at the end."""

    stream: IO[bytes]
    precision: Precision
    dim: int
    count: int = 0
    cut: int = 0

    def write(self, records: Sequence[Record], found: Embedded) -> None:
        """See `Writer`."""
        self.stream.write(packed(found.vectors, self.precision).tobytes())
        self.count += len(found.vectors)
        self.cut += len(found.truncated)

    def header(self) -> None:
        """Writes the header for the rows so far; numpy leaves room for any count, so its size never changes."""
        empty = packed(np.zeros((0, self.dim), dtype=np.float32), self.precision)
        described = npy.header_data_from_array_1_0(empty) | {"shape": (self.count, empty.shape[1])}
        self.stream.seek(0)
        npy.write_array_header_1_0(self.stream, described)


@contextmanager
def _open_npy(output: str | None, identity: dict[str, Any], precision: Precision, dim: int) -> Iterator[NpyWriter]:
    sidecar = Path(output + SIDECAR) if output and is_file_output(output) else None
    if sidecar is not None and sidecar.exists() and not _is_sidecar(sidecar):
        cure = "it would be overwritten by the description of the vectors; move it, or choose another name"
        raise OutputError(f"{encodable(str(sidecar))}: is not a file of nlpkit embed; {cure}")
    with (
        replacing(output) as target,
        replacing(sidecar) if sidecar else nullcontext() as described,
        target.open("wb") as stream,
    ):
        writer = NpyWriter(stream, precision, dim)
        writer.header()
        yield writer
        writer.header()
        if described is not None:
            found = to_json({**identity, "count": writer.count, "truncated": writer.cut})
            described.write_text(found, encoding="utf-8")


def _is_sidecar(path: Path) -> bool:
    """Whether a file is one that describes vectors, or empty."""
    try:
        found = orjson.loads(path.read_bytes() or b'{"fingerprint":""}')
    except (OSError, orjson.JSONDecodeError):
        return False
    return isinstance(found, dict) and "fingerprint" in found


@dataclass(slots=True)
class ParquetWriter:
    """Columns `text` and `embedding`, a list of fixed size, or null for a blank text."""

    file: Any
    schema: Any
    precision: Precision

    def write(self, records: Sequence[Record], found: Embedded) -> None:
        """See `Writer`."""
        import pyarrow as arrow

        rows = packed(found.vectors, self.precision)
        blank = arrow.array([index in found.blank for index in range(len(records))])
        vectors = arrow.FixedSizeListArray.from_arrays(arrow.array(rows.reshape(-1)), rows.shape[1], mask=blank)
        texts = arrow.array([record.text for record in records], arrow.string())
        self.file.write_batch(arrow.record_batch([texts, vectors], schema=self.schema))


@contextmanager
def _open_parquet(
    output: str | None, identity: dict[str, Any], precision: Precision, dim: int
) -> Iterator[ParquetWriter]:
    try:
        import pyarrow as arrow
        from pyarrow import parquet
    except ImportError:
        cure = "install it with: pip install 'nlpkit[parquet]'"
        raise OutputError(f"{encodable(output or '<stdout>')}: Parquet needs an extra; {cure}") from None
    empty = packed(np.zeros((0, dim), dtype=np.float32), precision)
    vector = arrow.list_(arrow.from_numpy_dtype(empty.dtype), empty.shape[1])
    schema = arrow.schema([("text", arrow.string()), ("embedding", vector)])
    schema = schema.with_metadata({"nlpkit": dumps(identity)})
    with replacing(output) as target, parquet.ParquetWriter(target, schema) as file:
        yield ParquetWriter(file, schema, precision)
