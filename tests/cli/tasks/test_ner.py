"""`nlpkit ner` in this process: what goes in, what comes out, and what bad input gets."""

import bz2
import gzip
import json
import os
import shutil
from itertools import pairwise

import pytest
from support import NASTY, SENTENCE, records, save_tiny, toy_records, write_jsonl

from nlpkit.cli.options import label_list
from nlpkit.core.io.stream import CHUNK_SIZE
from nlpkit.core.model.manifest import embedded_names
from nlpkit.tasks.ner.codec import flatten
from nlpkit.tasks.ner.data import Entity
from nlpkit.tasks.ner.formats import read_examples
from nlpkit.tasks.ner.settings import NerSettings
from nlpkit.tasks.ner.task import NerTask


@pytest.fixture
def ner(nlpkit, tiny):
    """Runs `nlpkit ner` with the tiny model; gives the records."""

    def run(*args, text=None, code=0):
        result = nlpkit("ner", "--model", tiny, *args, text=text)
        assert (result.exit_code, result.stderr) == (code, "") if code == 0 else result.exit_code == code
        return records(result)

    return run


def test_a_line_of_text_gives_a_line_of_json(nlpkit, tiny, model):
    result = nlpkit("ner", "--model", tiny, text=SENTENCE + "\n")
    (record,) = records(result)
    expected = model.predictions([SENTENCE])[0].answer
    assert list(record) == ["text", "entities"]
    assert record["text"] == SENTENCE
    assert [Entity(e["start"], e["end"], e["label"]) for e in record["entities"]] == expected
    assert record["entities"]
    assert list(record["entities"][0]) == ["start", "end", "label", "text", "score"]
    assert "叶" in result.stdout  # Chinese is written as Chinese


def test_every_line_gives_a_record_in_order_and_text_is_the_span(ner, tmp_path):
    lines = [*NASTY, *(record["text"] for record in toy_records(50)), "", SENTENCE * 9]
    (tmp_path / "in.txt").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    found = ner("in.txt", "--nested", "--threshold", 0.5)
    assert [record["text"] for record in found] == lines
    assert sum(len(record["entities"]) for record in found) > 100
    for record in found:
        for entity in record["entities"]:
            assert record["text"][entity["start"] : entity["end"]] == entity["text"] != ""
    assert found[-1]["windows"] > 1
    assert "windows" not in found[0]


def test_more_lines_than_a_window_holds_stay_in_order(ner):
    lines = [str(number) for number in range(2 * CHUNK_SIZE + 7)]
    assert [record["text"] for record in ner(text="\n".join(lines))] == lines


def test_empty_input(ner):
    assert ner(text="") == []
    assert ner(text="\n") == [{"text": "", "entities": []}]


@pytest.mark.parametrize(
    ("content", "options"),
    [
        (f"{SENTENCE}\n\n中\n".encode(), ()),
        (f"\ufeff{SENTENCE}\r\n\r\n中\r\n".encode(), ()),
        (f"{SENTENCE}\n\n中".encode("gb18030"), ("--encoding", "gb18030")),
        (gzip.compress(f"{SENTENCE}\n\n中".encode(), mtime=0), ()),
        (bz2.compress(f"{SENTENCE}\n\n中".encode()), ()),
    ],
    ids=["utf-8", "bom and crlf", "gbk", "gzip", "bzip2"],
)
def test_files_of_all_kinds(ner, tmp_path, content, options):
    (tmp_path / "in").write_bytes(content)
    assert [record["text"] for record in ner("in", *options)] == [SENTENCE, "", "中"]


def test_several_files_and_stdin(ner, tmp_path):
    (tmp_path / "a.txt").write_text("一\n二", encoding="utf-8")
    write_jsonl(tmp_path / "b.jsonl", [{"text": "三", "id": 3}])
    found = ner("a.txt", "-", "b.jsonl", text="二点五\n")
    assert [record["text"] for record in found] == ["一", "二", "二点五", "三"]
    assert [record.get("id") for record in found] == [None, None, None, 3]


def test_fields_pass_through(ner, tmp_path):
    source = {"id": "x1", "title": SENTENCE, "nested": {"a": [1, None, 2.5]}, "entities": "old", "text": "别的"}
    write_jsonl(tmp_path / "in.dat", [source, {"title": ""}])
    first, second = ner("in.dat", "--field", "title", "--nest", "found")
    assert first.pop("found")["entities"][0]["text"] in SENTENCE
    assert first == source
    assert second == {"title": "", "found": {"entities": []}}


def test_output_is_training_data(ner, tmp_path):
    ner("-o", "out.jsonl", "--nested", text=f"{SENTENCE}\n\n{SENTENCE}\n")
    found = list(read_examples([str(tmp_path / "out.jsonl")]))
    assert [example.text for example in found] == [SENTENCE, "", SENTENCE]
    assert all(isinstance(entity, Entity) for entity in found[0].entities)
    again = ner("out.jsonl", "--nested", "--nest", "again")  # and input again
    assert [{"text": record["text"], **record["again"]} for record in again] == records(tmp_path / "out.jsonl")


