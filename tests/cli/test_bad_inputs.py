"""Every command over bad inputs: one line on stderr, the right exit code, no record that is not whole, nothing left.

`run` checks what all rows share; a row says what is in the folder, what is run there, and what must be said.
"""

import codecs
import gzip
import io
import os
import zipfile
from pathlib import Path

import numpy as np
import pytest
from classify_support import save_encoder, save_ngram, task
from embed_support import save_embedder
from kgqa_support import make_graph
from kgqa_support import save_model as save_kgqa
from linker_support import save_linker
from static_support import save_static
from support import invoke, records

from nlpkit.tasks.event.data import TRIGGER
from nlpkit.tasks.event.task import EventSettings, EventTask
from nlpkit.tasks.relation.task import RelationSettings, RelationTask

IS_ROOT = hasattr(os, "geteuid") and os.geteuid() == 0
NOT_UTF_8 = os.fsdecode(b"\xb2\xe2")
CONVERTED = ("cluener", "conll", "iob1", "cmeee", "doccano", "labelstudio", "weibo", "duie", "duee", "fewfc")
DEFAULTS = {  # options of commands that name no model
    "ner": "-m {ner}", "relation": "-m {relation}", "event": "-m {event}", "kgqa": "-m {kgqa} --graph {graph}",
    "embed": "-m {static}", "similar": "-m {static}", "search build": "-m {static}", "graph build": "-m {kgqa}",
    "evaluate ner": "-m {ner}", "evaluate relation": "-m {relation}", "evaluate event": "-m {event}",
    "evaluate kgqa": "-m {kgqa} --graph {graph}", "evaluate embed": "-m {static}", "classify": "-m {classify}",
    "evaluate classify": "-m {classify}",
}  # fmt: skip
GOLD = {
    "ner": '{"text": "叶老桂", "entities": [{"start": 0, "end": 3, "label": "name"}]}\n',
    "relation": '{"text": "王", "relations": []}\n',
    "event": '{"text": "王", "events": []}\n',
    "classify": '{"text": "好", "label": "a"}\n{"text": "坏", "label": "b"}\n',
    "kgqa": '{"question": "长江的长度？", "answer": "长江 ||| 长度 ||| 6300公里"}\n',
}


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny):
    """A tiny model for each command, by name, a graph and an index."""
    folder = tmp_path_factory.mktemp("made")
    found = {"ner": tiny, "embed": save_embedder(folder / "embed"), "static": save_static(folder / "static")}
    found["relation"] = save_linker(folder / "relation", RelationTask(RelationSettings(("总部",))))
    found["event"] = save_linker(
        folder / "event", EventTask(EventSettings((("收购", TRIGGER, ""), ("收购", "买方", ""))))
    )
    found["small"] = "roformer_v2:1x64"
    found |= {"classify": save_encoder(folder / "classify", task()), "ngram": save_ngram(folder / "ngram", task())}
    found["pairs"] = save_encoder(folder / "pairs", task(pairs=True))
    found |= {"kgqa": save_kgqa(folder / "kgqa"), "graph": str(folder / "g.kg"), "index": str(folder / "idx")}
    make_graph(found["graph"])
    (folder / "corpus.txt").write_text("今天天气不错\n花呗怎么还款\n", encoding="utf-8")
    result = invoke("search", "build", folder / "corpus.txt", "-m", found["static"], "-o", found["index"])
    assert result.exit_code == 0, result.output
    return found


@pytest.fixture
def run(made, tmp_path, monkeypatch):
    """Runs a command that must fail in an empty folder with some files; gives its line, without the prefix."""
    monkeypatch.chdir(tmp_path)

    def run(code, command, files=None, text="", encoding="utf-8"):
        for name, content in (files or {}).items():
            path = Path(os.fsdecode(name))
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content.encode(encoding) if isinstance(content, str) else content)
        before = state(tmp_path)
        arguments = command.split(" ") if isinstance(command, str) else command
        name = next((name for name in (" ".join(arguments[:2]), *arguments[:1]) if name in DEFAULTS), "")
        if name and "-m" not in arguments:
            arguments = [*name.split(), *DEFAULTS[name].split(), *arguments[len(name.split()) :]]
        arguments = [argument.format(**made) if argument.startswith("{") else argument for argument in arguments]
        result = invoke(*arguments, text=text)
        assert result.exit_code == code, result.output
        assert "Traceback" not in result.stderr
        assert all(isinstance(record, dict) for record in records(result))
        permitted = ("nlpkit: hint: ", "nlpkit: warning: ")
        lines = [line for line in result.stderr.splitlines() if not line.startswith(permitted)]
        assert len(lines) == 1, result.stderr
        assert lines[0].isprintable()
        assert len(lines[0]) <= 2100
        assert lines[0].startswith("nlpkit: error: ")
        assert state(tmp_path) == before
        return lines[0].removeprefix("nlpkit: error: ")

    return run


