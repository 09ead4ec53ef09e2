"""An output that can be continued: what is left of a run that failed, and what comes of it; refusals are elsewhere."""

import bz2
import gzip
import json
import lzma
import tempfile
from contextlib import suppress
from hashlib import blake2b
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from embed_support import PROVENANCE
from hypothesis import given, settings
from hypothesis import strategies as st
from pipeline_support import InterruptedRunError, listed, made, numbered, to_lines, write
from support import texts

from nlpkit.core.pipeline import journal
from nlpkit.core.pipeline.processor import LINES
from nlpkit.tasks.embed.encoder.embedder import Embeddings
from nlpkit.tasks.embed.output import make_processor

DECOMPRESS = {"": bytes, ".gz": gzip.decompress, ".xz": lzma.decompress, ".bz2": bz2.decompress}
SUFFIXES = (*DECOMPRESS, ".zst")


def embed(batch):
    """A vector for each text, which depends on its characters."""
    digests = [blake2b(text.encode(), digest_size=6).digest() for text in batch]
    return Embeddings(np.array([list(digest) for digest in digests], np.float32), truncated=frozenset({0}))


def writer(name):
    """(process, layout) for the name of an output."""
    if Path(name).suffix not in (".npy", ".parquet"):
        return {}
    pytest.importorskip("pyarrow")
    format = Path(name).suffix[1:]
    made = make_processor(embed, format, None, "float32", PROVENANCE, 6, id_field="text")
    return {"process": made.process, "layout": made.layout}


def decompressed(content, suffix):
    if suffix == ".zst":
        zstandard = pytest.importorskip("zstandard")
        return zstandard.ZstdDecompressor().decompressobj(read_across_frames=True).decompress(content)
    return DECOMPRESS[suffix](content)