def test_output_to_a_file(ner, tmp_path):
    expected = ner(text=SENTENCE)
    assert ner("-o", "out.jsonl", text=SENTENCE) == []
    assert ner("--output", "out.jsonl.gz", text=SENTENCE) == []
    assert records(tmp_path / "out.jsonl") == expected
    assert json.loads(gzip.decompress((tmp_path / "out.jsonl.gz").read_bytes())) == expected[0]
    assert sorted(os.listdir(tmp_path)) == ["out.jsonl", "out.jsonl.gz"]  # noqa: PTH208


def test_unwanted_labels_do_not_suppress_wanted_ones(nlpkit, tmp_path):
    """Overlaps are resolved among the wanted labels."""
    model, text = save_tiny(tmp_path / "model", seed=3), SENTENCE * 3

    def ner(*args, text):
        return records(nlpkit("ner", "--model", model, *args, text=text))

    everything = ner("--nested", "--threshold", 0.2, text=text)[0]["entities"]
    for label in ("name", "company"):
        wanted = [Entity(e["start"], e["end"], label, e["score"]) for e in everything if e["label"] == label]
        found = ner("--flat", "--threshold", 0.2, "--labels", label, text=text)[0]["entities"]
        assert [Entity(e["start"], e["end"], e["label"]) for e in found] == flatten(wanted)
        both = ner("--flat", "--threshold", 0.2, text=text)[0]["entities"]
        assert len(found) > sum(entity["label"] == label for entity in both)


def test_labels_and_thresholds(ner):
    everything = ner("--nested", "--threshold", 0.6, text=SENTENCE)[0]["entities"]
    assert {entity["label"] for entity in everything} == {"company", "name"}
    for labels in ("name", "company", "name,company", " name, company "):
        found = ner("--nested", "--threshold", 0.6, "--labels", labels, text=SENTENCE)[0]["entities"]
        assert found == [entity for entity in everything if entity["label"] in labels]
    higher = ner("--nested", "--threshold", 0.9, text=SENTENCE)[0]["entities"]
    assert higher == [entity for entity in everything if entity["score"] > 0.9]


@pytest.mark.parametrize(
    ("text", "labels"), [(None, None), ("", None), (" , ", None), ("a", ["a"]), ("a, 人 名 ,b,", ["a", "人 名", "b"])]
)
def test_a_list_of_labels(text, labels):
    assert label_list(text) == labels


def test_nested_or_flat(ner, nlpkit, tmp_path):
    flat, nested = (ner(option, "--threshold", 0.6, text=SENTENCE)[0]["entities"] for option in ("--flat", "--nested"))
    assert len(flat) < len(nested)
    assert all(a["end"] <= b["start"] for a, b in pairwise(flat))
    folder = save_tiny(tmp_path / "nested", task=NerTask(NerSettings(("company", "name"), nested=True, threshold=0.6)))
    assert records(nlpkit("ner", "--model", folder, text=SENTENCE))[0]["entities"] == nested  # the model's own choice


def test_a_web_page(ner, tmp_path):
    text = f"<b>&{SENTENCE}"
    (record,) = ner("--html", "page.html", "--nested", text=text)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert page.endswith("</body></html>\n")
    assert "<b>" not in page.split("<body>")[1]
    assert page.split("<body>")[1].count("data-label=") == len(record["entities"])
    assert "http" not in page  # self-contained


@pytest.mark.skipif(not embedded_names(), reason="no embedded model yet")
def test_without_a_model_the_embedded_one_is_used(nlpkit):
    (record,) = records(nlpkit("ner", text="叶老桂在浙商银行工作\n"))
    assert {"start": 0, "end": 3, "label": "name", "text": "叶老桂"}.items() <= record["entities"][0].items()


BAD = {
    "gbk.txt": "好\n中文\n".encode("gb18030"),
    "second.txt": "好\n".encode() + b"\xff\n" + "三\n".encode(),
    "broken.jsonl": '{"text": "好"}\n{"text": \n{"text": "三"}\n'.encode(),
    "list.jsonl": '{"text": "好"}\n["好"]\n{"text": "三"}\n'.encode(),
    "field.jsonl": '{"text": "好"}\n{"title": "好"}\n{"text": "三"}\n'.encode(),
    "number.jsonl": '{"text": "好"}\n{"text": 5}\n{"text": "三"}\n'.encode(),
}


