"""Writing vectors: precisions against a slow reference, formats by name, and what each format keeps of the records."""

import io
import json
import re
import sys

import numpy as np
import pytest
from embed_support import PROVENANCE
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from support import records

from nlpkit.core.io.records import Line, Record
from nlpkit.errors import OutputError, UsageError
from nlpkit.tasks.embed.encoder.embedder import Embeddings
from nlpkit.tasks.embed.output import FIELDS, JsonWriter, choose_format, open_writer, to_precision

TEXTS = ["今天", " ", "天气"]
VECTORS = np.array([[0.5, -1.0, 0.25], [0, 0, 0], [1 / 3, 2 / 3, -2 / 3]], np.float32)
EMBEDDINGS = Embeddings(VECTORS, windows={2: 4}, truncated=frozenset({0}), blank=frozenset({1}))
RECORDS = [
    Record(text, {"id": number, "text": text}, Line(text, "c.txt", number)) for number, text in enumerate(TEXTS, 1)
]
vectors = arrays.arrays(
    np.float32, st.tuples(st.integers(0, 4), st.integers(1, 20)), elements=st.floats(-1, 1, width=32)
)


def test_what_int8_and_binary_are():
    assert to_precision(np.zeros((1, 3), np.float32), "int8").tolist() == [[0, 0, 0]]
    assert to_precision(np.array([[0.5, -1.0, 0.25]], np.float32), "int8").tolist() == [[64, -127, 32]]
    assert to_precision(np.array([[1, -1, 1, 1, -1, -1, -1, 1, 2]], np.float32), "binary").tolist() == [
        [0b10110001, 0b10000000]
    ]


@given(vectors)
def test_int8_keeps_the_direction(matrix):
    found = to_precision(matrix, "int8")
    assert found.dtype == np.int8
    for vector, result in zip(matrix.astype(np.float64), found, strict=True):
        largest = np.abs(vector).max()
        if largest > 1e-9:
            assert np.abs(result).max() == 127
            assert np.abs(result - vector / largest * 127).max() <= 0.5 + 1e-4
        elif not largest:
            assert not result.any()


