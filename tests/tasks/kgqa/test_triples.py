"""Reading triples: each format, and what is wrong with a line."""

import gzip
import sys

import pytest
import zstandard

from nlpkit.core.io import OnError
from nlpkit.errors import DataError, UsageError
from nlpkit.tasks.kgqa.triples import Progressing, TripleReader, format_of, parse_columns

TRIPLES = [("江西（中国省份）", "省会", "南昌市"), ("长江", "流经", "江西"), ("长江", "流经", "湖北")]
TSV = "".join("\t".join(triple) + "\n" for triple in TRIPLES)
NTRIPLES = """\
<http://x.org/resource/%E9%95%BF%E6%B1%9F> <http://x.org/p#流经> <http://x.org/resource/江西> .
<http://x.org/resource/长江> <http://www.w3.org/2000/01/rdf-schema#comment> "第一行\\n第二行\\t完"@zh .
_:b <http://x.org/p/长度/> "6300"^^<http://www.w3.org/2001/XMLSchema#integer> .
"""
TURTLE = """\
@prefix r: <http://x.org/resource/> .
r:长江 r:流经 r:江西 , r:湖北 ; a r:河流 .
<#江西> r:省会 "南昌" .
"""


def read(path, content, **settings):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return list(TripleReader(**settings).read([str(path)]))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.tsv", TSV.encode()),
        ("t.txt", TSV.encode()),
        ("t.tsv.gz", gzip.compress(TSV.encode(), mtime=0)),
        ("t.tsv.zst", zstandard.compress(TSV.encode())),
        ("crlf.tsv", TSV.replace("\n", "\r\n").encode()),
        ("bom.tsv", b"\xef\xbb\xbf" + TSV.encode()),
        ("blank.tsv", TSV.replace("\n", "\n\n").encode()),
        ("t.csv", ("object,x,subject,predicate\n" + "".join(f"{o},9,{s},{p}\n" for s, p, o in TRIPLES)).encode()),
        ("t.jsonl", '{"subject":"江西","meaning":"中国省份","predicate":"省会","objects":["南昌市"],"score":1}\n'
                    '{"subject":"长江","meaning":"","predicate":"流经","objects":["江西","湖北"]}\n'.encode()),
    ],
)  # fmt: skip
def test_a_format_by_its_name(tmp_path, name, content):
    assert read(tmp_path / name, content) == TRIPLES


def test_columns(tmp_path):
    columns = parse_columns("头, 关系,尾")
    assert read(tmp_path / "a.csv", '关系,头,尾\n流经,长江,"江西\n省, ""赣"""\n', columns=columns) == [
        ("长江", "流经", '江西\n省, "赣"')
    ]
    lines = '{"头":"长江","关系":"长度","尾":6300}\n{"头":"长江","关系":"流经","尾":["江西","湖北"]}\n'
    assert read(tmp_path / "a.jsonl", lines, columns=columns) == [("长江", "长度", "6300"), *TRIPLES[1:]]
    numbered = parse_columns("1,3,2")
    assert read(tmp_path / "b.csv", "长江,江西,流经\n长江,湖北,流经\n", columns=numbered) == TRIPLES[1:]
    assert read(tmp_path / "c", "长江,江西,流经\n", columns=numbered, format="csv") == TRIPLES[1:2]


def test_numbers_of_json_are_texts_of_all_their_digits(tmp_path):
    line = '{"subject": 7, "predicate": "p", "objects": [1.5, 123456789012345678901234567890, true]}\n'
    objects = ["1.5", "123456789012345678901234567890", "true"]
    assert read(tmp_path / "a.jsonl", line) == [("7", "p", written) for written in objects]


def test_rdf(tmp_path):
    assert read(tmp_path / "a.nt.gz", gzip.compress(NTRIPLES.encode())) == [
        ("长江", "流经", "江西"),
        ("长江", "comment", "第一行\n第二行\t完"),
        ("b", "长度", "6300"),
    ]
    found = read(tmp_path / "a.ttl", TURTLE)
    assert sorted(found) == sorted([*TRIPLES[1:], ("长江", "type", "河流"), ("江西", "省会", "南昌")])