def state(folder):
    """Names and contents of all that is in a folder."""
    return {
        path.relative_to(folder): path.read_bytes() if path.is_file() and not path.is_symlink() else None
        for path in folder.rglob("*")
    }


def archive(*names):
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as target:
        target.writestr("[Content_Types].xml", "<Types/>" * 200)
        for name in names:
            target.writestr(name, "<x/>")
    return content.getvalue()


# Each reads the file `in`: all commands, and each format of gold annotation.
READERS = {
    "ner": "ner in",
    "relation": "relation in",
    "event": "event in",
    "kgqa": "kgqa in",
    "classify": "classify in",
    "classify ngram": "classify in -m {ngram}",
    "classify pairs": "classify in -m {pairs} --pair b",
    "classify labels": "classify in -m {static} --labels a,b",
    "summarize": "summarize in",
    "embed": "embed in",
    "embed npy": "embed in -o out.npy",
    "embed parquet": "embed in -o out.parquet",
    "similar": "similar in in",
    "search build": "search build in -o out.idx",
    "search query": "search query {index} in",
    "graph build": "graph build in -o out.kg",
    "graph build csv": "graph build in -f csv --columns 1,2,3 -o out.kg",
    "dict build": "dict build in -o out.dict",
    "ner dict": "ner gold --dict in",
    "graph build rdf": "graph build in -f rdf -o out.kg",
    "train ner": "train ner in --dev in -m {small} -o out -q",
    "train relation": "train relation in --dev in -m {small} -o out -q",
    "train event": "train event in --dev in -m {small} -o out -q",
    "train classify": "train classify in --dev in -m {small} -o out -q",
    "train classify csv": "train classify in --dev in -f csv -m ngram -o out -q",
    "train classify pair-tsv": "train classify in --dev in -f pair-tsv -m {small} -o out -q",
    "train classify fasttext": "train classify in --dev in -f fasttext -m ngram -o out -q",
    "train classify unlabelled": "train classify good --dev good -m {small} --mlm 0.1 --unlabelled in -o out -q",
    "train kgqa": "train kgqa in --dev in --graph {graph} -m {small} -o out -q",
    "train embed": "train embed --method simcse in -m {small} -o out -q",
    "train embed cosent": "train embed --method cosent in -m {small} -o out -q",
    "train static": "train static in -m {embed} -o out -q",
    "train whitening": "train whitening in -m {static} -o out -q",
    "pretrain": "pretrain in -o out --vocabulary vocab.txt -q",
    "evaluate ner": "evaluate ner in",
    "evaluate relation": "evaluate relation in",
    "evaluate event": "evaluate event in",
    "evaluate kgqa": "evaluate kgqa in",
    "evaluate classify": "evaluate classify in",
    "evaluate summarize": "evaluate summarize in",
    "evaluate embed": "evaluate embed in",
    "calibrate": "calibrate in -m {ner} -o out",
    **{f"convert {name}": f"convert --from {name} in" for name in CONVERTED},
}  # fmt: skip
BAD_FILES = {
    "missing": (None, "no such file"),
    "an empty folder": ({"in/.x": ""}, "in: has no file to read"),
    "a folder": ({"in/x": archive("xl/workbook.xml")}, "in/x: is an Excel workbook"),
    "a workbook": ({"in": archive("xl/workbook.xml")}, "an Excel workbook"),
    "not UTF-8": ({"in": "好\t好\t好\n".encode("gb18030")}, "for a GBK file add --encoding gb18030"),
    "a broken archive": ({"in": gzip.compress(b"x" * 99, mtime=0)[:12]}, "cannot be read further"),
    "a long line": ({"in": b"x" * (17 << 20)}, "a line of more than 16,777,216 bytes; raise --max-line"),
}
# Those that read the files of a folder; all others refuse one.
FOLDER_READERS = {
    *("ner", "relation", "event", "kgqa", "classify", "classify ngram", "classify pairs", "classify labels"),
    *("summarize", "embed", "embed npy", "embed parquet", "search build", "search query"),
    *("train static", "train whitening", "pretrain"),
    *("graph build", "graph build csv", "graph build rdf"),
    *(f"convert {name}" for name in CONVERTED),
}
VOCABULARY = "".join(token + "\n" for token in ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "好", "x"))


