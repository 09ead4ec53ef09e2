"""`nlpkit event` and `nlpkit relation` in this process: what goes in, what comes out, and what bad input gets."""

import json
import re

import pytest
from linker_support import COMPANIES, save_linker, toy_events, toy_relations
from support import NASTY, SENTENCE, invoke, records, write_jsonl

from nlpkit.tasks.event.data import TRIGGER
from nlpkit.tasks.event.formats import read_examples
from nlpkit.tasks.event.task import EventSettings, EventTask
from nlpkit.tasks.event.task import load as load_event
from nlpkit.tasks.relation.task import RelationSettings, RelationTask

TEXT = "南山银行收购了北斗科技，长城汽车起诉了西湖医院，今天天气很好。"
LABELS = tuple((type, role, "") for type in ("收购", "起诉") for role in (TRIGGER, "一", "二", "三"))
SMALL = ("--model", "roformer_v2:2x64", "--batch-size", "16", "--lr", "2e-3", "--quiet")


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Tiny models with random weights, by command; `flood` finds thousands of spans in every text."""
    made = tmp_path_factory.mktemp("linkers")
    return {
        "event": save_linker(made / "event", EventTask(EventSettings(LABELS))),
        "long": save_linker(made / "long", EventTask(EventSettings(LABELS)), bias=-2.0, max_length=256),
        "flood": save_linker(made / "flood", EventTask(EventSettings(LABELS)), bias=3.0, max_length=256),
        "relation": save_linker(made / "relation", RelationTask(RelationSettings(("总部", "老板"))), bias=0.0, seed=8),
    }


@pytest.fixture
def run(nlpkit, folders):
    """Runs a command with its tiny model; gives the records."""

    def run(command, *args, text=None, model=None):
        result = nlpkit(command, "--model", folders[model or command], *args, text=text)
        assert (result.exit_code, result.stderr) == (0, "")
        return records(result)

    return run


def spans(found):
    """All spans of a record's events or relations."""
    for event in found.get("events", ()):
        yield from [event["trigger"]] if event["trigger"] else []
        yield from event["arguments"]
    for relation in found.get("relations", ()):
        yield from (relation["subject"], relation["object"])


def test_a_line_of_text_gives_a_line_of_json(run):
    (found,) = run("event", text=TEXT + "\n")
    assert list(found) == ["text", "events"]
    assert found["events"]
    event = next(event for event in found["events"] if event["trigger"] and event["arguments"])
    assert list(event) == ["type", "trigger", "arguments", "score"]
    assert list(event["trigger"]) == ["start", "end", "text"]
    assert list(event["arguments"][0]) == ["role", "start", "end", "text", "score"]
    (found,) = run("relation", text=TEXT + "\n")
    assert list(found) == ["text", "relations"]
    assert list(found["relations"][0]) == ["subject", "predicate", "object", "score"]


@pytest.mark.parametrize("command", ["event", "relation"])
def test_every_line_gives_a_record_in_order_and_text_is_the_span(run, tmp_path, command):
    lines = [*NASTY, *(record["text"] for record in toy_events(30)), "", SENTENCE * 9, TEXT * 6]
    (tmp_path / "in.txt").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    found = run(command, "in.txt")
    assert [record["text"] for record in found] == lines
    assert sum(1 for record in found for _ in spans(record)) > 50
    for record in found:
        assert all(record["text"][s["start"] : s["end"]] == s["text"] != "" for s in spans(record))
    assert found[-1]["windows"] > 1
    assert "windows" not in found[0]


@pytest.mark.parametrize("command", ["event", "relation"])
def test_output_is_input_and_training_data(run, tmp_path, command):
    run(command, "-o", "out.jsonl", text=f"{TEXT}\n\n{TEXT}\n")
    found = records(tmp_path / "out.jsonl")
    again = run(command, "out.jsonl", "--nest", "again")
    assert [record.pop("again") for record in again] == [{name: record[name] for name in record if name != "text"}
                                                         for record in found]  # fmt: skip
    assert again == found
    if command == "event":
        assert [e.text for e in read_examples([str(tmp_path / "out.jsonl")])] == [TEXT, "", TEXT]


