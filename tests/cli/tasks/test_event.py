"""`nlpkit event` in this process: what goes in, what comes out, and what bad input gets."""

import json
import re

import pytest
from linker_support import save_linker, toy_events, train_toy
from support import NASTY, SENTENCE, invoke, records, write_jsonl

from nlpkit.tasks.event.data import TRIGGER
from nlpkit.tasks.event.formats import read_examples
from nlpkit.tasks.event.task import EventSettings, EventTask
from nlpkit.tasks.event.task import load as load_event

TEXT = "南山银行收购了北斗科技，长城汽车起诉了西湖医院，今天天气很好。"
LABELS = tuple((type, role, "") for type in ("收购", "起诉") for role in (TRIGGER, "一", "二", "三"))


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Tiny models with random weights, by name; `flood` finds thousands of spans in every text."""
    made = tmp_path_factory.mktemp("linkers")
    task = EventTask(EventSettings(LABELS, head_size=64))
    return {
        "event": save_linker(made / "event", task),
        "long": save_linker(made / "long", task, bias=-2.0, max_length=256),
        "flood": save_linker(made / "flood", task, bias=3.0, max_length=256),
    }


@pytest.fixture
def run(nlpkit, folders):
    """Runs the command with a tiny model; gives the records."""

    def run(*args, text=None, model="event"):
        result = nlpkit("event", "--model", folders[model], *args, text=text)
        assert (result.exit_code, result.stderr) == (0, "")
        return records(result)

    return run


def spans(found):
    """All spans of a record's events."""
    for event in found["events"]:
        yield from [event["trigger"]] if event["trigger"] else []
        yield from event["arguments"]


def test_a_line_of_text_gives_a_line_of_json(run):
    (found,) = run(text=TEXT + "\n")
    assert list(found) == ["text", "events"]
    assert found["events"]
    event = next(event for event in found["events"] if event["trigger"] and event["arguments"])
    assert list(event) == ["type", "trigger", "arguments", "score"]
    assert list(event["trigger"]) == ["start", "end", "text"]
    assert list(event["arguments"][0]) == ["role", "start", "end", "text", "score"]


def test_every_line_gives_a_record_in_order_and_text_is_the_span(run, tmp_path):
    lines = [*NASTY, *(record["text"] for record in toy_events(30)), "", SENTENCE * 9, TEXT * 6]
    (tmp_path / "in.txt").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    found = run("in.txt")
    assert [record["text"] for record in found] == lines
    assert sum(1 for record in found for _ in spans(record)) > 50
    for record in found:
        assert all(record["text"][s["start"] : s["end"]] == s["text"] != "" for s in spans(record))
    assert found[-1]["windows"] > 1
    assert "windows" not in found[0]


def test_output_is_input_and_training_data(run, tmp_path):
    run("-o", "out.jsonl", text=f"{TEXT}\n\n{TEXT}\n")
    found = records(tmp_path / "out.jsonl")
    again = run("out.jsonl", "--nest", "again")
    assert [record.pop("again") for record in again] == [{name: record[name] for name in record if name != "text"}
                                                         for record in found]  # fmt: skip
    assert again == found
    assert [e.text for e in read_examples([str(tmp_path / "out.jsonl")])] == [TEXT, "", TEXT]


def test_fields_pass_through(run, tmp_path):
    write_jsonl(tmp_path / "in.jsonl", [{"id": 7, "title": TEXT, "event": "old"}])
    (found,) = run("in.jsonl", "--field", "title")
    assert (found["id"], found["title"], found["event"]) == (7, TEXT, "old")
    assert isinstance(found["events"], list)


def test_a_schema_restricts_types_and_roles(run, tmp_path):
    everything = run(text=TEXT)[0]["events"]
    assert {event["type"] for event in everything} == {"收购", "起诉"}
    (tmp_path / "schema.jsonl").write_text('{"type": "收购", "roles": ["一"]}\n', encoding="utf-8")
    some = run("--schema", "schema.jsonl", text=TEXT)[0]["events"]
    assert some
    assert {event["type"] for event in some} == {"收购"}
    assert {argument["role"] for event in some for argument in event["arguments"]} <= {"一"}


def test_readings_of_one_event_are_one_event_unless_all_cliques_are_asked_for(run, nlpkit, tmp_path, folders):
    best = run(text=TEXT)[0]["events"]
    every = run("--all-cliques", text=TEXT)[0]["events"]
    assert 0 < len(best) < len(every)
    assert all(event in every for event in best)
    gold = write_jsonl(tmp_path / "gold.jsonl", [{"text": TEXT, "events": every}])
    command = ("evaluate", "event", gold, "--model", folders["event"])
    for options, found in (((), best), (("--all-cliques",), every)):
        (scores,) = records(nlpkit(*command, *options))
        assert scores["event"]["recall"] == pytest.approx(len(found) / len(every))


def test_thresholds(run):
    counts = [len(run("--threshold", t, text=TEXT)[0]["events"]) for t in (0.4, 0.999)]
    assert counts[0] > counts[1]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--schema", "schema.jsonl"], ["schema.jsonl:1: ", "no type 裁员", "收购, 起诉"]),
        (["none.txt"], ["none.txt: no such file"]),
    ],
)
def test_what_cannot_be_read_is_named(fails, folders, tmp_path, arguments, words):
    (tmp_path / "schema.jsonl").write_text('{"type": "裁员"}\n', encoding="utf-8")
    line = fails(1, "event", "--model", folders["event"], *arguments, text=TEXT)
    assert all(word in line for word in words), line


