"""Outputs by their names: what is written at once, what when it is complete, and what can be continued."""

import io
import os
import threading

import numpy as np
import pytest
from embed_support import PROVENANCE
from pipeline_support import JOB, InterruptedRunError, listed, numbered, to_lines

from nlpkit.core.pipeline.journal import Journal
from nlpkit.core.pipeline.outputs import PageOutput, Stream, open_for
from nlpkit.core.pipeline.processor import LINES, Piece
from nlpkit.errors import OutputError, UsageError
from nlpkit.tasks.embed.output import NpyLayout

RECORDS = numbered(4)
ROWS = np.arange(12, dtype=np.float32).reshape(4, 3)


def opened(path, layout=LINES, **options):
    return open_for(path, layout, lambda: JOB, **{"resume": False, "durable": True, "report": pytest.fail} | options)


def test_each_chunk_of_a_stream_is_flushed():
    """So that a live pipe moves."""

    class Watched(io.BytesIO):
        flushed = 0

        def flush(self):
            self.flushed = len(self.getvalue())

    stream = Watched()
    for record in RECORDS:
        Stream(stream).write([record], to_lines([record]))
        assert stream.flushed == len(stream.getvalue()) > 0
    assert stream.getvalue() == to_lines(RECORDS).data


def test_a_page_gets_what_is_for_it():
    written = []
    PageOutput(written.append).write(RECORDS, Piece(b"data", b"<p>"))
    assert written == [b"<p>"]


@pytest.mark.parametrize("path", [None, "-", "/dev/stdout"])
def test_standard_output_is_written_at_once(path, capfdbinary):
    with opened(path) as output:
        output.write(RECORDS[:2], to_lines(RECORDS[:2]))
        assert capfdbinary.readouterr().out == to_lines(RECORDS[:2]).data
        output.write(RECORDS[2:], to_lines(RECORDS[2:]))
    assert capfdbinary.readouterr().out == to_lines(RECORDS[2:]).data


def test_a_fifo_is_written_at_once(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    read = []

    def reader():
        with (tmp_path / "fifo").open("rb") as stream:
            read.append(stream.readline())
            begun.set()
            read.append(stream.read())

    begun = threading.Event()
    thread = threading.Thread(target=reader)
    thread.start()
    with opened(str(tmp_path / "fifo")) as output:
        output.write(RECORDS[:1], to_lines(RECORDS[:1]))
        assert begun.wait(60)
        output.write(RECORDS[1:], to_lines(RECORDS[1:]))
    thread.join()
    assert b"".join(read) == to_lines(RECORDS).data
    assert listed(tmp_path) == ["fifo"]


def test_a_file_is_a_journal(tmp_path):
    path = tmp_path / "out.jsonl"
    with opened(str(path)) as output:
        assert isinstance(output, Journal)
        output.write(RECORDS, to_lines(RECORDS))
        assert not path.exists()
    assert path.read_bytes() == to_lines(RECORDS).data


@pytest.mark.parametrize("path", [None, "-", "/dev/stdout", "fifo", "/dev/null"])
def test_only_a_file_can_be_continued(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    os.mkfifo("fifo")
    with pytest.raises(UsageError) as found, opened(path, resume=True):
        pass
    assert str(found.value) == "--resume: only a file can be continued; name it with --output"


def write_rows(path):
    layout = NpyLayout(PROVENANCE, "float32", 3)
    with opened(path, layout) as output:
        for part in (slice(0, 3), slice(3, 4)):
            output.write(RECORDS[part], Piece(ROWS[part].tobytes(), counts={"count": 1}))


def test_what_is_complete_at_its_end_only_is_collected(tmp_path, capfdbinary):
    write_rows("-")
    assert np.array_equal(np.load(io.BytesIO(capfdbinary.readouterr().out)), ROWS)
    write_rows(str(tmp_path / "out.npy"))
    assert np.array_equal(np.load(tmp_path / "out.npy"), ROWS)
    assert listed(tmp_path) == ["out.npy", "out.npy.json"]


def test_nothing_is_written_of_what_is_collected_and_fails(tmp_path, monkeypatch, capfdbinary):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)

    def fail():
        with opened("-", NpyLayout(PROVENANCE, "float32", 3)) as output:
            output.write(RECORDS, Piece(ROWS.tobytes()))
            assert len(listed(tmp_path)) == 1
            raise InterruptedRunError

    with pytest.raises(InterruptedRunError):
        fail()
    assert capfdbinary.readouterr().out == b""
    assert listed(tmp_path) == []


@pytest.mark.parametrize(
    ("path", "message"),
    [("no/out", "there is no folder"), ("", "is a directory"), (".", "is a directory"), ("out/", "is a directory")],
)
def test_what_cannot_be_written(tmp_path, monkeypatch, path, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(OutputError, match=message), opened(path):
        pass
    assert listed(tmp_path) == []
