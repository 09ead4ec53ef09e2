"""Streamed output of vectors: JSON Lines, .npy or Parquet, in fp32, half precision, int8 or binary.

Each output has the provenance of the vectors: a field `encoder` in every JSON line, OUT.npy.json beside a .npy, the
metadata `nlpkit` in the schema of a Parquet file. A .npy on stdout or in a special file has no file beside it.
"""

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np
import orjson
from numpy.typing import NDArray

from nlpkit.core.io.artefacts import to_json
from nlpkit.core.io.npy import npy_header
from nlpkit.core.io.output import COMPRESSED_SUFFIXES, content_suffix, is_file_output, is_stdout, replacing
from nlpkit.core.io.printable import encodable
from nlpkit.core.io.records import Record, combined, dump_line, dumps
from nlpkit.core.pipeline.processor import LINES, Layout, Piece, Processor
from nlpkit.errors import OutputError, UsageError
from nlpkit.tasks.embed.encoder.embedder import Embeddings

Format = Literal["jsonl", "npy", "parquet"]
Precision = Literal["float32", "float16", "int8", "binary"]
SUFFIXES: dict[str, Format] = {".npy": "npy", ".parquet": "parquet"}
SIDECAR = ".json"  # behind the whole name of the .npy
ENCODER = "encoder"
FIELDS = ("embedding", ENCODER, "windows", "truncated")  # of JSON Lines


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


def make_processor(
    embed: Callable[[Sequence[str]], Embeddings],
    format: Format,
    output: str | None,
    precision: Precision,
    provenance: dict[str, Any],
    dim: int,
    nest: str | None = None,
    id_field: str | None = None,
) -> Processor:
    """Return what `nlpkit embed` does with records.

    Args:
        embed: texts → vectors.
        format: see `choose_format`.
        output: a file; None is stdout.
        precision: see `to_precision`.
        provenance: of the vectors, see `Embedder`.
        dim: of the vectors.
        nest: of JSON Lines, see `core.io.records.combined`.
        id_field: field of the input for the column `id` of Parquet.

    Raises:
        OutputError: Parquet is not installed.
    """
    provenance = {**provenance, "precision": precision}
    encode: Callable[[Sequence[Record], Embeddings], bytes]
    layout: Layout
    fields: tuple[str, ...] = ()
    if format == "jsonl":
        encode, layout, fields = partial(to_lines, provenance=provenance, precision=precision, nest=nest), LINES, FIELDS
    elif format == "npy":
        npy = NpyLayout(provenance, precision, dim)
        encode, layout = npy.encode, npy
        if output is not None and is_file_output(output):
            npy.check(output)
    else:
        parquet = ParquetLayout(provenance, precision, dim, id_field, output)
        encode, layout = parquet.encode, parquet

    def process(records: Sequence[Record]) -> Piece:
        embeddings = embed([record.text for record in records])
        counts = {"count": len(records), "truncated": len(embeddings.truncated)}
        return Piece(encode(records, embeddings), counts=counts)

    return Processor(process, fields, layout)


def to_lines(
    records: Sequence[Record],
    embeddings: Embeddings,
    *,
    provenance: dict[str, Any],
    precision: Precision,
    nest: str | None = None,
) -> bytes:
    """Return JSON Lines: the record's fields, `embedding`, `encoder`, and for a long text `windows` or `truncated`."""
    encoder = orjson.Fragment(dumps(provenance))
    vectors = to_precision(embeddings.vectors, precision)
    if precision == "float16":  # orjson writes no half precision
        vectors = vectors.astype(np.float32)
    lines: list[bytes] = []
    for index, record in enumerate(records):
        vector = None if index in embeddings.blank else np.ascontiguousarray(vectors[index])
        value: dict[str, Any] = {"embedding": vector, ENCODER: encoder}
        if index in embeddings.windows:
            value["windows"] = embeddings.windows[index]
        if index in embeddings.truncated:
            value["truncated"] = True
        lines.append(dump_line(combined(record.fields, value, nest)))
    return b"".join(lines)