def test_a_model_of_another_task_is_refused(fails, tiny):
    assert "a model for `nlpkit ner`" in fails(1, "event", "--model", tiny, text=TEXT)


def test_a_document_of_100000_characters_and_thousands_of_candidates(run):
    for model, size, least in (("long", 100_000, 0), ("flood", 10_000, 1000)):
        text = (TEXT * 3300)[:size]
        (found,) = run("--all-cliques", model=model, text=text)
        assert found["windows"] > size // 256
        assert all(text[s["start"] : s["end"]] == s["text"] for s in spans(found))
        assert len(found["events"]) > least


def test_answers_do_not_depend_on_the_batch(folders):
    model = load_event(folders["event"], "cpu", "fp32")
    texts = [TEXT, SENTENCE, TEXT * 2, "收购", *(record["text"] for record in toy_events(20))]
    together = [prediction.answer for prediction in model.predictions(texts)]
    assert together == [model.predictions([text])[0].answer for text in texts]


def test_a_page_shows_each_event_in_its_colour(run, tmp_path):
    (found,) = run("--html", "events.html", text=TEXT)
    page = (tmp_path / "events.html").read_text(encoding="utf-8")
    assert page.count("<table") == len(found["events"])
    hues = re.findall(r'<table style="--hue:(\d+)"><caption>(\S+) ', page)
    assert [type for _, type in hues] == [event["type"] for event in found["events"]]
    assert len({hue for hue, _ in hues}) == len(hues)
    assert page.count("data-label=") == sum(1 for _ in spans(found))


def test_dot_draws_what_was_found(nlpkit, run, folders):
    (found,) = run(text=TEXT)
    result = nlpkit("event", "--model", folders["event"], "--format", "dot", text=TEXT)
    drawn = result.stdout
    assert drawn.startswith("digraph {")
    assert drawn.rstrip().endswith("}")
    assert len(re.findall(r"^  e\d+ \[label=.* shape=box\]$", drawn, re.M)) == len(found["events"])
    edges = re.findall(r'^  e(\d+) -> a(\d+)_(\d+) \[label="(.*)"\]$', drawn, re.M)
    expected = [
        (str(number), str(a["start"]), str(a["end"]), a["role"])
        for number, event in enumerate(found["events"], 1)
        for a in event["arguments"]
    ]
    assert edges == expected


def test_mermaid_draws_the_same(nlpkit, run, folders):
    (found,) = run(text=TEXT)
    drawn = nlpkit("event", "--model", folders["event"], "--format", "mermaid", text=f"{TEXT}\n{TEXT}\n").stdout
    charts = drawn.split("\n\n")[:-1]
    assert [chart.splitlines()[0] for chart in charts] == ["flowchart LR"] * 2
    assert charts[0].count("-->") == sum(len(event["arguments"]) for event in found["events"])


def test_a_graph_is_also_written_to_a_terminal(nlpkit, folders, monkeypatch):
    options = ("event", "--model", folders["event"], "--format", "dot")
    drawn = nlpkit(*options, text=TEXT).stdout
    monkeypatch.setattr("nlpkit.cli.predict.is_on_terminal", lambda flags: True)
    assert nlpkit(*options, text=TEXT).stdout == drawn


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return train_toy(tmp_path_factory.mktemp("trained"), "event", toy_events)


def test_the_toy_language_is_learnt(trained):
    folder, dev, metrics = trained
    assert metrics["f1"] > 0.9
    (scores,) = records(invoke("evaluate", "event", dev, "--model", folder, "--errors"))
    assert scores["f1"] == metrics["f1"]
    assert (scores["texts"], scores["misaligned"]) == (60, 0)
    assert {"trigger_classification", "argument_identification", "event", "argument_characters"} <= set(metrics)
    assert scores["errors"]["triggers"]["right"] > 0.9 * sum(scores["errors"]["triggers"].values())


def test_the_model_finds_what_it_has_learnt(trained):
    folder, _, _ = trained
    (found,) = records(invoke("event", "--model", folder, text="中海石油起诉了长城汽车，没有别的。\n"))
    (event,) = found["events"]
    assert (event["type"], event["trigger"]["text"]) == ("起诉", "起诉")
    assert [(a["role"], a["text"]) for a in event["arguments"]] == [("原告", "中海石油"), ("被告", "长城汽车")]
    manifest = json.loads((folder / "nlpkit.json").read_text(encoding="utf-8"))
    assert manifest["config"]["triggered"] is True


@pytest.mark.parametrize(
    ("events", "words"),
    [
        ([{"type": "收购", "arguments": []}], ["x.jsonl:1: ", "neither a trigger"]),
        ([], ["x.jsonl: no text has an event"]),
    ],
)
def test_bad_training_data_is_named(fails, tmp_path, events, words):
    write_jsonl(tmp_path / "x.jsonl", [{"text": TEXT, "events": events}])
    line = fails(1, "train", "event", "x.jsonl", "--dev", "x.jsonl", "-o", "model")
    assert all(word in line for word in words), line


def test_gold_that_a_model_does_not_know_is_named(fails, folders, tmp_path):
    gold = {"type": "裁员", "trigger": None, "arguments": [{"role": "一", "start": 0, "end": 4}]}
    write_jsonl(tmp_path / "x.jsonl", [{"text": TEXT, "events": [gold]}])
    line = fails(1, "evaluate", "event", "x.jsonl", "--model", folders["event"])
    assert line.startswith("x.jsonl:1: the model has no 一 in 裁员; its types are: 收购, 起诉")
