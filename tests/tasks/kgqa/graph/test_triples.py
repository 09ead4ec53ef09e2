"""Reading triples: each format, and what is wrong with a line."""

import gzip
from urllib.parse import quote

import pytest
import zstandard
from graph_support import read_skipping, read_triples
from hypothesis import given
from hypothesis import settings as limited
from hypothesis import strategies as st

from nlpkit.core.io.records import ErrorPolicy
from nlpkit.errors import DataError, UsageError
from nlpkit.tasks.kgqa.graph.triples import (
    TripleReader,
    format_of,
    join_subject,
    parse_columns,
    split_subject,
)

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
    assert read_triples(tmp_path / name, content) == TRIPLES


def test_columns(tmp_path):
    columns = parse_columns("头, 关系,尾")
    assert read_triples(tmp_path / "a.csv", '关系,头,尾\n流经,长江,"江西\n省, ""赣"""\n', columns=columns) == [
        ("长江", "流经", '江西\n省, "赣"')
    ]
    lines = '{"头":"长江","关系":"长度","尾":6300}\n{"头":"长江","关系":"流经","尾":["江西","湖北"]}\n'
    assert read_triples(tmp_path / "a.jsonl", lines, columns=columns) == [("长江", "长度", "6300"), *TRIPLES[1:]]
    numbered = parse_columns("1,3,2")
    assert read_triples(tmp_path / "b.csv", "长江,江西,流经\n长江,湖北,流经\n", columns=numbered) == TRIPLES[1:]
    assert read_triples(tmp_path / "c", "长江,江西,流经\n", columns=numbered, format="csv") == TRIPLES[1:2]


def test_numbers_of_json_are_texts_of_all_their_digits(tmp_path):
    line = '{"subject": 7, "predicate": "p", "objects": [1.5, 123456789012345678901234567890, true]}\n'
    objects = ["1.5", "123456789012345678901234567890", "true"]
    assert read_triples(tmp_path / "a.jsonl", line) == [("7", "p", written) for written in objects]


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
        ("a.csv", "subject,predicate,object\n长江,流经\n", "a.csv:2: 2 columns; 3 are expected"),
        ("a.csv", 'subject,predicate,object\n"长"江,流经,江西\n', "a.csv:2: not valid CSV"),
        ("a.csv", "subject,predicate,object\n,流经,江西\n", "a.csv:2: an empty subject"),
        ("a.jsonl", '{"subject":"长江"}\n', "a.jsonl:1: no predicate here (fields: subject); name the three"),
        ("a.jsonl", '{"subject":"长江","predicate":"流经","object":{}}\n', "a.jsonl:1: no object here"),
        ("a.jsonl", "[]\n", "a.jsonl:1: a JSON object is expected"),
        ("a.nt", NTRIPLES + "<http://x.org/a> <http://x.org/b> .\n", "a.nt:4: not valid N-Triples (column"),
        ("a.ttl", "r:长江 r:流经 r:江西 .\n", "a.ttl:1: not valid Turtle"),
    ],
)  # fmt: skip
def test_what_cannot_be_read(tmp_path, name, content, message):
    with pytest.raises(DataError) as caught:
        read_triples(tmp_path / name, content)
    assert message in str(caught.value)
    assert str(tmp_path / name) in str(caught.value)


def test_bad_lines_are_skipped_and_counted(tmp_path):
    errors = ErrorPolicy("skip")
    assert read_triples(tmp_path / "a.tsv", "x\n" + TSV + "\t\t\n", on_error=errors) == TRIPLES
    assert errors.count == 2
    errors = ErrorPolicy("skip")
    content = 'subject,predicate,object\n"长"江,流经,江西\n长江\n长江,流经,江西\n'
    assert read_triples(tmp_path / "a.csv", content, on_error=errors) == TRIPLES[1:2]
    assert errors.count == 2


