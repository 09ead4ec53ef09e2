"""File names that are not UTF-8, and fields of the input that have the name of one of the output's."""

import json
import os
from pathlib import Path

import pytest
from embed_support import save_embedder
from kgqa_support import make_graph
from kgqa_support import save_model as save_kgqa
from static_support import save_static
from support import SENTENCE, records, toy_records, write_jsonl

NAME = os.fsdecode(b"\xb2\xe2")  # 测 in GBK
SHOWN = "\\xb2\\xe2"


@pytest.fixture(scope="module")
def static(tmp_path_factory):
    return save_static(tmp_path_factory.mktemp("names") / "model")


@pytest.fixture
def text(tmp_path):
    path = tmp_path / f"{NAME}.txt"
    path.write_text(f"{SENTENCE}\n今天\n", encoding="utf-8")
    return str(path.name)


def done(result):
    assert (result.exit_code, result.stderr) == (0, "")
    return records(result)


def test_texts_and_outputs(nlpkit, tiny, static, text):
    assert done(nlpkit("ner", "-m", tiny, text, "-o", f"{NAME}.jsonl", "--html", f"{NAME}.html")) == []
    assert len(done(nlpkit("ner", "-m", tiny, f"{NAME}.jsonl", "--nest", "again"))) == 2
    assert done(nlpkit("embed", "-m", static, text, "-o", f"{NAME}.npy")) == []
    assert set(os.listdir(b".")) == {b"\xb2\xe2" + end for end in (b".txt", b".jsonl", b".html", b".npy", b".npy.json")}  # noqa: PTH208
    assert len(done(nlpkit("similar", "-m", static, text, text))) == 2
    nlpkit("drift", f"{NAME}.npy", f"{NAME}.npy", "--html", f"{NAME}.html", "--shrinkage", "0.5")
    assert SHOWN in Path(f"{NAME}.html").read_text(encoding="utf-8")


def test_an_index(nlpkit, static, text):
    Path("b.txt").write_text("花呗\n", encoding="utf-8")
    (made,) = done(nlpkit("search", "build", text, "b.txt", "-m", static, "-o", "idx"))
    assert made["count"] == 3
    assert done(nlpkit("search", "build", text, "b.txt", "-m", static, "-o", "idx", "--resume")) == [made]
    (found,) = done(nlpkit("search", "query", "idx", "-k", "1", text="今天\n"))
    assert found["results"][0]["file"] == f"{SHOWN}.txt"


def test_a_graph(nlpkit, tmp_path):
    model = save_kgqa(tmp_path / "model")
    Path(f"{NAME}.tsv").write_text("长江\t长度\t6300公里\n", encoding="utf-8")
    (made,) = done(nlpkit("graph", "build", f"{NAME}.tsv", "-m", model, "-o", "G.kg"))
    assert made["triples"] == 1
    done(nlpkit("graph", "build", f"{NAME}.tsv", "--add", "-o", "G.kg"))
    (info,) = done(nlpkit("graph", "info", "G.kg", "--check"))
    assert (info["triples"], info["sources"]) == (1, [f"{SHOWN}.tsv"] * 2)
    assert done(nlpkit("graph", "get", "G.kg", "长江"))[0]["objects"] == ["6300公里"]
    assert len(done(nlpkit("kgqa", "--graph", "G.kg", "-m", model, text="长江的长度？\n"))) == 1


def test_training(nlpkit, tmp_path):
    gold = write_jsonl(tmp_path / f"{NAME}.jsonl", toy_records(30))
    dev = write_jsonl(tmp_path / f"{NAME}-dev.jsonl", toy_records(30, 1))
    arguments = ("train", "ner", gold, "--dev", dev, "-m", "roformer_v2:1x64", "--epochs", 1, "-q", "-o", "out")
    done(nlpkit(*arguments))
    done(nlpkit(*arguments, "--resume"))
    assert len(done(nlpkit("ner", "-m", "out", text=SENTENCE + "\n"))) == 1
    text = tmp_path / f"{NAME}.txt"
    text.write_text("".join(record["text"] + "\n" for record in toy_records(200)), encoding="utf-8")
    sizes = ("--config", "1x64", "--length", 16, "--batch-size", 4, "--tokens", 200, "-q")
    done(nlpkit("pretrain", text, *sizes, "-o", "pretrained"))
    model = save_embedder(tmp_path / "embed")
    done(nlpkit("train", "whitening", text, "-m", model, "-o", "w.safetensors", "--dim", 2))
    Path("w.safetensors").rename(f"{NAME}.safetensors")
    for command in (("train", "projection", "--dim", 2, "-o"), ("embed", "--whiten")):
        result = nlpkit(*command, f"{NAME}.safetensors", "-m", model, text="x")
        expected = f"nlpkit: error: {SHOWN}.safetensors: the name is not valid UTF-8; rename it\n"
        assert (result.exit_code, result.stderr) == (2, expected)


@pytest.fixture(scope="module")
def commands(tiny, static, tmp_path_factory):
    """What each command that passes fields through is called with, the field of its text, and a field that it adds."""
    folder = tmp_path_factory.mktemp("fields")
    make_graph(folder / "g.kg")
    model = save_kgqa(folder / "kgqa")
    return {
        "ner": (("ner", "-m", tiny), "text", "entities"),
        "embed": (("embed", "-m", static), "text", "embedding"),
        "kgqa": (("kgqa", "-m", model, "--graph", folder / "g.kg"), "question", "answers"),
    }


@pytest.mark.parametrize("name", ["ner", "embed", "kgqa"])
def test_fields_of_the_input_are_never_lost(nlpkit, fails, commands, tmp_path, name):
    command, field, added = commands[name]
    for clash in (added, "windows"):
        record = {"id": 7, field: "今天", clash: ["mine"]}
        path = write_jsonl(tmp_path / "in.jsonl", [record])
        assert f"in.jsonl:1: the field '{clash}' would be overwritten" in fails(1, *command, path)
        (found,) = records(nlpkit(*command, path, "--nest", "found"))
        assert added in found.pop("found")
        assert found == record
        result = nlpkit(*command, write_jsonl(tmp_path / "two.jsonl", [record, {field: "x"}]), "--on-error", "skip")
        assert (result.exit_code, len(records(result))) == (3, 1)


def test_a_hint_for_json_from_a_pipe(nlpkit, tiny):
    line = json.dumps({"id": 1, "body": SENTENCE}, ensure_ascii=False) + "\n"
    result = nlpkit("ner", "-m", tiny, text=line * 3)
    hint = "<stdin>:1: looks like JSON Lines and is read as plain text; name the text field: --field body"
    assert (result.exit_code, result.stderr) == (0, f"nlpkit: hint: {hint}\n")
    assert nlpkit("ner", "-m", tiny, "--field", "body", text=line).stderr == ""
