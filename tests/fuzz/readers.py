"""All readers of files: what makes small valid files, and what uses them through the public interface."""

import bz2
import gzip
import json
import lzma
from contextlib import suppress

import numpy as np
import pyarrow
import zstandard
from fuzz import datasets
from fuzz.campaign import Reader
from fuzz.folders import FOLDERS, WRITERS
from kgqa_support import make_graph
from pyarrow import parquet

from nlpkit.cli import conversion
from nlpkit.core.formats.annotation import Sink, Source
from nlpkit.core.io.printable import one_line
from nlpkit.core.io.records import ErrorPolicy, Line, Record, combined, dump_line, read_records
from nlpkit.core.pipeline import shards
from nlpkit.core.pipeline.journal import Journal
from nlpkit.core.pipeline.processor import LINES, Piece
from nlpkit.errors import NlpkitError
from nlpkit.tasks import imported
from nlpkit.tasks.classify.formats import read_examples as read_labelled
from nlpkit.tasks.embed.data import read_pairs, read_versions
from nlpkit.tasks.embed.encoder.embedder import Embeddings
from nlpkit.tasks.embed.output import NpyLayout, ParquetLayout
from nlpkit.tasks.event.formats import read_schema as read_event_schema
from nlpkit.tasks.kgqa.formats import read_examples as read_questions
from nlpkit.tasks.kgqa.graph.triples import TripleReader
from nlpkit.tasks.kgqa.rules import read_rules
from nlpkit.tasks.ner.dictionary import read_dictionary
from nlpkit.tasks.pretrain.train import _described
from nlpkit.tasks.relation.formats import read_schema as read_relation_schema
from nlpkit.tasks.summarize.data import read_examples as read_summaries

JOB = {"version": "1", "command": "ner", "input": [{"name": "in.txt", "size": 9}]}
_COMPRESS = {
    "gz": lambda content: gzip.compress(content, mtime=0), "bz2": bz2.compress, "xz": lzma.compress,
    "zst": zstandard.compress,
}  # fmt: skip


class BadMessageError(Exception):
    """A record that was skipped with a message that is not right."""


def skipping(folder):
    """Return a policy that goes on after a bad record, whose message must name the file."""

    def report(error):
        line = one_line(str(error), 2000)
        if not line.startswith(str(folder)):
            raise BadMessageError(line)

    return ErrorPolicy("skip", report=report, max_line=1 << 19)


def policies(folder):
    """Return what a reader is called with: one run ends at the first bad record, one goes on."""
    return ErrorPolicy(max_line=1 << 19), skipping(folder)


def file_reader(name, files, use, **more):
    """Return the reader of some files.

    Args:
        name: of the reader.
        files: name → content.
        use: (folder, policy) → what is read; it is read to its end.
        more: further fields of the reader.
    """

    def make(folder):
        for file, content in files.items():
            (folder / file).write_bytes(content if isinstance(content, bytes) else content.encode())

    def use_all(folder):
        error = None
        for policy in policies(folder):
            try:
                for _ in use(folder, policy):
                    pass
            except NlpkitError as raised:
                error = raised
        if error is not None:
            raise error

    return Reader(name, make, use_all, **more)


# --- records ----------------------------------------------------------------------------------------------------------


def _records(file):
    def use(folder, policy):
        for record in read_records([str(folder / file)], on_error=policy):
            yield dump_line(combined(record.fields, {"entities": []}))

    return use


def _parquet():
    table = pyarrow.table({
        "text": [datasets.TEXT, "", "今天"], "n": [1, None, 3], "x": [[1.5], [], None],
        "d": [b"\0", b"", None], "s": [{"a": 1}, {"a": None}, None],
    })  # fmt: skip
    sink = pyarrow.BufferOutputStream()
    parquet.write_table(table, sink, row_group_size=2, compression="zstd")
    return sink.getvalue().to_pybytes()


def _compressed(suffix):
    content = _COMPRESS[suffix](datasets.TEXTS["in.jsonl"].encode() * 3)
    return file_reader(f"records {suffix}", {f"in.jsonl.{suffix}": content}, _records(f"in.jsonl.{suffix}"))


# --- annotation -------------------------------------------------------------------------------------------------------


def _converted(task, format, file):
    """Read as `nlpkit convert` and as `nlpkit train` read, and write in every format that has one file."""

    def use(folder, policy):
        path = str(folder / file)
        records = list(conversion.read(format, Source([path], on_error=policy)))
        for target in conversion.TARGETS:
            if conversion.target(target).write is not None:
                sink = Sink(skipping(folder))
                yield from conversion.render(target, conversion.without_unsupported(target, records, sink), sink)
        read = imported(f"nlpkit.tasks.{task}.formats:read_examples")
        yield from read([path], format, on_error=policy)

    return use


def _labelled(format, file):
    def use(folder, policy):
        yield from read_labelled([str(folder / file)], format, on_error=policy)
        if format in conversion.LABELLED:
            source = Source([str(folder / file)], on_error=policy)
            yield from map(dump_line, conversion.read_labelled(format, source))

    return use


def _triples(file):
    return lambda folder, policy: TripleReader(on_error=policy).read([str(folder / file)])


def _annotated():
    for (task, format, file), content in datasets.ANNOTATED.items():
        files = {file: content, **({"in.txt": datasets.EVENT} if format == "brat" else {})}
        suffix = "" if format != "labelstudio" else " array" if file == "in.json" else " lines"
        yield file_reader(f"{task} {format}{suffix}", files, _converted(task, format, file))


