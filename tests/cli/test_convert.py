"""`nlpkit convert`, as users call it."""

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest
from support import environment, records, write_jsonl

from nlpkit.tasks.classify.formats import read_examples as read_labelled
from nlpkit.tasks.ner.formats import FORMATS

CLUENER = '{"text": "叶老桂在浙商银行", "label": {"name": {"叶老桂": [[0, 2]]}, "company": {"浙商银行": [[4, 7]]}}}\n'

RECORD = {
    "text": "叶老桂在浙商银行",
    "entities": [
        {"start": 0, "end": 3, "label": "name", "text": "叶老桂"},
        {"start": 4, "end": 8, "label": "company", "text": "浙商银行"},
    ],
}


def test_converting(nlpkit, tmp_path):
    (tmp_path / "train.json").write_text(CLUENER * 2, encoding="utf-8")
    result = nlpkit("convert", "--from", "cluener", "train.json")
    assert (result.exit_code, result.stderr, records(result)) == (0, "", [RECORD] * 2)
    assert "叶老桂" in result.stdout
    assert records(nlpkit("convert", "--from", "cluener", text=CLUENER)) == [RECORD]
    assert nlpkit("convert", "--from", "cluener", "train.json", "-o", "out.jsonl.gz").stdout == ""
    assert gzip.decompress((tmp_path / "out.jsonl.gz").read_bytes()).decode() == result.stdout
    (tmp_path / "again.jsonl").write_text(result.stdout, encoding="utf-8")
    assert nlpkit("convert", "--from", "nlpkit", "again.jsonl").stdout == result.stdout


def test_converting_gbk(nlpkit, tmp_path):
    (tmp_path / "train.txt").write_bytes("叶\tB-name\n老\tI-name\r\n\n".encode("gb18030"))
    result = nlpkit("convert", "--from", "conll", "train.txt", "--encoding", "gb18030")
    assert records(result)[0]["text"] == "叶老"


@pytest.mark.data
@pytest.mark.parametrize(
    ("format", "name", "number"), [("cluener", "cluener/dev.json", 1343), ("cmeee", "ner/cmeee/dev.txt", None)]
)
def test_converting_published_data(nlpkit, data, tmp_path, format, name, number):
    if not (data / name).exists():
        pytest.skip(f"no {name}")
    assert nlpkit("convert", "--from", format, data / name, "-o", "out.jsonl").exit_code == 0
    found = records(tmp_path / "out.jsonl")
    assert number is None or len(found) == number
    assert sum(len(record["entities"]) for record in found) > len(found)


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["--from", "xml"], 2, f"unknown format 'xml'; there are: {', '.join(FORMATS)}"),
        (["--from", "cluener", "bad.json"], 1, "bad.json:2: "),
        (["--from", "cluener", "none.json"], 1, "none.json: no such file"),
        (["--from", "cluener", "."], 1, ".: has files of several formats (1 jsonl, 1 text)"),
        (["--from", "cmeee", "gbk.txt"], 1, "gbk.txt:1: not valid utf-8 at byte 1 "),
        (["--from", "cluener", "-o", "no/out.jsonl"], 1, "no/out.jsonl: cannot be written"),
    ],
)
def test_what_cannot_be_converted(fails, tmp_path, args, code, message):
    (tmp_path / "bad.json").write_text(CLUENER + CLUENER.replace("[[0, 2]]", "[[0, 9]]"), encoding="utf-8")
    (tmp_path / "gbk.txt").write_bytes("中文|||".encode("gbk"))
    assert fails(code, "convert", *args, text=CLUENER).startswith(message)


def test_converting_with_bad_records_skipped(nlpkit, tmp_path):
    (tmp_path / "bad.json").write_text(CLUENER + "{\n" + CLUENER, encoding="utf-8")
    result = nlpkit("convert", "--from", "cluener", "bad.json", "-o", "out.jsonl", "--on-error", "skip")
    assert result.exit_code == 3
    assert records(tmp_path / "out.jsonl") == [RECORD] * 2
    assert result.stderr.splitlines()[-1] == "nlpkit: 1 bad record(s) skipped"


BOTH = {
    "text": "叶老桂在浙商银行",
    "entities": [*RECORD["entities"], {"start": 4, "end": 6, "label": "place", "text": "浙商"}],
    "relations": [
        {
            "subject": {"start": 0, "end": 3, "text": "叶老桂"},
            "predicate": "任职",
            "object": {"start": 4, "end": 8, "text": "浙商银行"},
        }
    ],
}


def as_line(record):
    return json.dumps(record, ensure_ascii=False) + "\n"


