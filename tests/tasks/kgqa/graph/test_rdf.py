"""RDF: N-Triples, N-Quads and Turtle."""

import gzip
import sys

import pytest
from graph_support import read_skipping, read_triples

from nlpkit.errors import DataError

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


def test_rdf(tmp_path):
    assert read_triples(tmp_path / "a.nt.gz", gzip.compress(NTRIPLES.encode())) == [
        ("长江", "流经", "江西"),
        ("长江", "comment", "第一行\n第二行\t完"),
        ("b", "长度", "6300"),
    ]
    found = read_triples(tmp_path / "a.ttl", TURTLE)
    assert sorted(found) == [
        ("江西", "省会", "南昌"),
        ("长江", "type", "河流"),
        ("长江", "流经", "江西"),
        ("长江", "流经", "湖北"),
    ]


def test_rdf_without_its_reader(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyoxigraph", None)
    with pytest.raises(DataError, match=r"is RDF; install its reader with: pip install 'nlpkit\[rdf\]'"):
        read_triples(tmp_path / "a.nt", NTRIPLES)


def test_a_bad_line_of_n_triples_is_skipped_by_its_number(tmp_path):
    lines = NTRIPLES.splitlines(keepends=True)
    content = lines[0] + "<http://x.org/a b> <http://x.org/p> <c> .\n# note\n" + lines[1] + '_:b "p" _:c .\n' + lines[2]
    good = read_triples(tmp_path / "good.nt", NTRIPLES)
    triples, numbers, messages = read_skipping(tmp_path / "a.nt", content)
    assert (triples, numbers) == (good, [2, 5])
    assert "Invalid IRI code point ' '" in messages[0]
    quads = content.replace(" .\n", " <http://x.org/graph> .\n")
    assert read_skipping(tmp_path / "a.nq", quads)[:2] == (good, [2, 5])
    assert read_skipping(tmp_path / "a", content, format="nt")[:2] == (good, [2, 5])
    assert read_skipping(tmp_path / "b.nt", content.encode().replace(b"# note", b"\xff"))[:2] == (good, [2, 3, 5])