BESIDE = {"vocab.txt": VOCABULARY, "gold": "x\n", "good": GOLD["classify"]}  # what some of the commands read as well


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("bad", [name for name in BAD_FILES if name != "a long line"])
def test_every_reader_of_a_bad_file(run, reader, bad):
    files, message = BAD_FILES[bad]
    line = run(1, READERS[reader], {**(files or {}), **BESIDE})
    if bad == "a broken archive" and reader == "graph build rdf":
        return  # the reader of RDF has its own words for it
    if "folder" in bad and reader not in FOLDER_READERS:
        message = "is a directory"
    assert message in line or (reader == "graph build rdf" and "not valid" in line)
    assert line.startswith(("in:", "in/"))


LINE_READERS = [name for name in READERS if name != "graph build rdf"]


@pytest.mark.parametrize("reader", LINE_READERS)
def test_every_line_reader_of_a_long_line(run, reader):
    line = run(1, f"{READERS[reader]} --max-line 1K", {"in": b"x" * 2000, **BESIDE})
    assert line.startswith("in:1: a line of more than 1,024 bytes; raise --max-line")


LABELLED = {"in": GOLD["classify"], "e": '{"text": "大", "label": "a"}\n'}
ROWS = [
    # (exit code, command, files, what must be said)
    # --- bytes
    (1, "ner in", {"in": archive("word/document.xml")}, "in: is a Word document (.docx); save it as plain text"),
    (1, "ner in", {"in": archive("ppt/x")}, "in: is a PowerPoint presentation"),
    (1, "ner in.XLSX", {"in.XLSX": archive("a.xml")}, "in.XLSX: is an Excel workbook"),
    (1, "ner in", {"in": archive("a.txt")}, "in: is a zip archive; unpack it: unzip -p"),
    (1, "ner in", {"in": b"PK\x03\x04broken"}, "in: is a zip archive"),
    (1, "ner in", {"in": b"%PDF-1.7\n"}, "in: is a PDF document; extract its text: pdftotext"),
    (1, "ner in", {"in": b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" * 9}, "in: is an old Office document"),
    (1, "ner in", {"in": gzip.compress(b"a" * 257 + b"ustar\x0000")}, "in: is a tar archive"),
    (1, "ner in", {"in": b"PAR1\x15\x04"}, "in: is a Parquet file"),
    (1, "embed in", {"in": b"\x93NUMPY\x01\x00"}, "in: is a NumPy array"),
    (1, "ner in", {"in": "hello there".encode("utf-16-le")}, "is utf-16-le without a byte"),
    (1, "ner in", {"in": "hello there".encode("utf-16-be")}, "pass --encoding utf-16-be"),
    (1, "ner in", {"in": codecs.BOM_UTF16_LE + "好".encode("utf-16-le") + b"x"}, "in:1: cannot be read further"),
    (1, "ner in", {"in": "好\x00\n".encode("gb18030")}, "it has NUL bytes"),
    (2, "ner in --encoding klingon", {"in": "x"}, "unknown encoding 'klingon'"),
    (2, "ner in --encoding hex", {"in": "x"}, "unknown encoding 'hex'"),
    # --- JSON
    (1, "ner in.jsonl", {"in.jsonl": "[1]\n"}, "in.jsonl:1: a JSON object is expected, this is list"),
    (1, "ner in.jsonl", {"in.jsonl": '{"text": 5}\n'}, "in.jsonl:1: field 'text' is not a string"),
    (1, "ner in.jsonl", {"in.jsonl": '{"text": "x"\n'}, "in.jsonl:1: not valid JSON"),
    (1, "ner in.jsonl", {"in.jsonl": '{"a":' * 2000 + "1" + "}" * 2000}, "in.jsonl:1: not valid JSON"),
    (1, "embed in.jsonl", {"in.jsonl": '{"\x1b[2J\u202e": 1}\n'.replace("\x1b", "\\u001b")}, "no field 'text'"),
    (1, "ner in.jsonl", {"in.jsonl": "{" + ",".join(f'"{n:0999}":1' for n in range(999)) + "}"}, "and 979 more"),
    (1, "ner in.jsonl --field x", {"in.jsonl": '{"' + "长" * 99999 + '": 1}'}, "name the text field"),
    # --- fields that would be lost
    (1, "ner in.jsonl", {"in.jsonl": '{"text": "x", "entities": ["gold"]}'}, "in.jsonl:1: the field 'entities'"),
    (1, "ner in.jsonl", {"in.jsonl": '{"text": "x", "windows": 11}'}, "the field 'windows' would be overwritten"),
    (1, "relation in.jsonl", {"in.jsonl": '{"text": "x", "relations": 1}'}, "the field 'relations'"),
    (1, "event in.jsonl", {"in.jsonl": '{"text": "x", "events": 1}'}, "the field 'events'"),
    (1, "classify in.jsonl", {"in.jsonl": '{"text": "x", "label": 1}'}, "the field 'label'"),
    (1, "classify in.jsonl -m {ngram}", {"in.jsonl": '{"text": "x", "truncated": 1}'}, "the field 'truncated'"),
    (1, "summarize in.jsonl", {"in.jsonl": '{"text": "x", "sentences": 1}'}, "the field 'sentences'"),
    (1, "embed in.jsonl", {"in.jsonl": '{"text": "x", "encoder": 1}'}, "the field 'encoder'"),
    (1, "embed in.jsonl --nest a", {"in.jsonl": '{"text": "x", "a": 1}'}, "choose another name for --nest"),
    (1, "search query {index} in.jsonl", {"in.jsonl": '{"text": "x", "results": 1}'}, "the field 'results'"),
    (1, "kgqa in.jsonl", {"in.jsonl": '{"question": "x", "answers": 1}'}, "the field 'answers'"),
    # --- names of inputs
    (1, ["ner", ""], {}, "'': an empty file name"),
    (1, "ner in/x", {"in": "x"}, "in/x: cannot be opened (Not a directory)"),
    (1, "ner in none", {"in": "x\n"}, "none: no such file"),
    (1, "ner none -m no-such-model", {}, "none: no such file"),  # before a model is loaded
    (1, "similar in none -m no-such-model", {"in": "x\n"}, "none: no such file"),
    (1, "search build none -o i -m no-such-model", {}, "none: no such file"),
    (1, ["ner", "n" * 256], {}, "cannot be opened (File name too long)"),
    (1, ["ner", NOT_UTF_8], {}, "\\xb2\\xe2: no such file"),
    (1, ["ner", "\x1b]0;owned\x07\n\x9b2J"], {}, "␛]0;owned␇␊"),
    (1, "ner /proc/self/mem", {}, "/proc/self/mem: cannot be read"),
    # --- names of outputs
    (1, "ner in -o no/out", {"in": "x\n"}, "no/out: cannot be written (there is no folder"),
    (1, "ner in -o d", {"in": "x\n", "d/x": ""}, "d: is a directory; name a file"),
    (1, "ner in -o in/out", {"in": "x\n"}, "in/out: cannot be written (Not a directory)"),
    (1, "ner in -o out/", {"in": "x\n"}, "out/: is a directory; name a file"),
    (1, "ner in -o out.zip", {"in": "x\n"}, "out.zip: .zip is not written"),
    (1, ["ner", "in", "-o", "n" * 256], {"in": "x\n"}, "cannot be written (File name too long)"),
    (1, ["ner", "in", "-o", ""], {"in": "x\n"}, "'': is a directory"),
    (1, "embed in -o v.npy", {"in": "x\n", "v.npy.json": "mine"}, "v.npy.json: is not a file of nlpkit embed"),
    (2, "embed in -o v.npy.gz", {"in": "x\n"}, "npy is not compressed; leave .gz out"),
    (2, "ner in --html -", {"in": "x\n"}, "name a file; stdout is for the JSON"),
    (2, "ner in --html a -o a", {"in": "x\n"}, "--html and --output name the same file"),
    (1, "classify in -o d", {"in": "x\n", "d/x": ""}, "d: is a directory; name a file"),
    (2, "classify in --html a -o a", {"in": "x\n"}, "--html and --output name the same file"),
    (1, "summarize in -o no/out", {"in": "x\n"}, "no/out: cannot be written (there is no folder"),
    (1, "convert --from conll in -o d", {"in": "叶\tO\n", "d/x": ""}, "d: is a directory"),
    (1, "search query {index} in -o no/out", {"in": "x\n"}, "there is no folder"),
    (1, "similar in in -o no/out", {"in": "x\n"}, "there is no folder"),
    # --- folders with other things in them
    (1, "search build records.jsonl -o .", {"records.jsonl": '{"text": "x"}'}, ".: has other things in it"),
    (1, "search build in -o d", {"in": "x\n", "d/index.json": "{}"}, "its index.json is not that of a search"),
    (1, "graph build in -o d", {"in": "a\tb\tc\n", "d/x": ""}, "d: has other things in it, such as x"),
    (1, "graph build in -o d", {"in": "a\tb\tc\n", "d/.lock": "", "d/manifest.json": "1"}, "not that of a graph"),
    (1, "train ner in --dev in -m {small} -o d", {"in": GOLD["ner"], "d/config.json": ""}, "such as config.json"),
    (1, "train ner in --dev in -m {small} -o d", {"in": GOLD["ner"],
     "d/nlpkit.json": '{"task": "pretrain", "backbone": {}}'}, "nlpkit.json is not that of a model for `nlpkit ner`"),
    (1, "train classify in --dev e -m {small} -o d", {**LABELLED, "d/x": ""}, "d: has other things in it"),
    (1, "train classify in --dev e -m ngram -o d", {**LABELLED, "d/x": ""}, "d: has other things in it"),
    (1, "train classify in --dev e -m ngram -o d", {**LABELLED, "d/nlpkit.json": '{"task": "ner", "backbone": {}}'},
     "nlpkit.json is not that of a model for `nlpkit classify`"),
    (1, "train embed --method simcse in -m {small} -o d", {"in": "x\ny\n", "d/x": ""}, "d: has other things"),
    (1, "train static in -m {embed} -o d", {"in": "x\ny\n", "d/x": ""}, "d: has other things"),
    (1, "pretrain in -o d", {"in": "x\ny\n", "d/vocab.txt": "mine"}, "d: has other things in it, such as vocab.txt"),
    (1, "pretrain in -o out --corpus d --vocabulary vocab.txt", {"in": "好\nx\n", "d/x": "", "vocab.txt": VOCABULARY},
     "d: has other things"),
    (2, "train whitening in -m {static} -o d", {"in": "x\ny\n", "d/x": ""}, "but not a model's"),
    (2, "search build in -o in/x", {"in": "x\n"}, "in is a file; name a folder"),
    # --- arguments
    (2, "ner in --max-line 0", {"in": "x\n"}, "--max-line 0: a number of bytes"),
    (2, "ner in --max-line many", {"in": "x\n"}, "--max-line many: a number of bytes, such as 64M"),
    (2, "ner in --threshold 7", {"in": "x\n"}, "Invalid value for '--threshold'"),
    (2, "ner in --nosuch", {"in": "x\n"}, "No such option: --nosuch"),
    (2, "nosuch", {}, "No such command 'nosuch'"),
    (2, "convert in", {"in": "x\n"}, "Missing option '--from'"),
    (2, "convert --from nosuch in", {"in": "x\n"}, "unknown format 'nosuch'"),
    (2, ["graph", "get", "{graph}", NOT_UTF_8], {}, "the argument \\xb2\\xe2 is not valid UTF-8"),
    (2, ["graph", "get", "{graph}", "长江", NOT_UTF_8], {}, "the argument \\xb2\\xe2 is not valid UTF-8"),
    (2, ["ner", "--labels", NOT_UTF_8], {}, "is not valid UTF-8"),
    (2, ["embed", "--field", NOT_UTF_8], {}, "is not valid UTF-8"),
    (2, ["search", "build", "in", "-o", NOT_UTF_8], {"in": "x\n"}, "\\xb2\\xe2: the name is not valid UTF-8"),
    (2, ["graph", "build", "in", "-o", NOT_UTF_8], {"in": "a\tb\tc\n"}, "\\xb2\\xe2: the name is not valid UTF-8"),
    (2, ["ner", "-m", NOT_UTF_8], {NOT_UTF_8 + "/nlpkit.json": ""}, "\\xb2\\xe2: the name is not valid UTF-8"),
    (2, ["graph", "info", NOT_UTF_8], {NOT_UTF_8 + "/manifest.json": ""}, "\\xb2\\xe2: the name is not valid UTF-8"),
    (1, ["ner", "-m", NOT_UTF_8], {}, "\\xb2\\xe2: no such model"),
    # --- other files
    (1, "ner -m nosuch in", {"in": "x\n"}, "nosuch: no such model"),
    (1, "event in --schema s", {"in": "x\n", "s": "{"}, "s:1: not valid JSON"),
    (1, "event in --schema s", {"in": "x\n"}, "s: no such file"),
    (1, "kgqa in --rules r", {"in": "x\n", "r": "a\n"}, "r:1: alias<TAB>name"),
    (1, "kgqa -m {kgqa} --graph nosuch in", {"in": "x\n"}, "nosuch: no such graph"),
    (1, "graph info in", {"in": "x\n"}, "in: is a file; a graph is a folder"),
    (1, "graph build in -o out", {"in": ""}, "no triple in the input"),
    (1, "search query in q", {"in": "", "q": "x\n"}, "in"),
    (1, "search build in -o out", {"in": "\n\n"}, "in: no text in it"),
    (1, "drift a.npy a.npy", {}, "a.npy: no such file"),
    (1, "drift a.npy a.npy", {"a.npy": b"\x93NUMPY\x01\x00"}, "a.npy: not a .npy file"),
    (1, "drift a.npy a.npy", {"a.npy": archive("arr_0.npy")}, "a.npy: "),
    (1, "models nosuch", {}, "nosuch: no such model"),
    (1, "train curve nosuch", {}, "nosuch: no training/log.jsonl there"),
    (2, "pretrain in -o out --config nosuch", {"in": "x\n"}, "--config nosuch: neither small, LxD nor a readable"),
    (2, "pretrain - -o out", {}, "it cannot come from stdin"),
]  # fmt: skip


@pytest.mark.parametrize(("code", "command", "files", "message"), ROWS, ids=[str(row[3])[:40] for row in ROWS])
def test_bad_input(run, code, command, files, message):
    assert message in run(code, command, files)


def test_control_characters_are_shown_and_not_obeyed(run):
    line = run(1, "ner in.jsonl", {"in.jsonl": '{"\\u001b[2J\\u0007\\u202e\\u2028": 1}\n'})
    assert "(there are: ␛[2J␇\\u202e\\u2028)" in line


def test_links_that_lead_nowhere(run, tmp_path):
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert "a: cannot be opened (Too many levels" in run(1, "ner a")
    for command in ("ner in -o a", "embed in -f npy -o a", "ner in --html a",
                    "search build in -o a", "train whitening in -m {static} -o a"):  # fmt: skip
        assert "cannot be written (Too many levels" in run(1, command, {"in": "x\ny\n"})


@pytest.mark.skipif(IS_ROOT, reason="root may read and write everything")
def test_what_may_not_be_read_or_written(run, tmp_path):
    (tmp_path / "secret").write_text("x\n")
    (tmp_path / "secret").chmod(0)
    assert "secret: cannot be opened (Permission denied)" in run(1, "ner secret")
    (tmp_path / "secret").chmod(0o400)
    assert "secret: cannot be written (it is read-only)" in run(1, "ner secret -o secret")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full")  # noqa: PTH110
@pytest.mark.parametrize(
    "command",
    [
        "ner in -o full", "embed in -o full", "embed in -f npy -o full",
        "embed in -f parquet -o full", "search query {index} in -o full", "similar in in -o full",
        "convert --from conll gold -o full", "drift v.npy v.npy -o full", "ner in --html full",
    ],
)  # fmt: skip
def test_a_full_disk(run, tmp_path, command):
    (tmp_path / "full").symlink_to("/dev/full")
    vectors = io.BytesIO()
    np.save(vectors, np.random.default_rng(0).standard_normal((9, 2)).astype("f4"))
    line = run(1, command, {"in": "好\n" * 99, "gold": "叶\tO\n", "v.npy": vectors.getvalue()})
    assert line == "full: cannot be written (No space left on device); free some space"