def test_fields_pass_through(run, tmp_path):
    write_jsonl(tmp_path / "in.jsonl", [{"id": 7, "title": TEXT, "event": "old"}])
    (found,) = run("event", "in.jsonl", "--field", "title")
    assert (found["id"], found["title"], found["event"]) == (7, TEXT, "old")
    assert isinstance(found["events"], list)


def test_a_schema_restricts_types_and_roles(run, tmp_path):
    everything = run("event", text=TEXT)[0]["events"]
    assert {event["type"] for event in everything} == {"收购", "起诉"}
    (tmp_path / "schema.jsonl").write_text('{"type": "收购", "roles": ["一"]}\n', encoding="utf-8")
    some = run("event", "--schema", "schema.jsonl", text=TEXT)[0]["events"]
    assert some
    assert {event["type"] for event in some} == {"收购"}
    assert {argument["role"] for event in some for argument in event["arguments"]} <= {"一"}
    (tmp_path / "schema.json").write_text('[{"predicate": "总部"}]', encoding="utf-8")
    found = run("relation", "--schema", "schema.json", text=TEXT)[0]["relations"]
    assert {relation["predicate"] for relation in found} == {"总部"}


def test_readings_of_one_event_are_one_event_unless_all_cliques_are_asked_for(run, nlpkit, tmp_path, folders):
    best = run("event", text=TEXT)[0]["events"]
    every = run("event", "--all-cliques", text=TEXT)[0]["events"]
    assert 0 < len(best) < len(every)
    assert all(event in every for event in best)
    gold = write_jsonl(tmp_path / "gold.jsonl", [{"text": TEXT, "events": every}])
    command = ("evaluate", "event", gold, "--model", folders["event"])
    for options, found in (((), best), (("--all-cliques",), every)):
        (scores,) = records(nlpkit(*command, *options))
        assert scores["event"]["recall"] == pytest.approx(len(found) / len(every))


def test_thresholds(run):
    counts = [len(run("event", "--threshold", t, text=TEXT)[0]["events"]) for t in (0.4, 0.999)]
    assert counts[0] > counts[1]
    found = run("relation", "--threshold", 0.6, text=TEXT)[0]["relations"]
    assert all(relation["score"] >= 0.6 for relation in found)


@pytest.mark.parametrize(
    ("command", "arguments", "words"),
    [
        ("event", ["--schema", "schema.jsonl"], ["schema.jsonl:1: ", "no type 裁员", "收购, 起诉"]),
        ("relation", ["--schema", "none.jsonl"], ["none.jsonl: no such file"]),
        ("event", ["none.txt"], ["none.txt: no such file"]),
    ],
)
def test_what_cannot_be_read_is_named(fails, folders, tmp_path, command, arguments, words):
    (tmp_path / "schema.jsonl").write_text('{"type": "裁员"}\n', encoding="utf-8")
    line = fails(1, command, "--model", folders[command], *arguments, text=TEXT)
    assert all(word in line for word in words), line


def test_a_model_of_another_task_is_refused(fails, folders):
    assert "a model for `nlpkit relation`" in fails(1, "event", "--model", folders["relation"], text=TEXT)


def test_a_document_of_100000_characters_and_thousands_of_candidates(run):
    for model, size, least in (("long", 100_000, 0), ("flood", 10_000, 1000)):
        text = (TEXT * 3300)[:size]
        (found,) = run("event", "--all-cliques", model=model, text=text)
        assert found["windows"] > size // 256
        assert all(text[s["start"] : s["end"]] == s["text"] for s in spans(found))
        assert len(found["events"]) > least


def test_answers_do_not_depend_on_the_batch(folders):
    model = load_event(folders["event"], "cpu", "fp32")
    texts = [TEXT, SENTENCE, TEXT * 2, "收购", *(record["text"] for record in toy_events(20))]
    together = [prediction.answer for prediction in model.predictions(texts)]
    assert together == [model.predictions([text])[0].answer for text in texts]


# --- pictures ---------------------------------------------------------------------------------------------------------


