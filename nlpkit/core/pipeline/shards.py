"""Division of inputs into shards, and the folder of their outputs.

A shard is a part of a file that is cut at line ends, and its output is one file: FOLDER/part-000000.jsonl. An output
has its name only when it is complete, so what is missing is what has to be done, whatever was lost or done twice.
"""

import codecs
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import orjson

from nlpkit.core.io.artefacts import Reader, write_json_inside
from nlpkit.core.io.input import COMPRESSIONS, STDIN, Part
from nlpkit.core.io.json_shapes import Count
from nlpkit.core.io.output import make_inside
from nlpkit.core.io.records import ErrorPolicy, Record, dumps
from nlpkit.core.pipeline.journal import Job, Journal
from nlpkit.core.pipeline.processor import Processor
from nlpkit.core.pipeline.runner import run
from nlpkit.errors import DataError, OutputError, UsageError

MANIFEST = "nlpkit-job.json"
SHARD_BYTES = 64 << 20
_PIECE = 1 << 20
_WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE, codecs.BOM_UTF32_BE)  # UTF-32 LE begins as UTF-16 LE


@dataclass(frozen=True, slots=True)
class Shard:
    """A part of the input.

    Attributes:
        number: from 0, in the order of the input.
        part: of a file.
    """

    number: Count
    part: Part

    def output(self, folder: Path, suffix: str) -> Path:
        """Return the file of its output."""
        return folder / f"part-{self.number:06d}{suffix}"


@dataclass(frozen=True, slots=True)
class _Manifest:
    """The job of a folder, and its shards."""

    job: dict[str, Any]
    shards: list[dict[str, Any]]


def cut(paths: Sequence[str], encoding: str, formats: Callable[[str], str], size: int = SHARD_BYTES) -> list[Shard]:
    """Return the shards of files.

    A file of text or JSON Lines is cut into parts of about `size` bytes, a Parquet file into its row groups. A file
    that is compressed, in UTF-16 or UTF-32, or a table in CSV or TSV is a single shard.

    Raises:
        UsageError: stdin is among the files.
        DataError: a file cannot be read.
    """
    parts: list[Part] = []
    for path in paths:
        if path == STDIN:
            raise UsageError("--ray: stdin cannot be divided; name files, a folder or a pattern")
        absolute, format = str(Path(path).absolute()), formats(path)
        try:
            if format == "parquet":
                parts += _row_groups(absolute)
            elif format in ("text", "jsonl") and _is_divisible(absolute, encoding):
                parts += _line_ranges(absolute, size)
            else:
                parts.append(Part(absolute))
        except OSError as error:
            raise DataError(f"cannot be read ({error.strerror or error})", path) from None
    return [Shard(number, part) for number, part in enumerate(parts)]


def missing_shards(folder: Path, job: Job, shards: Sequence[Shard], suffix: str) -> list[Shard]:
    """Return the shards whose output is missing in a folder, which need not exist.

    Raises:
        OutputError: the folder has other files, or is of another job.
    """
    planned = _planned(job, shards)
    if (folder / MANIFEST).exists():
        saved = Reader(folder, OutputError, "name another folder, or remove it").json(MANIFEST, _Manifest)
        names = sorted(name for name in {*saved.job, *planned.job} if saved.job.get(name) != planned.job.get(name))
        if saved.shards != planned.shards and not names:
            names = ["input"]
        if names:
            cure = "give what it was started with, or name another folder"
            raise OutputError(f"{folder}: is of a run that differs in {', '.join(names)}; {cure}")
    elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise OutputError(f"{folder}: is a file or has other files; name a new folder")
    return [shard for shard in shards if not shard.output(folder, suffix).exists()]


def make_folder(folder: Path, job: Job, shards: Sequence[Shard]) -> None:
    """Make a folder for the outputs of shards, if it does not exist.

    Raises:
        OutputError: it cannot be written.
    """
    if not (folder / MANIFEST).exists():
        make_inside(folder)
        write_json_inside(folder / MANIFEST, asdict(_planned(job, shards)), durable=True)


def _planned(job: Job, shards: Sequence[Shard]) -> _Manifest:
    return _Manifest(orjson.loads(dumps(job)), [orjson.loads(dumps(asdict(shard))) for shard in shards])


def process_shard(
    shard: Shard,
    output: Path,
    processor: Processor,
    read: Callable[[Sequence[Part], ErrorPolicy, Sequence[str]], Iterator[Record]],
    job: Job,
    on_error: ErrorPolicy,
) -> int:
    """Process the records of a shard, continuing an unfinished output; return their number.

    Args:
        shard: to process.
        output: the file to write.
        processor: of the command.
        read: (parts of files, error policy, names of the added fields) → the records.
        job: of the whole run.
        on_error: how to handle bad records.
    """
    partial = output.with_name(f"{output.name}.partial.json").exists()
    own = {**job, "shard": shard.number}
    with Journal(output, lambda: own, processor.layout, resume=partial) as journal:
        records = journal.remaining(read([shard.part], on_error, processor.fields))
        run(records, processor, [journal], report=on_error.hint)
        return journal.records


def _is_divisible(path: str, encoding: str) -> bool:
    """Return whether a line feed is one byte in a file that is not compressed."""
    if codecs.lookup(encoding).name.startswith(("utf-16", "utf-32")):
        return False
    with Path(path).open("rb") as stream:
        head = stream.read(8)
    return not head.startswith((*_WIDE, *(magic for magic, _ in COMPRESSIONS)))


def _line_ranges(path: str, size: int) -> Iterator[Part]:
    """Yield the parts of a file, each of at least `size` bytes except the last."""
    start = position = 0
    line = lines = 1
    with Path(path).open("rb") as stream:
        while piece := stream.read(_PIECE):
            if position + len(piece) - start >= size and (end := piece.rfind(b"\n") + 1):
                yield Part(path, start, position + end, line)
                start = position + end
                line = lines + piece.count(b"\n")
            lines += piece.count(b"\n")
            position += len(piece)
    if position > start or not start:
        yield Part(path, start, position, line)


def _row_groups(path: str) -> Iterator[Part]:
    """Yield a part for each row group of a Parquet file; `start` and `end` count them."""
    from nlpkit.core.io.tables.parquet import row_groups

    line = 1
    for index, rows in enumerate(row_groups(path)):
        yield Part(path, index, index + 1, line)
        line += rows