@given(vectors)
def test_binary_has_the_sign_of_every_entry(matrix):
    found = to_precision(matrix, "binary")
    assert (found.dtype, found.shape) == (np.uint8, (len(matrix), -(-matrix.shape[1] // 8)))
    for vector, result in zip(matrix, found, strict=True):
        bits = "".join(f"{byte:08b}" for byte in result.tolist())
        assert bits.rstrip("0") == "".join("1" if value > 0 else "0" for value in vector.tolist()).rstrip("0")


@given(vectors)
def test_floats_are_rounded_to_their_precision(matrix):
    assert to_precision(matrix, "float32") is matrix
    np.testing.assert_array_equal(to_precision(matrix, "float16"), matrix.astype(np.float16))


@pytest.mark.parametrize(
    ("name", "output", "expected"),
    [
        (None, None, "jsonl"),
        (None, "v.npy", "npy"),
        (None, "V.NPY", "npy"),
        (None, "v.parquet", "parquet"),
        (None, "v.jsonl", "jsonl"),
        (None, "v.jsonl.gz", "jsonl"),
        (None, "v.bin", "jsonl"),
        ("npy", "v.bin", "npy"),
        ("jsonl", "v.npy", "jsonl"),
        ("parquet", None, "parquet"),
    ],
)
def test_the_format_is_given_or_by_the_suffix(tmp_path, monkeypatch, name, output, expected):
    monkeypatch.chdir(tmp_path)
    assert choose_format(name, output) == expected


def test_no_bytes_for_a_terminal(monkeypatch):
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert choose_format(None, None) == "jsonl"
    with pytest.raises(UsageError, match="--format npy is not shown on a terminal; name a file with -o, or redirect"):
        choose_format("npy", None)


@pytest.mark.parametrize(
    ("name", "output", "message"),
    [
        (None, "v.npy.gz", "v.npy.gz: npy is not compressed; leave .gz out, or take --precision float16 or int8"),
        ("parquet", "v.zst", "v.zst: parquet is not compressed; leave .zst out"),
    ],
)
def test_binary_formats_are_not_compressed(name, output, message):
    with pytest.raises(UsageError, match=re.escape(message)):
        choose_format(name, output)


@pytest.mark.parametrize("name", [None, "npy"])
def test_a_folder_is_no_file(tmp_path, name):
    with pytest.raises(OutputError, match="is a directory; name a file"):
        choose_format(name, str(tmp_path))


def write(format, path, precision="float32", nest=None):
    with open_writer(format, str(path), precision, PROVENANCE, 3, nest) as writer:
        for start in (0, 2):  # two chunks
            part = slice(start, start + 2)
            chosen = range(*part.indices(3))
            writer.write(
                RECORDS[part],
                Embeddings(
                    VECTORS[part],
                    {index - start: EMBEDDINGS.windows[index] for index in chosen if index in EMBEDDINGS.windows},
                    frozenset(index - start for index in chosen if index in EMBEDDINGS.truncated),
                    blank=frozenset(index - start for index in chosen if index in EMBEDDINGS.blank),
                ),
            )


def test_json_lines(tmp_path):
    write("jsonl", tmp_path / "v.jsonl")
    first, blank, last = records(tmp_path / "v.jsonl")
    encoder = {**PROVENANCE, "precision": "float32"}
    assert first == {"id": 1, "text": "今天", "embedding": [0.5, -1, 0.25], "encoder": encoder, "truncated": True}
    assert blank == {"id": 2, "text": " ", "embedding": None, "encoder": encoder}
    assert last["windows"] == 4
    assert set(FIELDS) == {name for record in (first, blank, last) for name in record} - {"id", "text"}


def test_fields_may_be_nested(tmp_path):
    write("jsonl", tmp_path / "v.jsonl", nest="nlp")
    first = records(tmp_path / "v.jsonl")[0]
    assert list(first) == ["id", "text", "nlp"]
    assert list(first["nlp"]) == ["embedding", "encoder", "truncated"]


@pytest.mark.parametrize("precision", ["float32", "float16", "int8", "binary"])
def test_every_format_has_the_same_numbers(tmp_path, precision):
    parquet = pytest.importorskip("pyarrow.parquet")
    for format in ("jsonl", "npy", "parquet"):
        write(format, tmp_path / f"v.{format}", precision)
    expected = to_precision(VECTORS, precision)
    stored = np.load(tmp_path / "v.npy")
    np.testing.assert_array_equal(stored, expected)
    assert stored.dtype == expected.dtype
    lines = [record["embedding"] for record in records(tmp_path / "v.jsonl")]
    table = parquet.read_table(tmp_path / "v.parquet")
    column = table["embedding"].to_pylist()
    assert table["text"].to_pylist() == TEXTS
    for rows in (lines, column):
        assert rows[1] is None
        np.testing.assert_array_equal(np.array([rows[0], rows[2]], expected.dtype), expected[[0, 2]])
    assert table.schema.field("embedding").type.list_size == expected.shape[1]
    assert json.loads(table.schema.metadata[b"nlpkit"]) == {**PROVENANCE, "precision": precision}


def test_the_sidecar_of_a_npy(tmp_path):
    write("npy", tmp_path / "v.npy")
    assert json.loads((tmp_path / "v.npy.json").read_text(encoding="utf-8")) == {
        **PROVENANCE, "precision": "float32", "count": 3, "truncated": 1
    }  # fmt: skip


@pytest.mark.parametrize("content", ['{"mine": 1}', "[1]", "not JSON", '{"fingerprint"'])
def test_a_file_of_the_name_of_the_sidecar_is_kept(tmp_path, content):
    (tmp_path / "v.npy.json").write_text(content)
    with pytest.raises(OutputError, match=r"v\.npy\.json: is not a file of nlpkit embed; it would be overwritten"):
        write("npy", tmp_path / "v.npy")
    assert [path.name for path in tmp_path.iterdir()] == ["v.npy.json"]


@pytest.mark.parametrize("content", ["", '{"fingerprint": "aa"}'])
def test_an_old_or_empty_sidecar_is_replaced(tmp_path, content):
    (tmp_path / "v.npy.json").write_text(content)
    write("npy", tmp_path / "v.npy")
    assert json.loads((tmp_path / "v.npy.json").read_text(encoding="utf-8"))["count"] == 3


@pytest.mark.parametrize("format", ["jsonl", "npy", "parquet"])
def test_nothing_is_left_of_an_output_that_fails(tmp_path, format):
    def fail():
        with open_writer(format, str(tmp_path / "v"), "float32", PROVENANCE, 3) as writer:
            writer.write(RECORDS, EMBEDDINGS)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_parquet_needs_an_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(OutputError, match=r"v\.parquet: Parquet needs an extra; .* pip install 'nlpkit\[parquet\]'"):
        write("parquet", tmp_path / "v.parquet")


def test_each_chunk_is_flushed():
    """So that a live pipe moves."""

    class Stream(io.BytesIO):
        flushed = 0

        def flush(self):
            self.flushed = len(self.getvalue())

    stream = Stream()
    JsonWriter(stream, PROVENANCE, "float32").write(RECORDS[:1], Embeddings(VECTORS[:1]))
    assert stream.flushed == len(stream.getvalue()) > 0