@pytest.fixture
def bad(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, content in BAD.items():
        (tmp_path / name).write_bytes(content)
    (tmp_path / "cut.gz").write_bytes(gzip.compress(os.urandom(2000).hex().encode())[:-1000])
    (tmp_path / "folder").mkdir()
    return tmp_path


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (
            ["gbk.txt"],
            1,
            "gbk.txt:1: not valid utf-8 at byte 1 of the line (0xba); for a GBK file add --encoding gb18030",
        ),
        (["second.txt"], 1, "second.txt:2: not valid utf-8"),
        (["gbk.txt", "--encoding", "ascii"], 1, "gbk.txt:1: not valid ascii"),
        (["gbk.txt", "--encoding", "klingon"], 2, "unknown encoding 'klingon'; try utf-8 or gb18030"),
        (["broken.jsonl"], 1, "broken.jsonl:2: not valid JSON"),
        (["list.jsonl"], 1, "list.jsonl:2: a JSON object is expected, this is list"),
        (
            ["field.jsonl"],
            1,
            "field.jsonl:2: no field 'text' here (there are: title); name the text field with --field",
        ),
        (["broken.jsonl", "--field", "body"], 1, "broken.jsonl:1: no field 'body' here"),
        (["number.jsonl"], 1, "number.jsonl:2: field 'text' is not a string"),
        (["cut.gz"], 1, "cut.gz:1: cannot be read further"),
        (["none.txt"], 1, "none.txt: no such file"),
        (["second.txt", "none.txt", "--on-error", "skip"], 1, "none.txt: no such file"),
        (["folder"], 1, "folder: has no file to read"),
        (["field.jsonl", "-o", "no/where.jsonl"], 1, "no/where.jsonl: cannot be written (there is no folder"),
        (["field.jsonl", "-o", "folder"], 1, "folder: is a directory; name a file"),
        (["field.jsonl", "--html", "no/page.html"], 1, "no/page.html: cannot be written"),
        (["--labels", "name,colour"], 2, "the model has no label colour; it has: company, name"),
        (["--device", "cuda:77"], 2, "device 'cuda:77' is not available here"),
        (["--device", "toaster"], 2, "unknown device 'toaster'"),
        (["--dtype", "fp16"], 2, "fp16 needs a GPU"),
        (["--dtype", "int4"], 2, "unknown dtype 'int4'; one of auto, fp32, bf16, fp16"),
    ],
)
def test_bad_input(fails, tiny, bad, args, code, message):
    before = sorted(os.listdir(bad))  # noqa: PTH208
    if "skip" in args:
        args = ["none.txt" if arg == "second.txt" else arg for arg in args]
    assert message in fails(code, "ner", "--model", tiny, *args, text=SENTENCE)
    assert sorted(os.listdir(bad)) == before  # noqa: PTH208


@pytest.mark.parametrize("name", [name for name in BAD if name != "gbk.txt"])
def test_bad_records_are_skipped_on_request(nlpkit, tiny, bad, name):
    result = nlpkit("ner", "--model", tiny, name, "--on-error", "skip", "-o", "out.jsonl")
    assert result.exit_code == 3
    assert [record["text"] for record in records(bad / "out.jsonl")] == ["好", "三"]
    skipped, summary = result.stderr.splitlines()
    assert skipped.startswith(f"nlpkit: skipped: {name}:2: ")
    assert summary == "nlpkit: 1 bad record(s) skipped"


@pytest.mark.parametrize("option", [["-o", "out.jsonl"], ["--html", "out.html"], ["-o", "out.jsonl.gz"]])
def test_nothing_is_half_written(nlpkit, tiny, bad, option):
    (bad / option[1]).write_bytes(b"old")
    before = sorted(os.listdir(bad))  # noqa: PTH208
    assert nlpkit("ner", "--model", tiny, "second.txt", *option).exit_code == 1
    assert (bad / option[1]).read_bytes() == b"old"
    assert sorted(os.listdir(bad)) == before  # noqa: PTH208


def other_task(folder):
    save_tiny(folder, name="relation")


def truncated(folder):
    path = save_tiny(folder) / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])


def unfinished(folder):
    (save_tiny(folder) / "nlpkit.json").unlink()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "model: no such model; the embedded ones are: "),
        (lambda folder: folder.touch(), "model: is a file; a model is a folder"),
        (lambda folder: folder.mkdir(), "model: no nlpkit.json there, so not an nlpkit model"),
        (other_task, "model: a model for `nlpkit relation`, not for `nlpkit ner`"),
        (truncated, "model/model.safetensors: has "),
        (unfinished, "model: no nlpkit.json there, so not an nlpkit model (or its training did not finish)"),
    ],
)
@pytest.mark.parametrize("command", ["ner", "evaluate"])
def test_bad_models(fails, tmp_path, make, message, command):
    make(tmp_path / "model")
    (tmp_path / "gold.jsonl").write_text('{"text": "好", "entities": []}\n', encoding="utf-8")
    args = ["ner"] if command == "ner" else ["evaluate", "ner", "gold.jsonl"]
    assert fails(1, *args, "--model", "model", text="好").startswith(message)


@pytest.mark.parametrize(
    "command", ["ner --threshold 0", "ner --threshold 2", "ner --on-error ignore", "ner --nope", "nerr", "train nerr"]
)
def test_wrong_options(nlpkit, command):
    result = nlpkit(*command.split(), text="好")
    assert result.exit_code == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith("nlpkit: error: ")
    assert "; see: nlpkit " in line
    assert result.stdout == ""


def test_a_model_in_a_folder_that_was_moved(nlpkit, tiny, tmp_path):
    shutil.copytree(tiny, tmp_path / "我的 模型")
    assert nlpkit("ner", "--model", "我的 模型", text="好").exit_code == 0