@pytest.mark.parametrize(
    ("format", "dropped"),
    [
        ("doccano", []),
        ("labelstudio", []),
        ("cmeee", ["dropped: 1 relation (cmeee cannot hold it), first in <stdin>:1"]),
        (
            "conll",
            [
                "dropped: 1 relation (conll cannot hold it), first in <stdin>:1",
                "dropped: 1 entity (tags cannot hold it beside a longer one that overlaps), first in <stdin>:1",
            ],
        ),
    ],
)
def test_converting_there_and_back_through_pipes(format, dropped):
    command = f"{sys.executable} -m nlpkit convert --from"
    pipe = f"{command} nlpkit --to {format} | {command} {format}"
    done = subprocess.run(pipe, shell=True, input=as_line(BOTH).encode(), capture_output=True, env=environment())
    (found,) = map(json.loads, done.stdout.splitlines())
    expected = {"text": BOTH["text"], "entities": sorted(BOTH["entities"], key=lambda e: (e["start"], e["end"]))}
    if format == "conll":
        expected["entities"] = RECORD["entities"]
    assert found == expected | ({} if dropped else {"relations": BOTH["relations"]})
    assert done.stderr.decode().splitlines() == [f"nlpkit: {line}" for line in dropped]


def test_converting_to_a_folder(nlpkit, fails, tmp_path):
    line = as_line(BOTH)
    assert nlpkit("convert", "--from", "nlpkit", "--to", "brat", "-o", "out", text=line * 2).exit_code == 0
    assert sorted(path.name for path in Path("out").iterdir()) == [
        *("0000001.ann", "0000001.txt", "0000002.ann", "0000002.txt", "annotation.conf")
    ]
    back = records(nlpkit("convert", "--from", "brat", "out"))
    assert [record["relations"] for record in back] == [BOTH["relations"]] * 2
    assert (tmp_path / "out" / "0000001.ann").read_text(encoding="utf-8").splitlines() == [
        "T1\tname 0 3\t叶老桂",
        "T2\tplace 4 6\t浙商",
        "T3\tcompany 4 8\t浙商银行",
        "R1\t任职 Arg1:T1 Arg2:T3",
    ]
    message = fails(1, "convert", "--from", "nlpkit", "--to", "brat", "-o", "out", text=line)
    assert message == "out: has other things in it, such as 0000001.ann; name a new folder"
    message = fails(2, "convert", "--from", "nlpkit", "--to", "brat", text=line)
    assert message == "--to brat: two files for each text; name a new folder with --output"
    bad = as_line(RECORD | {"entities": [{"start": 0, "end": 1, "label": "a b"}]})
    message = fails(1, "convert", "--from", "nlpkit", "--to", "brat", "-o", "new", text=line + bad)
    assert message.startswith("<stdin>:2: the label 'a b' has white space, which brat cannot hold")
    assert list(tmp_path.iterdir()) == [tmp_path / "out"]


def test_one_task_of_a_record(nlpkit, fails):
    line = as_line(BOTH)
    result = nlpkit("convert", "--from", "nlpkit", "--task", "relation", text=line)
    assert records(result) == [{"text": BOTH["text"], "relations": BOTH["relations"]}]
    assert result.stderr.startswith("nlpkit: dropped: 3 entities (")
    result = nlpkit("convert", "--from", "nlpkit", "--task", "ner", text=line)
    assert list(records(result)[0]) == ["text", "entities"]
    assert fails(1, "convert", "--from", "nlpkit", "--task", "event", text=line).startswith(
        '<stdin>:1: no "events" here'
    )
    message = fails(2, "convert", "--from", "cluener", "--task", "event", text=line)
    assert message == "--task event: the format cluener has entities only"
    args = ("--from", "nlpkit", "--task", "relation", "--to", "conll")
    message = fails(1, "convert", *args, text=line)
    assert message.startswith("<stdin>:1: the record has only relations, which conll cannot hold")
    assert fails(1, "convert", "--from", "nlpkit", text='{"text": "好"}\n').startswith('<stdin>:1: no "entities" here')


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--from", "cluener", "--to", "weibo"], "--to weibo: only read; choose one of nlpkit, doccano, "),
        (["--from", "cluener", "--to", "xml"], "--to xml: unknown; choose one of nlpkit, doccano, "),
        (["--from", "cluener", "--offsets", "utf16"], "--offsets utf16: neither format is doccano; leave it out"),
        (["--from", "doccano", "--offsets", "bytes"], "--offsets bytes: one of codepoint, utf16, grapheme"),
        (["--from", "cluener", "--to", "doccano", "--offsets", "bytes"], "--offsets bytes: one of codepoint, utf16, "),
        (
            ["--from", "conll", "--annotator", "1"],
            "--annotator 1: the format conll does not name annotators; only labels",
        ),
        (["--from", "brat"], "brat is a pair of files for each text; name them or their folder"),
    ],
)
def test_options_that_do_not_fit(fails, args, message):
    assert fails(2, "convert", *args, text=CLUENER).startswith(message)