def test_rdf_without_its_reader(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyoxigraph", None)
    with pytest.raises(DataError, match=r"is RDF; install its reader with: pip install 'nlpkit\[rdf\]'"):
        read(tmp_path / "a.nt", NTRIPLES)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tsv", "长江\t流经\n", "a.tsv:1: 1 tab, not two; a line is SUBJECT<TAB>PREDICATE<TAB>OBJECT"),
        ("a.tsv", TSV + "长江 流经 江西\n", "a.tsv:4: 0 tabs, not two"),
        ("a.tsv", "长江\t流经\t江西\t湖北\n", "a.tsv:1: 3 tabs, not two"),
        ("a.tsv", "\t流经\t江西\n", "a.tsv:1: an empty subject; a triple needs all three"),
        ("a.tsv", "长江\t \t江西\n", "a.tsv:1: an empty predicate"),
        ("a.tsv", "长江\t流经\t\n", "a.tsv:1: an empty object"),
        ("a.tsv", "长江\t流经\t江西\n".encode("gb18030"), "a.tsv:1: not valid utf-8"),
        ("a.csv", "s,predicate,object\n", "a.csv:1: no column 'subject' (there are: s, predicate, object)"),
        ("a.csv", "subject,predicate,object\n长江,流经\n", "a.csv:2: 2 columns; the first line, or --columns, tells"),
        ("a.csv", 'subject,predicate,object\n"长"江,流经,江西\n', "a.csv:2: not valid CSV"),
        ("a.csv", "subject,predicate,object\n,流经,江西\n", "a.csv:2: an empty subject"),
        ("a.jsonl", '{"subject":"长江"}\n', "a.jsonl:1: no predicate here (fields: subject); name the three"),
        ("a.jsonl", '{"subject":"长江","predicate":"流经","object":{}}\n', "a.jsonl:1: no object here"),
        ("a.jsonl", "[]\n", "a.jsonl:1: a JSON object is expected"),
        ("a.nt", "<http://x.org/a> <http://x.org/b> .\n", "not valid N-Triples"),
    ],
)  # fmt: skip
def test_what_cannot_be_read(tmp_path, name, content, message):
    with pytest.raises(DataError) as caught:
        read(tmp_path / name, content)
    assert message in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)


def test_bad_lines_are_skipped_and_counted(tmp_path):
    errors = OnError("skip")
    assert read(tmp_path / "a.tsv", "x\n" + TSV + "\t\t\n", on_error=errors) == TRIPLES
    assert errors.count == 2
    errors = OnError("skip")
    content = 'subject,predicate,object\n"长"江,流经,江西\n长江\n长江,流经,江西\n'
    assert read(tmp_path / "a.csv", content, on_error=errors) == TRIPLES[1:2]
    assert errors.count == 2


def test_columns_that_cannot_be(tmp_path):
    with pytest.raises(UsageError, match="three names are expected"):
        parse_columns("a,b")
    with pytest.raises(UsageError, match="is read as tsv, which has none; see --format"):
        read(tmp_path / "a.tsv", TSV, columns=("a", "b", "c"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a", "tsv"),
        ("-", "tsv"),
        ("a.CSV.gz", "csv"),
        ("a.b.ndjson.zst", "jsonl"),
        ("a.nt", "rdf"),
        ("a.ttl.xz", "rdf"),
    ],
)
def test_the_format_of_a_name(name, expected):
    assert format_of(name) == expected


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress])
def test_progress_knows_its_end(tmp_path, pack):
    path = tmp_path / "a.tsv"
    content = ("长江\t流经\t" + "江西" * 20 + "\n").encode() * 20_000
    path.write_bytes(pack(content))
    seen = []
    reader = TripleReader(advance=Progressing([str(path)], lambda *told: seen.append(told)))
    assert len(list(reader.read([str(path)]))) == 20_000
    assert seen[0][0] == "reading, MB:"
    assert {total for _, _, total in seen} == {len(content) // 1_000_000}
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)


def test_progress_of_a_pipe_counts_triples():
    seen = []
    advance = Progressing(["-"], lambda *told: seen.append(told))
    for _ in range(1 << 14):
        advance(1, 10)
    assert seen == [("reading, triples:", 1 << 14, 0)]
