"""`nlpkit relation` in this process: what goes in, what comes out, and what bad input gets."""

import pytest
from linker_support import COMPANIES, save_linker, toy_relations, train_toy
from support import NASTY, SENTENCE, invoke, records, write_jsonl

from nlpkit.tasks.relation.formats import read_examples
from nlpkit.tasks.relation.task import RelationSettings, RelationTask

TEXT = "南山银行收购了北斗科技，长城汽车起诉了西湖医院，今天天气很好。"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny model with random weights."""
    task = RelationTask(RelationSettings(("总部", "老板")))
    return save_linker(tmp_path_factory.mktemp("relation") / "model", task, bias=0.0)


@pytest.fixture
def run(nlpkit, folder):
    """Runs the command with the tiny model; gives the records."""

    def run(*args, text=None):
        result = nlpkit("relation", "--model", folder, *args, text=text)
        assert (result.exit_code, result.stderr) == (0, "")
        return records(result)

    return run


def test_a_line_of_text_gives_a_line_of_json(run):
    (found,) = run(text=TEXT + "\n")
    assert list(found) == ["text", "relations"]
    assert list(found["relations"][0]) == ["subject", "predicate", "object", "score"]
    assert list(found["relations"][0]["subject"]) == ["start", "end", "text"]


def test_every_line_gives_a_record_in_order_and_text_is_the_span(run, tmp_path):
    lines = [*NASTY, *(record["text"] for record in toy_relations(30)), "", SENTENCE * 9, TEXT * 6]
    (tmp_path / "in.txt").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    found = run("in.txt")
    assert [record["text"] for record in found] == lines
    spans = [(record, relation[side]) for record in found for relation in record["relations"]
             for side in ("subject", "object")]  # fmt: skip
    assert len(spans) > 50
    assert all(record["text"][span["start"] : span["end"]] == span["text"] != "" for record, span in spans)
    assert found[-1]["windows"] > 1
    assert "windows" not in found[0]


def test_output_is_input_and_training_data(run, tmp_path):
    run("-o", "out.jsonl", text=f"{TEXT}\n\n{TEXT}\n")
    found = records(tmp_path / "out.jsonl")
    again = run("out.jsonl", "--nest", "again")
    assert [record.pop("again") for record in again] == [{"relations": record["relations"]} for record in found]
    assert again == found
    examples = list(read_examples([str(tmp_path / "out.jsonl")]))
    assert [example.text for example in examples] == [TEXT, "", TEXT]
    assert [len(example.relations) for example in examples] == [len(record["relations"]) for record in found]


def test_a_schema_restricts_predicates(run, tmp_path):
    assert {relation["predicate"] for relation in run(text=TEXT)[0]["relations"]} == {"总部", "老板"}
    (tmp_path / "schema.json").write_text('[{"predicate": "总部"}]', encoding="utf-8")
    found = run("--schema", "schema.json", text=TEXT)[0]["relations"]
    assert {relation["predicate"] for relation in found} == {"总部"}


def test_thresholds(run):
    (everything,) = run(text=TEXT)
    middle = sorted(relation["score"] for relation in everything["relations"])[3]
    (some,) = run("--threshold", middle + 1e-4, text=TEXT)
    assert some["relations"] == [relation for relation in everything["relations"] if relation["score"] > middle]
    assert 0 < len(some["relations"]) < len(everything["relations"])


def test_a_page_has_a_table_of_the_triples(run, tmp_path):
    (found,) = run("--html", "relations.html", text=TEXT)
    page = (tmp_path / "relations.html").read_text(encoding="utf-8")
    assert page.count("<table") == 1
    assert page.count("<td>总部</td>") == sum(relation["predicate"] == "总部" for relation in found["relations"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--schema", "none.jsonl"], ["none.jsonl: no such file"]),
        (["--schema", "schema.jsonl"], ["schema.jsonl:1: ", "收购", "老板"]),
        (["none.txt"], ["none.txt: no such file"]),
    ],
)
def test_what_cannot_be_read_is_named(fails, folder, tmp_path, arguments, words):
    (tmp_path / "schema.jsonl").write_text('{"predicate": "收购"}\n', encoding="utf-8")
    line = fails(1, "relation", "--model", folder, *arguments, text=TEXT)
    assert all(word in line for word in words), line


def test_a_model_of_another_task_is_refused(fails, tiny):
    assert "a model for `nlpkit ner`, not for `nlpkit relation`" in fails(1, "relation", "-m", tiny, text=TEXT)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train_toy(tmp_path_factory.mktemp("trained"), "relation", toy_relations)


def test_the_toy_language_is_learnt(trained):
    folder, dev, metrics = trained
    assert metrics["f1"] > 0.9
    assert metrics["triple"]["f1"] == metrics["f1"]
    (scores,) = records(invoke("evaluate", "relation", dev, "--model", folder))
    assert scores["f1"] == metrics["f1"]
    assert (scores["texts"], scores["misaligned"]) == (60, 0)


def test_the_model_finds_what_it_has_learnt(trained):
    folder, _, _ = trained
    (found,) = records(invoke("relation", "--model", folder, text=f"{COMPANIES[0]}的总部在武汉，老板是吴静涛。\n"))
    triples = [(r["subject"]["text"], r["predicate"], r["object"]["text"]) for r in found["relations"]]
    assert triples == [(COMPANIES[0], "总部", "武汉"), (COMPANIES[0], "老板", "吴静涛")]


def test_an_annotator_and_offsets_are_options_of_the_formats_that_have_them(fails, tmp_path):
    write_jsonl(tmp_path / "x.jsonl", toy_relations(3))
    arguments = ("x.jsonl", "--dev", "x.jsonl", "-o", "model")
    line = fails(2, "train", "relation", *arguments, "--annotator", "1")
    assert line.startswith("--annotator 1: the format nlpkit does not name annotators; only labels")
    assert "--offsets" in fails(2, "train", "relation", *arguments, "--offsets", "utf16")


def test_training_data_without_a_relation_is_refused(fails, tmp_path):
    write_jsonl(tmp_path / "x.jsonl", [{"text": TEXT, "relations": []}])
    line = fails(1, "train", "relation", "x.jsonl", "--dev", "x.jsonl", "-o", "model")
    assert line.startswith("x.jsonl: no text has a relation")
    assert not (tmp_path / "model").exists()
