"""Division of files into shards, and the folder of their outputs."""

import codecs
import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import write_jsonl

import nlpkit.core.pipeline.shards as module
from nlpkit.core.io.records import ErrorPolicy, dump_line, input_format, read_lines, read_records
from nlpkit.core.pipeline.processor import Piece, Processor
from nlpkit.core.pipeline.shards import MANIFEST, Shard, cut, make_folder, missing_shards, process_shard
from nlpkit.errors import DataError, OutputError, UsageError

JOB = {"command": "upper", "--threshold": 0.5}


def shards(*paths, size=1 << 26, encoding="utf-8", piece=module._PIECE):
    """Read `piece` bytes at a time."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PIECE", piece)
        return cut([str(path) for path in paths], encoding, input_format, size)


def upper(records):
    return Piece(
        b"".join(dump_line({"id": record.fields.get("id"), "upper": record.text.upper()}) for record in records)
    )


def read(parts, errors, fields):
    return read_records(parts, on_error=errors)


@given(content=st.binary(max_size=300).map(lambda data: data.replace(b"\x00", b"\n")), size=st.integers(1, 40))
def test_parts_of_a_text_have_its_lines_with_their_numbers(tmp_path_factory, content, size):
    path = tmp_path_factory.mktemp("t") / "a.txt"
    path.write_bytes(b"a" + content)  # not the beginning of an archive or a binary format
    parts = [shard.part for shard in shards(path, size=size, encoding="latin-1", piece=16)]
    whole = list(read_lines([str(path)], "latin-1"))
    assert list(read_lines(parts, "latin-1")) == whole
    assert [part.start for part in parts[1:]] == [part.end for part in parts[:-1]]
    assert parts[-1].end == path.stat().st_size


def test_files_that_cannot_be_cut_are_one_shard(tmp_path):
    lines = "一行\n" * 100
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "b.txt").write_bytes(codecs.BOM_UTF16_LE + lines.encode("utf-16-le"))
    (tmp_path / "c.csv").write_text("text\n" + lines, encoding="utf-8")
    found = shards(*(tmp_path / name for name in ("a.txt.gz", "b.txt", "c.csv")), size=10)
    assert [(shard.number, shard.part.start, shard.part.end) for shard in found] == [(n, 0, None) for n in range(3)]
    wide = shards(tmp_path / "c.csv", encoding="utf-16-le")
    assert [shard.part.end for shard in wide] == [None]


def test_parquet_is_cut_at_its_row_groups(tmp_path):
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "a.parquet"
    parquet.write_table(arrow.table({"text": [f"第{n}行" for n in range(25)]}), path, row_group_size=10)
    found = shards(path)
    assert [(shard.part.start, shard.part.line) for shard in found] == [(0, 1), (1, 11), (2, 21)]
    parts = [shard.part for shard in found]
    numbers = [(record.text, record.line.number) for record in read_records(parts)]
    assert numbers == [(f"第{n}行", n + 1) for n in range(25)]


def test_what_cannot_be_divided_is_refused(tmp_path):
    with pytest.raises(UsageError, match="--ray: stdin cannot be divided"):
        shards("-")
    with pytest.raises(DataError, match=r"none\.txt: cannot be read \(No such file"):
        shards(tmp_path / "none.txt")


def test_an_empty_file_is_an_empty_shard(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"")
    (shard,) = shards(path)
    output = shard.output(tmp_path, ".jsonl")
    assert process_shard(shard, output, Processor(upper), read, JOB, ErrorPolicy()) == 0
    assert output.read_bytes() == b""


def test_shards_one_by_one_are_the_whole(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"id": n, "text": f"text {n}"} for n in range(500)])
    found, out = shards(path, size=2000, piece=2000), tmp_path / "out"
    assert len(found) > 3
    missing = missing_shards(out, JOB, found, ".jsonl")
    assert missing == found
    assert not out.exists()
    make_folder(out, JOB, found)
    for shard in reversed(missing):
        process_shard(shard, shard.output(out, ".jsonl"), Processor(upper), read, JOB, ErrorPolicy())
    assert missing_shards(out, JOB, found, ".jsonl") == []
    joined = b"".join(path.read_bytes() for path in sorted(out.glob("part-*")))
    assert [json.loads(line)["id"] for line in joined.splitlines()] == list(range(500))
    found[1].output(out, ".jsonl").unlink()
    assert missing_shards(out, JOB, found, ".jsonl") == [found[1]]


def test_a_folder_of_another_job_is_refused(tmp_path):
    path, out = write_jsonl(tmp_path / "a.jsonl", [{"text": "a"}]), tmp_path / "out"
    found = shards(path)
    make_folder(out, JOB, found)
    with pytest.raises(
        OutputError, match=r"out: is of a run that differs in --threshold; give what it was started with"
    ):
        missing_shards(out, {**JOB, "--threshold": 0.6}, found, ".jsonl")
    other = [Shard(0, found[0].part), Shard(1, found[0].part)]
    with pytest.raises(OutputError, match="differs in input"):
        missing_shards(out, JOB, other, ".jsonl")
    (out / MANIFEST).write_text("{")
    with pytest.raises(OutputError, match=rf"{MANIFEST}: broken .*; name another folder, or remove it"):
        missing_shards(out, JOB, found, ".jsonl")


def test_a_folder_with_other_files_is_refused(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "a"}])
    for folder in (tmp_path, tmp_path / "a.jsonl"):
        with pytest.raises(OutputError, match="is a file or has other files; name a new folder"):
            missing_shards(folder, JOB, shards(path), ".jsonl")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["a.jsonl"]


def test_a_bad_record_is_named_with_its_line_in_the_file(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"text": "a"}\n' * 300 + "{\n" + '{"text": "a"}\n' * 10)
    found = shards(path, size=1000, piece=1000)
    assert len(found) > 3
    bad: list[DataError] = []
    for shard in found:
        output = shard.output(tmp_path, ".jsonl")
        process_shard(shard, output, Processor(upper), read, JOB, ErrorPolicy("skip", bad.append))
    assert [(error.line, error.record) for error in bad] == [(301, "{")]
