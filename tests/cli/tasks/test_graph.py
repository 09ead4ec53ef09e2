"""`nlpkit graph`, as users call it."""

import json
from pathlib import Path

import pytest
from support import records, save_tiny, vocabulary

from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.tasks.kgqa.graph.build import build_graph
from nlpkit.tasks.kgqa.graph.graph import Graph
from nlpkit.tasks.kgqa.graph.triples import TripleReader, join_subject

SAMPLES = Path(__file__).parents[3] / "data" / "samples"
TSV = "江西（中国省份）\t省会\t南昌市\n长江\t流经\t江西\n长江\t流经\t湖北\n长江\t长度\t6300余千米\n"


@pytest.fixture
def vocab(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_text("".join(token + "\n" for token in vocabulary("江西长流经")), encoding="utf-8")
    return path


@pytest.fixture
def graph(nlpkit, vocab, tmp_path):
    result = nlpkit("graph", "build", "-o", "G.kg", "--model", vocab, text=TSV)
    assert result.exit_code == 0, result.output
    return tmp_path / "G.kg"


def test_build_info_get(nlpkit, graph):
    (info,) = records(nlpkit("graph", "info", graph, "--check"))
    assert (info["triples"], info["keys"], info["names_by_senses"]) == (4, 3, {"1": 2})
    assert info["predicates_per_name"] == {"mean": 1.5, "median": 1, "90 %": 1, "99 %": 1, "most": 2}
    result = nlpkit("graph", "get", graph, "长江")
    assert {record["predicate"]: record["objects"] for record in records(result)} == {
        "流经": ["江西", "湖北"],
        "长度": ["6300余千米"],
    }
    assert nlpkit("graph", "get", graph, "江西", "省会").stdout == (
        '{"subject":"江西","meaning":"中国省份","predicate":"省会","objects":["南昌市"]}\n'
    )


def test_what_get_writes_build_reads(nlpkit, graph, vocab, tmp_path):
    written = "".join(nlpkit("graph", "get", graph, name).stdout for name in ("江西", "长江"))
    (tmp_path / "facts.jsonl").write_text(written, encoding="utf-8")
    assert nlpkit("graph", "build", "facts.jsonl", "-o", "copy.kg", "-m", vocab).exit_code == 0
    assert list(Graph.open("copy.kg").triples()) == list(Graph.open(graph).triples())


def test_a_new_fact_is_found_at_once(nlpkit, graph):
    result = nlpkit("graph", "build", "--add", "-o", graph, text="长江\t流经\t青海\n长江\t别名\t扬子江\n")
    assert records(result)[0]["triples"] == 6
    assert records(nlpkit("graph", "get", graph, "长江", "流经"))[0]["objects"] == ["江西", "湖北", "青海"]
    assert records(nlpkit("graph", "get", graph, "长江", "别名"))[0]["objects"] == ["扬子江"]


def test_the_tokenizer_of_a_model(nlpkit, tmp_path):
    tokenizer = CharTokenizer(vocabulary("江"))
    save_tiny(tmp_path / "model", tokenizer)
    assert nlpkit("graph", "build", "-o", "G.kg", "-m", "model", text=TSV).exit_code == 0
    assert Graph.open("G.kg").tokenizer.fingerprint == tokenizer.fingerprint


def test_names_outside_the_vocabulary(nlpkit, tmp_path):
    (tmp_path / "v.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n长\n江\n", encoding="utf-8")
    result = nlpkit("graph", "build", "-o", "G.kg", "-m", "v.txt", text=TSV)
    assert result.exit_code == 0
    assert records(result)[0]["unknown_names"] == 1
    assert result.stderr.startswith(
        "nlpkit: 1 name(s) have characters outside the model's vocabulary; the model cannot"
    )
    assert records(nlpkit("graph", "get", "G.kg", "江西"))[0]["objects"] == ["南昌市"]


def test_bad_lines(nlpkit, fails, vocab):
    assert fails(1, "graph", "build", "-o", "G.kg", "-m", vocab, text=TSV + "x\n").startswith(
        "<stdin>:5: 0 tabs, not two"
    )
    result = nlpkit("graph", "build", "-o", "G.kg", "-m", vocab, "--on-error", "skip", text=TSV + "x\n\t\t\n")
    assert result.exit_code == 3
    assert "skipped: <stdin>:5: 0 tabs" in result.stderr
    assert "<stdin>:6: an empty subject" in result.stderr
    assert records(result)[0]["triples"] == 4


def test_a_failed_build_leaves_the_old_graph(fails, graph, vocab):
    before = list(Graph.open(graph).triples())
    fails(1, "graph", "build", "-o", graph, "-m", vocab, text="新\t新\t新\nx\n")
    fails(1, "graph", "build", "--add", "-o", graph, text="新\t新\t新\nx\n")
    assert list(Graph.open(graph).triples()) == before


def test_another_tokenizer(fails, graph, tmp_path):
    (tmp_path / "other.txt").write_text("".join(token + "\n" for token in vocabulary("河")), encoding="utf-8")
    line = fails(1, "graph", "build", "--add", "-o", graph, "-m", "other.txt", text=TSV)
    assert "was built with the tokenizer of another model" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("get", "G.kg", "黄河"), "G.kg: no subject 黄河 here"),
        (("get", "G.kg", "长"), "G.kg: no subject 长 here; there are: 长江"),
        (("get", "G.kg", "江西（汉字）"), "no subject 江西（汉字） here; there are: 江西（中国省份）"),
        (("get", "G.kg", "长江", "颜色"), "长江 has no 颜色 here; it has: 流经、长度"),
        (
            ("get", "none.kg", "长江"),
            "none.kg: no such graph (or its build did not finish); make one: nlpkit graph build",
        ),
        (("info", "none.kg"), "none.kg: no such graph"),
        (("build", "--add", "-o", "none.kg"), "none.kg: no such graph"),
        (("build", "-o", "H.kg", "-m", "nowhere"), "nowhere: no such model"),
    ],
)
@pytest.mark.usefixtures("graph")
def test_what_is_not_there(fails, arguments, message):
    assert message in fails(1, "graph", *arguments, text=TSV)


