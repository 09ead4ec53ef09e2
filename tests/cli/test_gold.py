"""Gold annotation: bad records are named or skipped, what is dropped is counted, and a model is scored on the rest."""

import json
from types import SimpleNamespace

import pytest
import typer
from support import records, toy_records, write_jsonl

from nlpkit.cli.gold import evaluate_on_gold, read_gold
from nlpkit.cli.options import EvaluateFlags
from nlpkit.core.io.records import ErrorPolicy
from nlpkit.errors import DataError
from nlpkit.tasks import TASKS

SAMPLES = {
    "ner": {"text": "王伟", "entities": []},
    "relation": {"text": "王伟", "relations": []},
    "event": {"text": "王伟", "events": []},
    "classify": {"text": "王伟", "label": "name"},
    "kgqa": {
        "question": "长江的长度？",
        "answers": [{"subject": "长江", "predicate": "长度", "objects": ["6300公里"]}],
    },
}
SMALL = ("--model", "roformer_v2:2x64", "--batch-size", "16", "--lr", "2e-3", "--quiet")

GOOD = {"text": "王伟在北京大学工作。", "entities": [{"start": 0, "end": 2, "label": "name"}]}


def bad_record(**changes):
    return json.dumps(GOOD | changes, ensure_ascii=False)


def entity(**changes):
    return bad_record(entities=[{"start": 0, "end": 2, "label": "name"} | changes])


BAD_GOLD = [
    ("nlpkit", "{", "not valid JSON"),
    ("nlpkit", '{"text": "好"}', 'no "entities" here'),
    ("nlpkit", '{"entities": []}', "the record has no text"),
    ("nlpkit", entity(end=99), "offsets 0:99 are outside the text of 10 characters"),
    ("nlpkit", entity(start=-1), "offsets -1:2 are outside the text"),
    ("nlpkit", entity(start=2), "offsets 2:2 hold no character"),
    ("nlpkit", entity(text="王二"), "the text at 0:2 is '王伟', but the annotation says '王二'"),
    ("nlpkit", entity(label=""), "the label of 0:2 must be a non-empty string"),
    ("conll", "王\tI-name", "I-name does not continue an entity (the tag before is none)"),
    ("conll", "王\tX-name", "'X-name' is not a tag of BIO"),
    ("conll", "王", "a character and its tag are expected"),
]


@pytest.mark.parametrize(("format", "line", "message"), BAD_GOLD)
@pytest.mark.parametrize("command", ["train", "evaluate", "convert"])
def test_bad_gold_names_file_and_line(fails, tiny, tmp_path, command, format, line, message):
    good = json.dumps(GOOD, ensure_ascii=False) if format == "nlpkit" else "王\tO\n"
    (tmp_path / "gold").write_text(f"{good}\n{line}\n", encoding="utf-8")
    args = {
        "train": ["train", "ner", "gold", "--dev", "gold", "-o", "out", "--format", format, *SMALL],
        "evaluate": ["evaluate", "ner", "gold", "--model", tiny, "--format", format],
        "convert": ["convert", "gold", "--from", format, "-o", "out"],
    }[command]
    number = 2 if format == "nlpkit" else 3
    assert fails(1, *args).startswith(f"gold:{number}: {message}")
    assert not (tmp_path / "out").exists()


def test_skipped_records_do_not_count(nlpkit, tiny, tmp_path):
    strange = {"text": "红", "entities": [{"start": 0, "end": 1, "label": "colour"}]}
    write_jsonl(tmp_path / "clean", [GOOD])
    write_jsonl(tmp_path / "mixed", [GOOD, strange])
    with (tmp_path / "mixed").open("a") as stream:
        stream.write("{\n")
    result = nlpkit("evaluate", "ner", "mixed", "--model", tiny, "--on-error", "skip")
    assert result.exit_code == 3
    lines = result.stderr.splitlines()
    assert lines[0].startswith("nlpkit: skipped: mixed:3: not valid JSON")
    assert lines[1].startswith("nlpkit: skipped: mixed:2: the model has no label colour")
    assert lines[2] == "nlpkit: 2 bad record(s) skipped"
    clean = records(nlpkit("evaluate", "ner", "clean", "--model", tiny))[0]
    assert {key: records(result)[0][key] for key in ("texts", "support", "f1")} == {
        key: clean[key] for key in ("texts", "support", "f1")
    }