class NpyLayout:
    """The layout of a .npy file [n, d] in a precision, with its sidecar file; see `core.pipeline.processor.Layout`."""

    compressible = False

    def __init__(self, provenance: dict[str, Any], precision: Precision, dim: int):
        empty = _empty(precision, dim)
        self._provenance, self._precision = provenance, precision
        self._dtype, self._width = empty.dtype, empty.shape[1]

    def encode(self, records: Sequence[Record], embeddings: Embeddings) -> bytes:
        """Return the vectors of records."""
        vectors = np.ascontiguousarray(to_precision(embeddings.vectors, self._precision), dtype=self._dtype)
        return vectors.tobytes()

    @property
    def head(self) -> bytes:
        """Return the header of an empty array, which has room for that of any length."""
        return npy_header(self._dtype, self._width, 0)

    def finish(self, path: Path, counts: dict[str, int]) -> Path:
        """Write the number of vectors into the header."""
        with path.open("r+b") as stream:
            length = (path.stat().st_size - len(self.head)) // (self._width * self._dtype.itemsize)
            stream.write(npy_header(self._dtype, self._width, length))
        return path

    def beside(self, output: str, counts: dict[str, int]) -> None:
        """Write the sidecar file."""
        self.check(output)
        content = {**self._provenance, "count": counts.get("count", 0), "truncated": counts.get("truncated", 0)}
        with replacing(output + SIDECAR) as target:
            target.write_text(to_json(content), encoding="utf-8")

    def check(self, output: str) -> None:
        """Raise OutputError if the name of the sidecar file is that of another file."""
        sidecar = Path(output + SIDECAR)
        if sidecar.exists() and not _is_sidecar(sidecar):
            cure = "it would be overwritten by the description of the vectors; move it, or choose another name"
            raise OutputError(f"{encodable(str(sidecar))}: is not a file of nlpkit embed; {cure}")


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


def identifier(record: Record, field: str) -> str:
    """Return the identifier of a record.

    Raises:
        DataError: the field has no text or whole number.
    """
    value = record.fields.get(field)
    if not isinstance(value, str | int) or isinstance(value, bool):
        raise record.line.error(f"no text or whole number in the field {field!r} of --id")
    return str(value)


class ParquetLayout:
    """The layout of a Parquet file; see `core.pipeline.processor.Layout`.

    Columns are `id` if a field is named for it, `text`, and `embedding`: a list of fixed size, or null for a blank
    text. A Parquet file cannot be continued, so the chunks are collected as an Arrow stream, which can.

    Raises:
        OutputError: pyarrow is not installed.
    """

    compressible = False

    def __init__(
        self, provenance: dict[str, Any], precision: Precision, dim: int, id_field: str | None, output: str | None
    ):
        try:
            import pyarrow as arrow
        except ImportError:
            cure = "install it with: pip install 'nlpkit[parquet]'"
            raise OutputError(f"{encodable(output or '<stdout>')}: Parquet needs an extra; {cure}") from None
        empty = _empty(precision, dim)
        vector = arrow.list_(arrow.from_numpy_dtype(empty.dtype), empty.shape[1])
        columns = [("id", arrow.string())] if id_field is not None else []
        schema = arrow.schema([*columns, ("text", arrow.string()), ("embedding", vector)])
        self._schema = schema.with_metadata({"nlpkit": dumps(provenance)})
        self._precision, self._id_field = precision, id_field

    def encode(self, records: Sequence[Record], embeddings: Embeddings) -> bytes:
        """Return the rows of records as an Arrow message; each has an identifier, see `identifier`."""
        import pyarrow as arrow

        vectors = to_precision(embeddings.vectors, self._precision)
        blank = arrow.array([index in embeddings.blank for index in range(len(records))])
        column = arrow.FixedSizeListArray.from_arrays(arrow.array(vectors.reshape(-1)), vectors.shape[1], mask=blank)
        columns = [arrow.array([record.text for record in records], arrow.string()), column]
        if self._id_field is not None:
            columns.insert(0, arrow.array([identifier(record, self._id_field) for record in records], arrow.string()))
        return bytes(arrow.record_batch(columns, schema=self._schema).serialize())

    @property
    def head(self) -> bytes:
        """Return the schema as an Arrow message."""
        return bytes(self._schema.serialize())

    def finish(self, path: Path, counts: dict[str, int]) -> Path:
        """Return the Parquet file, beside the Arrow stream."""
        import pyarrow as arrow
        from pyarrow import parquet

        target = path.with_name(f"{path.name}.parquet")
        try:
            with (
                arrow.OSFile(str(path)) as source,
                arrow.ipc.open_stream(source) as stream,
                parquet.ParquetWriter(target, self._schema) as file,
            ):
                for batch in stream:
                    file.write_batch(batch)
        except (arrow.ArrowException, ValueError, OSError) as error:
            target.unlink(missing_ok=True)
            if getattr(error, "errno", None):  # of the system, such as for a full disk
                raise
            problem = " ".join(str(error).split())[:300]
            raise OutputError(f"{encodable(str(path))}: is damaged ({problem}); remove it to start again") from None
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        return target

    def beside(self, output: str, counts: dict[str, int]) -> None:
        """Write nothing."""