@pytest.mark.parametrize("frame", [1, 100])
@pytest.mark.parametrize("stop", [1, 4])
@pytest.mark.parametrize("name", [*(f"out.jsonl{suffix}" for suffix in SUFFIXES), "out.npy", "out.parquet"])
def test_a_run_that_is_continued_gives_the_same_bytes(tmp_path, monkeypatch, name, stop, frame):
    monkeypatch.setattr(journal, "FRAME", frame)
    records, kind = numbered(11), writer(name)
    (tmp_path / "whole").mkdir()
    write(tmp_path / "whole" / name, records, **kind)
    with pytest.raises(InterruptedRunError):
        write(tmp_path / name, records, stop=stop, **kind)
    saved = stop > 1 or frame == 1 or name.endswith(("npy", "parquet", "jsonl"))
    assert listed(tmp_path) == [*([f"{name}.partial", f"{name}.partial.json"] if saved else []), "whole"]
    write(tmp_path / name, records, resume=True, **kind)
    assert listed(tmp_path) == [*listed(tmp_path / "whole"), "whole"]
    for each in listed(tmp_path / "whole"):
        assert (tmp_path / each).read_bytes() == (tmp_path / "whole" / each).read_bytes()


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_frames_are_one_compressed_file(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(journal, "FRAME", 60)
    records = numbered(9)
    write(tmp_path / f"out{suffix}", records)
    assert decompressed((tmp_path / f"out{suffix}").read_bytes(), suffix) == to_lines(records).data


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_an_output_without_records_is_a_file_of_its_kind(tmp_path, suffix):
    write(tmp_path / f"out{suffix}", [])
    assert decompressed((tmp_path / f"out{suffix}").read_bytes(), suffix) == b""


@given(
    texts=st.lists(texts, max_size=12), size=st.integers(1, 4), frame=st.integers(1, 300),
    stops=st.lists(st.integers(0, 12), max_size=3), torn=st.binary(max_size=9), suffix=st.sampled_from(["", ".gz"]),
)  # fmt: skip
@settings(max_examples=40)
def test_however_often_a_run_is_ended(texts, size, frame, stops, torn, suffix):
    records = made(texts)
    with tempfile.TemporaryDirectory() as folder, mock.patch.object(journal, "FRAME", frame):
        whole, path = Path(folder) / f"whole{suffix}", Path(folder) / f"out{suffix}"
        write(whole, records, size=size)
        for stop in [*stops, None]:
            with suppress(InterruptedRunError):
                write(path, records, size=size, stop=stop, resume=True)
            if path.exists():
                break
            if (partial := Path(f"{path}.partial")).exists():
                with partial.open("ab") as stream:
                    stream.write(torn)
        assert path.read_bytes() == whole.read_bytes()
        assert listed(folder) == [path.name, whole.name]


def test_what_is_left_of_a_run_that_failed_after_a_saving(tmp_path):
    messages = []
    (tmp_path / "out.jsonl").write_text("old")
    with pytest.raises(InterruptedRunError):
        write(tmp_path / "out.jsonl", numbered(9), stop=3, report=messages.append)
    assert (tmp_path / "out.jsonl").read_text() == "old"
    assert (tmp_path / "out.jsonl.partial").read_bytes() == to_lines(numbered(6)).data
    state = json.loads((tmp_path / "out.jsonl.partial.json").read_text())
    assert (state["records"], state["bytes"]) == (6, len(to_lines(numbered(6)).data))
    path = tmp_path / "out.jsonl.partial"
    assert messages == [f"hint: 6 records are in {path}; continue with --resume"]


@pytest.mark.parametrize("options", [{"save_every": 1e9}, {"durable": False}])
def test_nothing_is_left_of_a_run_that_failed_before(tmp_path, options):
    messages = []
    with pytest.raises(InterruptedRunError):
        write(tmp_path / "out.jsonl", numbered(9), stop=3, report=messages.append, **options)
    assert listed(tmp_path) == []
    assert messages == []


def test_a_compressed_output_is_saved_by_whole_frames(tmp_path, monkeypatch):
    monkeypatch.setattr(journal, "FRAME", 100)
    with pytest.raises(InterruptedRunError):
        write(tmp_path / "out.gz", numbered(9), stop=4, size=1)
    found = gzip.decompress((tmp_path / "out.gz.partial").read_bytes())
    assert found == to_lines(numbered(json.loads((tmp_path / "out.gz.partial.json").read_text())["records"])).data
    assert 100 <= len(found) < 140


def test_what_is_behind_the_saved_position_is_cut_off(tmp_path):
    records = numbered(9)
    with pytest.raises(InterruptedRunError):
        write(tmp_path / "out", records, stop=2)
    with (tmp_path / "out.partial").open("ab") as stream:
        stream.write(b'{"text": "torn')
    write(tmp_path / "out", records, resume=True)
    assert (tmp_path / "out").read_bytes() == to_lines(records).data


def test_only_what_is_missing_is_processed(tmp_path):
    records, processed, advanced = numbered(9), [], []

    def process(chunk):
        processed.extend(chunk)
        return to_lines(chunk)

    with pytest.raises(InterruptedRunError):
        write(tmp_path / "out", records, stop=2)
    write(tmp_path / "out", records, process=process, resume=True, advance=lambda *done: advanced.append(done))
    assert processed == records[4:]
    assert advanced == [(1, record.line.size) for record in records[:4]]


def test_there_may_be_nothing_to_continue(tmp_path):
    write(tmp_path / "out", numbered(3), resume=True)
    assert (tmp_path / "out").read_bytes() == to_lines(numbered(3)).data


def test_counts_are_those_of_all_runs(tmp_path):
    records, kind = numbered(9), writer("out.npy")
    with pytest.raises(InterruptedRunError):
        write(tmp_path / "out.npy", records, stop=3, **kind)
    write(tmp_path / "out.npy", records, resume=True, **kind)
    assert np.array_equal(np.load(tmp_path / "out.npy"), embed([record.text for record in records]).vectors)
    beside = json.loads((tmp_path / "out.npy.json").read_text())
    assert (beside["count"], beside["truncated"]) == (9, 5)  # the first of each chunk


def test_a_parquet_file_has_all_rows(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    records, kind = numbered(9), writer("out.parquet")
    with pytest.raises(InterruptedRunError):
        write(tmp_path / "out.parquet", records, stop=3, **kind)
    write(tmp_path / "out.parquet", records, resume=True, **kind)
    table = parquet.read_table(tmp_path / "out.parquet").to_pydict()
    assert table["id"] == table["text"] == [record.text for record in records]
    assert np.array_equal(table["embedding"], embed(table["text"]).vectors)


@pytest.mark.parametrize("stop", [None, 2])
def test_the_replaced_file_gives_its_mode_and_a_link_stays(tmp_path, stop):
    (tmp_path / "real").mkdir()
    target, link = tmp_path / "real" / "target", tmp_path / "link"
    target.write_text("old")
    target.chmod(0o640)
    link.symlink_to(target)
    records = numbered(9)
    if stop is not None:
        messages = []
        with pytest.raises(InterruptedRunError):
            write(link, records, stop=stop, report=messages.append)
        assert messages == [f"hint: 4 records are in {target}.partial; continue with --resume"]
        assert listed(tmp_path / "real") == ["target", "target.partial", "target.partial.json"]
    write(link, records, resume=stop is not None)
    assert link.is_symlink()
    assert target.stat().st_mode & 0o777 == 0o640
    assert target.read_bytes() == to_lines(records).data
    assert (listed(tmp_path), listed(tmp_path / "real")) == (["link", "real"], ["target"])


def test_the_layout_writes_beside_the_output_before_it_has_its_name(tmp_path):
    seen = []

    class Watched(type(LINES)):
        def beside(self, output, counts):
            seen.append((output, counts, Path(output).exists()))

    write(tmp_path / "out", numbered(3), layout=Watched())
    assert seen == [(str(tmp_path / "out"), {"count": 3}, False)]