def test_a_page_shows_each_event_in_its_colour(run, tmp_path):
    (found,) = run("event", "--html", "events.html", text=TEXT)
    page = (tmp_path / "events.html").read_text(encoding="utf-8")
    assert page.count("<table") == len(found["events"])
    hues = re.findall(r'<table style="--hue:(\d+)"><caption>(\S+) ', page)
    assert [type for _, type in hues] == [event["type"] for event in found["events"]]
    assert len({hue for hue, _ in hues}) == len(hues)
    assert page.count("data-label=") == sum(1 for _ in spans(found))
    run("relation", "--html", "relations.html", text=TEXT)
    assert "<td>总部</td>" in (tmp_path / "relations.html").read_text(encoding="utf-8")


def test_dot_draws_what_was_found(nlpkit, run, folders):
    (found,) = run("event", text=TEXT)
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
    (found,) = run("event", text=TEXT)
    drawn = nlpkit("event", "--model", folders["event"], "--format", "mermaid", text=f"{TEXT}\n{TEXT}\n").stdout
    charts = drawn.split("\n\n")[:-1]
    assert [chart.splitlines()[0] for chart in charts] == ["flowchart LR"] * 2
    assert charts[0].count("-->") == sum(len(event["arguments"]) for event in found["events"])


def test_what_the_languages_take_for_their_own_is_escaped():
    from nlpkit.cli.render.event_graph import dot, mermaid

    role = {"role": 'a"b', "start": 0, "end": 3, "text": 'x\\"\n]', "score": 1.0}
    listed = {"role": "环节", "start": 0, "end": 3, "text": "x", "value": "正式", "score": 1.0}
    record = {"events": [{"type": "t;", "trigger": None, "arguments": [role, listed], "score": 1.0}]}
    assert '  a0_3 [label="x\\\\\\" ]"]' in dot(record).decode().splitlines()
    assert "正式" in dot(record).decode()
    lines = mermaid(record).decode().splitlines()
    assert '  e1["t#59;"]' in lines
    assert '  e1 -->|"a#34;b"| a0_3' in lines


def test_a_terminal_shows_tables(capsys, monkeypatch):
    from nlpkit.cli.render.event_graph import event_marks, event_tables, relation_marks, relation_tables
    from nlpkit.cli.render.text import show

    trigger = {"start": 4, "end": 6, "text": "收购"}
    buyer = {"role": "买方", "start": 0, "end": 4, "text": "南山银行", "score": 0.75}
    found = {"events": [{"type": "并购", "trigger": trigger, "arguments": [buyer], "score": 0.5}]}
    show(TEXT[:11], event_marks(found), event_tables(found))
    shown = capsys.readouterr().out
    assert "南山银行[买方]收购[并购]了北斗科技" in shown
    assert re.search(r"^并购 0.500 *\n *trigger +收购 *\n *买方 +南山银行 +0.750 *$", shown, re.M)
    one = {"subject": {"start": 0, "end": 4, "text": "南山银行"}, "predicate": "收购", "score": 0.5,
           "object": {"start": 7, "end": 11, "text": "北斗科技"}}  # fmt: skip
    show(TEXT[:11], relation_marks({"relations": [one, one]}), relation_tables({"relations": [one]}))
    shown = capsys.readouterr().out
    assert "南山银行[subject]收购了北斗科技[object]" in shown
    assert re.search(r"南山银行 +收购 +北斗科技 +0.500", shown)


# --- training ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module", params=["event", "relation"])
def trained(request, tmp_path_factory):
    """(command, folder, dev file, metrics) of a training run of some seconds on a toy language."""
    folder = tmp_path_factory.mktemp("trained")
    toy = {"event": toy_events, "relation": toy_relations}[request.param]
    train, dev = write_jsonl(folder / "train.jsonl", toy(240)), write_jsonl(folder / "dev.jsonl", toy(60, 1))
    more = ("--epochs", 10, "--evaluations", 1, "--threshold", "auto", "-o", folder / "model")
    result = invoke("train", request.param, train, "--dev", dev, *SMALL, *more)
    assert result.exit_code == 0, result.output
    return request.param, folder / "model", dev, records(result)[0]


