"""Reading triples: each format, and what is wrong with a line."""

import csv
import gzip
import io
import sys
from urllib.parse import quote

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from nlpkit.core.io.records import Line, OnError
from nlpkit.errors import DataError, UsageError
from nlpkit.tasks.kgqa.graph.csv_triples import read_rows
from nlpkit.tasks.kgqa.graph.triples import ReadingProgress, TripleReader, format_of, parse_columns

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
        ("a.nt", "nt"),
        ("a.nq.gz", "nq"),
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
    reader = TripleReader(advance=ReadingProgress([str(path)], lambda *told: seen.append(told)))
    assert len(list(reader.read([str(path)]))) == 20_000
    assert seen[0][0] == "reading, MB:"
    assert {total for _, _, total in seen} == {len(content) // 1_000_000}
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)


def test_progress_of_a_pipe_counts_triples():
    seen = []
    advance = ReadingProgress(["-"], lambda *told: seen.append(told))
    for _ in range(1 << 14):
        advance(1, 10)
    assert seen == [("reading, triples:", 1 << 14, 0)]


def skipped(path, content, **settings):
    """The triples of a file, the numbers of the lines that are skipped, and the messages."""
    found = []
    errors = OnError("skip", report=found.append)
    triples = read(path, content, on_error=errors, **settings)
    assert errors.count == len(found)
    return triples, [error.line for error in found], [str(error) for error in found]


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
    assert read(tmp_path / "a.tsv", "长\u200b江 （ 公交\ufeff车站 ）\t线\x01路\t20 路\n") == [
        ("长江（公交车站）", "线路", "20 路")
    ]
    family = "👨\u200d👩\u200d👧"
    assert read(tmp_path / "a.tsv", f"{family}\t意\u00a0思\t家庭\n") == [(family, "意\u00a0思", "家庭")]


@pytest.mark.parametrize("name", ["\u200b", " \u3000", "\ufeff\u00a0"])
def test_a_name_of_invisible_characters_is_empty(tmp_path, name):
    triples, numbers, (message,) = skipped(tmp_path / "a.tsv", TSV + f"{name}\t流经\t江西\n")
    assert (triples, numbers) == (TRIPLES, [4])
    assert "an empty subject" in message


def test_joined_files_with_byte_order_marks(tmp_path):
    part = b"\xef\xbb\xbf" + TSV.encode()
    assert read(tmp_path / "a.tsv", part + part) == TRIPLES * 2


def test_a_bad_line_of_n_triples_is_skipped_by_its_number(tmp_path):
    lines = NTRIPLES.splitlines(keepends=True)
    content = lines[0] + "<http://x.org/a b> <http://x.org/p> <c> .\n# note\n" + lines[1] + '_:b "p" _:c .\n' + lines[2]
    good = read(tmp_path / "good.nt", NTRIPLES)
    triples, numbers, messages = skipped(tmp_path / "a.nt", content)
    assert (triples, numbers) == (good, [2, 5])
    assert "Invalid IRI code point ' '" in messages[0]
    quads = content.replace(" .\n", " <http://x.org/graph> .\n")
    assert skipped(tmp_path / "a.nq", quads)[:2] == (good, [2, 5])
    assert skipped(tmp_path / "a", content, format="nt")[:2] == (good, [2, 5])
    assert skipped(tmp_path / "b.nt", content.encode().replace(b"# note", b"\xff"))[:2] == (good, [2, 3, 5])


HEAD = "subject,predicate,object\n"
ROWS = [f"城市{number},人口,{number}万\n" for number in range(40)]


@pytest.mark.parametrize(
    ("bad", "behind", "said"),
    [
        ('长江,别名,"扬子江\n', "", "a quote opens here and is not closed in the 40 line(s) up to the end"),
        ('长江,"别名,扬子江\n', "", "is not closed in the 40 line(s) up to the end"),
        ('"长江,别名,扬子江\n', '黄河,别名,"河"\n', "is closed 41 line(s) below, where text follows it"),
        ('长江,别名,"扬子江\n', '黄河,别名,河"\n', "includes the next 41 line(s), which look like rows of their own"),
        ('长江,"别\n名",x"y,"扬\n', "", "is not closed in the 40 line(s) up to the end"),
    ],
)
def test_a_quote_that_is_never_closed_costs_its_own_line(tmp_path, bad, behind, said):
    content = HEAD + ROWS[0] + bad + "".join(ROWS) + behind
    opening = 2 + bad.count("\n")
    expected = read(tmp_path / "good.csv", HEAD + ROWS[0] + "".join(ROWS) + behind.replace('"河"', "河"))
    triples, numbers, (message,) = skipped(tmp_path / "a.csv", content)
    assert (triples, numbers) == (expected, [opening])
    assert said in message
    with pytest.raises(DataError, match=rf"a\.csv:{opening}: not valid CSV: a quote"):
        read(tmp_path / "a.csv", content)


def test_a_quote_that_is_closed_too_far_away(tmp_path):
    rows = [f"城市{number},人口,{number}万\n" for number in range(20_000)]
    triples, numbers, (message,) = skipped(tmp_path / "a.csv", HEAD + '长江,别名,"扬子江\n' + "".join(rows))
    assert (len(triples), numbers) == (20_000, [2])
    assert "is not closed within 131,072 characters" in message


def test_a_field_of_several_lines_stays_one(tmp_path):
    poem = "床前明月光，\n疑是地上霜。\n\n举头望明月,\n低头思故乡。"
    assert read(tmp_path / "a.csv", f'{HEAD}静夜思,原文,"{poem}"\n静夜思,作者,"李""白"\n') == [
        ("静夜思", "原文", poem), ("静夜思", "作者", '李"白'),
    ]  # fmt: skip


cells = st.text(st.sampled_from('长江 a,"\n，'), min_size=1, max_size=6)


@given(st.lists(st.tuples(cells, cells, cells), max_size=6))
def test_rows_are_those_of_the_csv_module(rows):
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([("a", "b", "c"), *rows])
    lines = [Line(text, "a.csv", number) for number, text in enumerate(stream.getvalue().split("\n")[:-1], 1)]
    bad = []
    found = [tuple(row) for _, row in read_rows(lines, OnError("skip", report=bad.append))]
    if not bad:  # a field of several lines that look like rows is refused
        assert found == [("a", "b", "c"), *rows]
    else:
        assert "look like rows of their own" in str(bad[0])