def test_usage(fails, vocab):
    assert "three names are expected" in fails(2, "graph", "build", "-o", "G", "-m", vocab, "--columns", "a", text=TSV)
    line = fails(2, "graph", "build", "-o", "G", "-m", vocab, "--columns", "a,b,c", text=TSV)
    assert "is read as tsv" in line


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """data/samples/graph.tsv."""
    triples = TripleReader().read([str(SAMPLES / "graph.tsv")])
    return build_graph(triples, tmp_path_factory.mktemp("demo"), CharTokenizer(vocabulary()))


def test_the_demo_graph_has_names_of_several_senses_and_facts_of_several_objects(demo):
    info = demo.info()
    assert info["triples"] >= 900
    assert info["duplicates"] == 0
    facts = [fact for key in range(len(demo.tree)) for fact in demo.facts(key)]
    assert sum(len(fact.objects) > 1 for fact in facts) >= 40
    names = {(fact.subject, fact.sense) for fact in facts}
    assert len(names) - len({name for name, _ in names}) >= 15


def test_every_demo_question_has_its_answer_in_the_demo_graph(demo):
    lines = (SAMPLES / "questions.jsonl").read_text(encoding="utf-8").splitlines()
    questions = [json.loads(line) for line in lines]
    assert len({question["question"] for question in questions}) == len(questions) >= 60
    assert [question["id"] for question in questions] == list(range(len(questions)))
    for question in questions:
        subject, predicate, target = question["answer"].split(" ||| ")
        (fact,) = [fact for fact in demo.find(subject, predicate) if join_subject(*fact[:2]) == subject]
        assert target in fact.objects, question