def test_output_with_the_text_in_another_field_is_gold_again(nlpkit, tiny, tmp_path):
    reviews = [{"id": number, "review": record["text"]} for number, record in enumerate(toy_records(30))]
    write_jsonl(tmp_path / "r.jsonl", reviews)
    assert nlpkit("ner", "r.jsonl", "--model", tiny, "--field", "review", "-o", "out.jsonl").exit_code == 0
    (scores,) = records(nlpkit("evaluate", "ner", "out.jsonl", "--model", tiny, "--field", "review"))
    assert (scores["f1"], scores["texts"]) == (1.0, 30)
    (first, *_) = records(nlpkit("convert", "--from", "nlpkit", "out.jsonl", "--field", "review"))
    assert (list(first), first["text"]) == (["text", "entities"], reviews[0]["review"])
    args = ("train", "ner", "out.jsonl", "--dev", "out.jsonl", "-o", "model", "--epochs", 1, *SMALL)
    assert nlpkit(*args, "--field", "review").exit_code == 0
    message = "out.jsonl:1: the record has no text, or it is not a string; name the field that holds it with --field"
    assert message in nlpkit(*args).stderr


def test_what_a_task_cannot_hold_is_reported_before_a_run(nlpkit, tiny, tmp_path):
    relation = {"subject": {"start": 0, "end": 2}, "predicate": "任职", "object": {"start": 3, "end": 7}}
    entities = [*GOOD["entities"], {"start": 3, "end": 7, "label": "company"}]
    write_jsonl(tmp_path / "gold", [GOOD | {"entities": entities, "relations": [relation]}])
    assert nlpkit("convert", "--from", "nlpkit", "gold", "--to", "doccano", "-o", "both.jsonl").exit_code == 0
    result = nlpkit("evaluate", "ner", "both.jsonl", "--format", "doccano", "--model", tiny)
    assert result.exit_code == 0
    assert result.stderr == "nlpkit: dropped: 1 relation (records of entities cannot hold it), first in both.jsonl:1\n"


def test_no_files_have_no_examples():
    """As a training set without a dev set."""
    assert read_gold("ner", [], "utf-8", ErrorPolicy(), format="nlpkit") == []


@pytest.mark.parametrize("task", [task.name for task in TASKS if task.name != "embed"])
def test_each_task_reads_its_own_format(tmp_path, task):
    path = write_jsonl(tmp_path / "gold.jsonl", [SAMPLES[task]])
    (example,) = read_gold(task, [path], "utf-8", ErrorPolicy(), format="nlpkit")
    assert example.text == SAMPLES[task].get("text", SAMPLES[task].get("question"))


class Counting:
    """A predictor that finds the label `name` strange, and scores how many examples it is given."""

    runner = SimpleNamespace(parameters=8)

    @property
    def task(self):
        return self

    def validate(self, example):
        if example.entities[0].label == "strange":
            raise example.line.error("the model has no label strange")

    def evaluate(self, examples, more):
        return {"texts": len(examples)} | (more([(example, None) for example in examples]) if more else {})


@pytest.fixture
def evaluate(tmp_path, capfdbinary):
    """Scores `Counting` on texts with one entity of each label; gives what is printed."""

    def run(*labels, errors=None, more=None):
        records = [GOOD | {"entities": [{"start": 0, "end": 2, "label": label}]} for label in labels]
        flags = EvaluateFlags(files=[write_jsonl(tmp_path / "gold.jsonl", records)], model="counting", threshold=0.7)
        evaluate_on_gold("ner", load, flags, errors or ErrorPolicy(), {"format": "nlpkit"}, more, nested=True)
        return json.loads(capfdbinary.readouterr().out)

    def load(*arguments, **settings):
        assert arguments == ("counting", "auto", "auto")
        assert settings == {"runtime": "auto", "threshold": 0.7, "nested": True}
        return Counting()

    return run


def test_the_result_has_the_metrics_and_the_number_of_weights(evaluate):
    found = evaluate("name", more=lambda pairs: {"pairs": len(pairs)})
    assert found == {"texts": 1, "pairs": 1, "parameters": 8}


def test_an_example_that_the_model_does_not_fit_is_a_bad_record(evaluate, capfdbinary):
    with pytest.raises(DataError, match=r"gold\.jsonl:2: the model has no label strange"):
        evaluate("name", "strange", "name")
    errors = ErrorPolicy("skip")
    with pytest.raises(typer.Exit) as caught:
        evaluate("name", "strange", "name", errors=errors)
    assert (caught.value.exit_code, errors.count) == (3, 1)
    assert json.loads(capfdbinary.readouterr().out)["texts"] == 2


def test_without_examples_no_model_is_loaded(tmp_path):
    files = [write_jsonl(tmp_path / name, []) for name in ("a", "b")]
    with pytest.raises(DataError, match=r"a, .*b: no gold texts in it"):
        evaluate_on_gold("ner", pytest.fail, EvaluateFlags(files=files), ErrorPolicy(), {"format": "nlpkit"})