def test_the_toy_language_is_learnt(trained):
    command, folder, dev, metrics = trained
    assert metrics["f1"] > 0.9
    result = invoke("evaluate", command, dev, "--model", folder, *(["--errors"] if command == "event" else []))
    (scores,) = records(result)
    assert scores["f1"] == metrics["f1"]
    assert (scores["texts"], scores["misaligned"]) == (60, 0)
    if command == "event":
        assert {"trigger_classification", "argument_identification", "event", "argument_characters"} <= set(metrics)
        assert scores["errors"]["triggers"]["right"] > 0.9 * sum(scores["errors"]["triggers"].values())
    else:
        assert metrics["triple"]["f1"] == metrics["f1"]


def test_the_model_finds_what_it_has_learnt(trained):
    command, folder, _, _ = trained
    if command == "event":
        (found,) = records(invoke("event", "--model", folder, text="中海石油起诉了长城汽车，没有别的。\n"))
        (event,) = found["events"]
        assert (event["type"], event["trigger"]["text"]) == ("起诉", "起诉")
        assert [(a["role"], a["text"]) for a in event["arguments"]] == [("原告", "中海石油"), ("被告", "长城汽车")]
        manifest = json.loads((folder / "nlpkit.json").read_text(encoding="utf-8"))
        assert manifest["config"]["triggered"] is True
    else:
        (found,) = records(invoke("relation", "--model", folder, text=f"{COMPANIES[0]}的总部在武汉，老板是吴静涛。\n"))
        triples = [(r["subject"]["text"], r["predicate"], r["object"]["text"]) for r in found["relations"]]
        assert triples == [(COMPANIES[0], "总部", "武汉"), (COMPANIES[0], "老板", "吴静涛")]


@pytest.mark.parametrize(
    ("command", "record", "words"),
    [
        ("event", {"text": TEXT, "events": [{"type": "收购", "arguments": []}]}, ["x.jsonl:1: ", "neither a trigger"]),
        ("event", {"text": TEXT, "events": []}, ["x.jsonl: no text has an event"]),
        ("relation", {"text": TEXT, "relations": []}, ["x.jsonl: no text has a relation"]),
    ],
)
def test_bad_training_data_is_named(fails, tmp_path, command, record, words):
    write_jsonl(tmp_path / "x.jsonl", [record])
    line = fails(1, "train", command, "x.jsonl", "--dev", "x.jsonl", "-o", "model")
    assert all(word in line for word in words), line


def test_gold_that_a_model_does_not_know_is_named(fails, folders, tmp_path):
    gold = {"type": "裁员", "trigger": None, "arguments": [{"role": "一", "start": 0, "end": 4}]}
    write_jsonl(tmp_path / "x.jsonl", [{"text": TEXT, "events": [gold]}])
    line = fails(1, "evaluate", "event", "x.jsonl", "--model", folders["event"])
    assert line.startswith("x.jsonl:1: the model has no 一 in 裁员; its types are: 收购, 起诉")


@pytest.mark.parametrize(
    ("format", "record", "expected"),
    [
        (
            "duie",
            {"text": "三体的作者是刘慈欣", "spo_list": [{"subject": "三体", "predicate": "作者", "object": "刘慈欣"}]},
            {"relations": [{"subject": {"start": 0, "end": 2, "text": "三体"}, "predicate": "作者",
             "object": {"start": 6, "end": 9, "text": "刘慈欣"}}]},
        ),
        (
            "fewfc",
            {"content": "甲卖", "events": [{"type": "卖", "mentions": [{"word": "甲", "span": [0, 1], "role": "谁"}]}]},
            {"events": [{"type": "卖", "trigger": None,
             "arguments": [{"role": "谁", "start": 0, "end": 1, "text": "甲"}]}]},
        ),
        ("duee-fin", {"title": "甲", "text": "乙"}, {"text": "甲\n乙", "events": [], "located": False}),
    ],
)  # fmt: skip
def test_converting(nlpkit, tmp_path, format, record, expected):
    write_jsonl(tmp_path / "x.json", [record])
    (found,) = records(nlpkit("convert", "--from", format, "x.json"))
    assert {**found, **expected} == found


def test_an_unknown_format_is_refused(fails):
    assert "duee-fin" in fails(2, "convert", "--from", "ace", text="")
