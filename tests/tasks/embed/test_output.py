"""Writing vectors: precisions against a slow reference, formats by name, and what each format keeps of the records."""

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
from nlpkit.core.pipeline.outputs import open_for
from nlpkit.errors import DataError, OutputError, UsageError
from nlpkit.tasks.embed.encoder.embedder import Embeddings
from nlpkit.tasks.embed.output import FIELDS, choose_format, make_processor, to_lines, to_precision

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


def embed(texts):
    """What `EMBEDDINGS` has of some of the texts."""
    chosen = [TEXTS.index(text) for text in texts]
    return Embeddings(
        VECTORS[chosen],
        {place: EMBEDDINGS.windows[index] for place, index in enumerate(chosen) if index in EMBEDDINGS.windows},
        frozenset(place for place, index in enumerate(chosen) if index in EMBEDDINGS.truncated),
        blank=frozenset(place for place, index in enumerate(chosen) if index in EMBEDDINGS.blank),
    )


def write(format, path, precision="float32", nest=None, id_field=None, records=RECORDS):
    processor = make_processor(embed, format, str(path), precision, PROVENANCE, 3, nest, id_field)
    with open_for(str(path), processor.layout, dict, resume=False, durable=False, report=pytest.fail) as output:
        for chunk in filter(None, (records[:2], records[2:])):
            output.write(chunk, processor.process(chunk))


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
    unknown = Record("未知", {"id": 4}, Line("未知", "c.txt", 4))  # no vector for it
    with pytest.raises(ValueError, match="未知"):
        write(format, tmp_path / "v", records=[*RECORDS[:2], unknown])
    assert list(tmp_path.iterdir()) == []


def test_parquet_needs_an_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(OutputError, match=r"v\.parquet: Parquet needs an extra; .* pip install 'nlpkit\[parquet\]'"):
        write("parquet", tmp_path / "v.parquet")


def test_a_chunk_says_its_numbers_and_the_fields_that_it_adds():
    processor = make_processor(embed, "jsonl", None, "float32", PROVENANCE, 3)
    assert processor.fields == FIELDS
    piece = processor.process(RECORDS)
    assert piece.counts == {"count": 3, "truncated": 1}
    provenance = {**PROVENANCE, "precision": "float32"}
    assert piece.data == to_lines(RECORDS, EMBEDDINGS, provenance=provenance, precision="float32")
    assert make_processor(embed, "npy", None, "float32", PROVENANCE, 3).fields == ()


def test_parquet_may_have_identifiers(tmp_path):
    parquet = pytest.importorskip("pyarrow.parquet")
    write("parquet", tmp_path / "v.parquet", id_field="id")
    table = parquet.read_table(tmp_path / "v.parquet")
    assert table.column_names == ["id", "text", "embedding"]
    assert table["id"].to_pylist() == ["1", "2", "3"]
    assert table["text"].to_pylist() == TEXTS
    write("parquet", tmp_path / "v.parquet", id_field="text")
    assert parquet.read_table(tmp_path / "v.parquet")["id"].to_pylist() == TEXTS
    write("parquet", tmp_path / "v.parquet")
    assert parquet.read_table(tmp_path / "v.parquet").column_names == ["text", "embedding"]


@pytest.mark.parametrize(
    "damage", [lambda content: content[:-7], lambda content: content[:9], lambda content: b"x" * 99]
)
def test_an_unfinished_parquet_that_is_damaged(tmp_path, damage):
    pytest.importorskip("pyarrow")
    layout = make_processor(embed, "parquet", None, "float32", PROVENANCE, 3).layout
    path = tmp_path / "v.parquet.partial"
    path.write_bytes(damage(layout.head + layout.encode(RECORDS, EMBEDDINGS)))
    with pytest.raises(
        OutputError, match=r"v\.parquet\.partial: is damaged \(.+\); remove it to start again"
    ) as caught:
        layout.finish(path, {})
    assert len(str(caught.value).splitlines()) == 1
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("value", [None, 1.5, True, ["1"], {"a": 1}])
def test_an_identifier_is_a_text_or_a_whole_number(tmp_path, value):
    pytest.importorskip("pyarrow")
    bad = Record("天气", {"id": value}, Line("天气", "c.txt", 3))
    with pytest.raises(DataError, match=r"^c\.txt:3: no text or whole number in the field 'id' of --id$"):
        write("parquet", tmp_path / "v.parquet", id_field="id", records=[*RECORDS[:2], bad])
    with pytest.raises(DataError, match=r"^c\.txt:1: no text or whole number in the field 'other' of --id$"):
        write("parquet", tmp_path / "v.parquet", id_field="other")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("format", ["npy", "parquet"])
def test_without_records(tmp_path, format):
    write(format, tmp_path / f"v.{format}", records=[])
    if format == "npy":
        assert np.load(tmp_path / "v.npy").shape == (0, 3)
        assert json.loads((tmp_path / "v.npy.json").read_text())["count"] == 0
    else:
        assert pytest.importorskip("pyarrow.parquet").read_table(tmp_path / "v.parquet").num_rows == 0