def test_predictions_are_corrected_in_label_studio_and_trained_on(nlpkit, tiny, tmp_path):
    (tmp_path / "news.txt").write_text("叶老桂在浙商银行\n。\n", encoding="utf-8")
    predicted = nlpkit("ner", "news.txt", "--model", tiny, "--threshold", "0.001", "-q").stdout
    names = ("--from-name", "ner", "--to-name", "body", "--data-key", "content")
    result = nlpkit("convert", "--from", "nlpkit", "--to", "labelstudio", *names, "-o", "t.json", text=predicted)
    assert (result.exit_code, result.stderr) == (0, "")
    tasks = json.loads((tmp_path / "t.json").read_text(encoding="utf-8"))
    assert [set(task) for task in tasks] == [{"data", "predictions"}] * 2  # also where nothing was found
    assert tasks[0]["data"] == {"content": "叶老桂在浙商银行"}
    results = tasks[0]["predictions"][0]["result"]
    assert {(r["from_name"], r["to_name"], r["type"]) for r in results} == {("ner", "body", "labels")}
    assert [r["score"] for r in results] == [e["score"] for e in json.loads(predicted.splitlines()[0])["entities"]]
    for number, task in enumerate(tasks):  # what Label Studio exports once they are corrected
        results = task.pop("predictions")[0]["result"]
        task |= {"id": number, "annotations": [{"completed_by": 1, "result": results[:1]}], "predictions": []}
    (tmp_path / "done.json").write_text(json.dumps(tasks), encoding="utf-8")
    result = nlpkit("evaluate", "ner", "done.json", "--format", "labelstudio", "--field", "content", "--model", tiny)
    assert (result.exit_code, result.stderr) == (0, "")
    assert records(result)[0]["texts"] == 2
    assert sum(label["support"] for label in records(result)[0]["labels"].values()) == len(tasks)


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
def test_converting_relations_and_events(nlpkit, tmp_path, format, record, expected):
    write_jsonl(tmp_path / "x.json", [record])
    (found,) = records(nlpkit("convert", "--from", format, "x.json"))
    assert {**found, **expected} == found


def test_an_unknown_format_is_refused(fails):
    assert "duee-fin" in fails(2, "convert", "--from", "ace", text="")


@pytest.mark.parametrize(
    ("args", "text", "expected"),
    [
        (["tsv"], "很好\t1\n", {"text": "很好", "label": "1"}),
        (["label-tsv"], "1\t很好\n", {"text": "很好", "label": "1"}),
        (["pair-tsv"], "甲\t乙\t0\n", {"text": "甲", "second": "乙", "label": "0"}),
        (["fasttext"], "__label__a __label__b 很好\n", {"text": "很好", "labels": ["a", "b"]}),
        (["clue"], '{"sentence": "很好", "label": "1", "label_desc": "好"}\n', {"text": "很好", "label": "好"}),
        (
            ["csv", "--field", "a", "--pair", "b", "--label", "c"],
            'a,b,c\n"甲,乙",丙,x\n',
            {"text": "甲,乙", "second": "丙", "label": "x"},
        ),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_labelled_texts_become_records_that_train_reads(nlpkit, tmp_path, args, text, expected):
    result = nlpkit("convert", "--from", *args, "-o", "out.jsonl", text=text)
    assert (result.exit_code, result.stderr) == (0, "")
    assert records(tmp_path / "out.jsonl") == [expected]
    pair = "second" if "second" in expected else None
    (example,) = read_labelled([str(tmp_path / "out.jsonl")], pair=pair)
    assert (example.text, example.second) == (expected["text"], expected.get("second"))
    assert list(example.labels) == expected.get("labels", [expected.get("label")])


def test_labelled_texts_become_nothing_else(fails):
    message = "--from tsv: has labels of whole texts, which become records of nlpkit only"
    assert fails(2, "convert", "--from", "tsv", "--to", "conll", text="很好\t1\n") == message
    assert fails(2, "convert", "--from", "tsv", "--task", "ner", text="很好\t1\n") == message
    assert fails(2, "convert", "--from", "conll", "--label", "x", text="叶\tO\n").startswith(
        "--label x: the format conll"
    )