_GRAPHS = {}  # folder → its graph, which is not mutated here


def _make_rules(folder):
    _GRAPHS[folder] = make_graph(folder.parent / f"{folder.name}.kg")
    (folder / "rules.tsv").write_text(datasets.RULES, encoding="utf-8")


def _use_rules(folder):
    path = str(folder / "rules.tsv")
    rules = read_rules(path, _GRAPHS[folder], skipping(folder))
    rules.fixed_answer("谁写了石头记？")
    rules.replace_aliases("石头记的作者是谁？")
    read_rules(path, _GRAPHS[folder])


# --- unfinished outputs -----------------------------------------------------------------------------------------------

_RECORDS = [Record(text, {"text": text}, Line(text, "in.txt", number)) for number, text in enumerate("甲乙丙丁")]
_VECTORS = Embeddings(np.eye(2, 3, dtype=np.float32))
_FRAME = b" " * (5 << 20)  # that a frame of a compressed output is complete
_PROVENANCE = {"model": "m", "fingerprint": "1f"}


class _Killed(BaseException):
    """In place of a signal."""


def _outputs(folder):
    """Yield (file, layout, the output of two records)."""
    arrays = NpyLayout(_PROVENANCE, "float32", 3), ParquetLayout(_PROVENANCE, "float32", 3, None, None)
    for name, layout in zip(("out.npy", "out.parquet"), arrays, strict=True):
        yield folder / name, layout, Piece(layout.encode(_RECORDS[:2], _VECTORS), counts={"count": 2})
    for name in ("out.jsonl", "out.jsonl.gz"):
        yield folder / name, LINES, Piece(_FRAME if name.endswith("gz") else b"1\n2\n")


def _make_partial(folder):
    for path, layout, piece in _outputs(folder):
        with suppress(_Killed), Journal(path, lambda: JOB, layout, save_every=0) as journal:
            journal.write(_RECORDS[:2], piece)
            raise _Killed


def _resume_partial(folder):
    error = None
    for path, layout, piece in _outputs(folder):
        try:
            with Journal(path, lambda: JOB, layout, resume=True, save_every=0) as journal:
                journal.write(
                    list(journal.remaining(_RECORDS)), Piece(piece.data[:99] if layout is LINES else piece.data)
                )
        except NlpkitError as raised:
            error = raised
    if error is not None:
        raise error


_SHARDS = [shards.Shard(number, shards.Part("/in.txt", number * 4, number * 4 + 4)) for number in range(3)]


# --- the table --------------------------------------------------------------------------------------------------------

READERS = {
    reader.name: reader
    for reader in (
        *(Reader(name, *parts, writes=name in WRITERS) for name, parts in FOLDERS.items()),
        *(file_reader(f"records {file}", {file: content}, _records(file)) for file, content in datasets.TEXTS.items()),
        # pyarrow allocates what the header of a page says, up to 2 GiB, before it sees that the page is shorter.
        file_reader("records parquet", {"in.parquet": _parquet()}, _records("in.parquet"), memory=5 << 29),
        *map(_compressed, _COMPRESS),
        *_annotated(),
        *(
            file_reader(f"classify {format}", {file: content}, _labelled(format, file))
            for (format, file), content in datasets.LABELLED.items()
        ),
        *(
            file_reader(
                f"kgqa {format}", {"in.jsonl": content},
                lambda folder, policy, format=format: read_questions(
                    [str(folder / "in.jsonl")], format, on_error=policy
                ),
            )
            for format, content in datasets.QUESTIONS.items()
        ),
        *(
            file_reader(
                f"pairs {file}", {file: content},
                lambda folder, policy, file=file: [
                    *read_pairs([str(folder / file)], on_error=policy),
                    *read_versions([str(folder / file)], on_error=policy),
                ],
            )
            for file, content in datasets.PAIRS.items()
        ),
        *(
            file_reader(
                f"summaries {file}", {file: content},
                lambda folder, policy, file=file: read_summaries([str(folder / file)], "utf-8", policy),
            )
            for file, content in datasets.SUMMARIES.items()
        ),
        *(file_reader(f"triples {name}", {name: text}, _triples(name)) for name, text in datasets.TRIPLES.items()),
        file_reader(
            "names", {"names.tsv": datasets.DICTIONARY},
            lambda folder, policy: read_dictionary(str(folder / "names.tsv"), on_error=policy).find(datasets.TEXT),
        ),
        Reader("rules", _make_rules, _use_rules),
        file_reader(
            "relation schema", {"schema.jsonl": datasets.RELATION_SCHEMA},
            lambda folder, policy: read_relation_schema(str(folder / "schema.jsonl"), ("总部", "总部.x")),
        ),
        file_reader(
            "event schema", {"schema.jsonl": datasets.EVENT_SCHEMA},
            lambda folder, policy: read_event_schema(str(folder / "schema.jsonl"), {"收购": ["买方"]}),
        ),
        file_reader(
            "backbone config", {"config.json": json.dumps(datasets.BACKBONE)},
            lambda folder, policy: _described(str(folder / "config.json"), "roformer_v2"),
        ),
        Reader("partial output", _make_partial, _resume_partial, writes=True),
        Reader(
            "job folder", lambda folder: shards.make_folder(folder / "out", JOB, _SHARDS),
            lambda folder: shards.missing_shards(folder / "out", JOB, _SHARDS, ".jsonl"),
        ),
    )
}  # fmt: skip