def test_columns_that_cannot_be(tmp_path):
    with pytest.raises(UsageError, match="three names are expected"):
        parse_columns("a,b")
    with pytest.raises(UsageError, match="is read as tsv, which has none; see --format"):
        read_triples(tmp_path / "a.tsv", TSV, columns=("a", "b", "c"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a", "tsv"),
        ("-", "tsv"),
        ("a.CSV.gz", "csv"),
        ("a.b.ndjson.zst", "jsonl"),
        ("a.nt", "nt"),
        ("a.nq.gz", "nq"),
        ("a.ttl.xz", "rdf"),
    ],
)
def test_the_format_of_a_name(name, expected):
    assert format_of(name) == expected


def test_lines_and_bytes_are_reported(tmp_path):
    path = tmp_path / "a.tsv.gz"
    path.write_bytes(gzip.compress(TSV.encode()))
    seen = []
    reader = TripleReader(advance=lambda *counts: seen.append(counts))
    assert list(reader.read([str(path)])) == TRIPLES
    assert seen == [(1, len(line.encode())) for line in TSV.splitlines(keepends=True)]


INVISIBLE = [
    "\u200b",
    "\ufeff",
    "\u00a0",
    "\u3000",
    " ",
    "\u2060",
    "\u200e",
    "\u00ad",
    "\x00",
    "\x1b",
    "\u200d",
    "\u2028",
]


@pytest.mark.parametrize("mark", INVISIBLE)
@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("a.tsv", "{}\t{}\t{}\n"),
        ("a.csv", "{},{},{}\n"),
        ("a.jsonl", '{{"subject":"{}","predicate":"{}","object":"{}"}}\n'),
        ("a.nt", '<http://x.org/{}> <http://x.org/{}> "{}" .\n'),
    ],
)
def test_invisible_characters_around_names_are_removed_and_counted(tmp_path, name, line, mark):
    def written(text):
        if name == "a.jsonl":
            return "".join(f"\\u{ord(character):04x}" for character in text)
        return quote(text) if name == "a.nt" else text

    head = "subject,predicate,object\n" if name == "a.csv" else ""
    odd = line.format(written(mark + "长江" + mark), written("流经" + mark), "江西")
    content = head + line.format("长江", "流经", "江西") + odd
    reader = TripleReader()
    (tmp_path / name).write_text(content, encoding="utf-8")
    assert list(reader.read([str(tmp_path / name)])) == [TRIPLES[1], TRIPLES[1]]
    assert reader.cleaned == 1


def test_invisible_characters_inside_names(tmp_path):
    assert read_triples(tmp_path / "a.tsv", "长\u200b江 （ 公交\ufeff车站 ）\t线\x01路\t20 路\n") == [
        ("长江（公交车站）", "线路", "20 路")
    ]
    family = "👨\u200d👩\u200d👧"
    assert read_triples(tmp_path / "a.tsv", f"{family}\t意\u00a0思\t家庭\n") == [(family, "意\u00a0思", "家庭")]


@pytest.mark.parametrize("name", ["\u200b", " \u3000", "\ufeff\u00a0"])
def test_a_name_of_invisible_characters_is_empty(tmp_path, name):
    triples, numbers, (message,) = read_skipping(tmp_path / "a.tsv", TSV + f"{name}\t流经\t江西\n")
    assert (triples, numbers) == (TRIPLES, [4])
    assert "an empty subject" in message


def test_joined_files_with_byte_order_marks(tmp_path):
    part = b"\xef\xbb\xbf" + TSV.encode()
    assert read_triples(tmp_path / "a.tsv", part + part) == TRIPLES * 2


@limited(max_examples=100)
@given(st.text(st.sampled_from("中a（）() "), max_size=8))
def test_a_subject_is_split_and_joined_again(subject):
    assert join_subject(*split_subject(subject)) == subject


@pytest.mark.parametrize(
    ("subject", "expected"),
    [
        ("江西（中国省份）", ("江西", "中国省份")),
        ("甲（乙）（丙）", ("甲", "乙）（丙")),  # what follows the first bracket
        ("（丙）", ("（丙）", "")),
        ("甲（）", ("甲（）", "")),
        ("甲）", ("甲）", "")),
        ("甲(乙)", ("甲(乙)", "")),
        ("甲（乙", ("甲（乙", "")),
    ],
)
def test_where_a_sense_begins(subject, expected):
    assert split_subject(subject) == expected
