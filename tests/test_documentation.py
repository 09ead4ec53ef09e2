"""Every command of README and docs/ runs on the shipped samples, and prints what the page shows.

A page is one test: its commands run in order, by bash, in a folder with the files that they name, made from
data/samples. Pages that train are run with the marker `slow`; without it only their other blocks are.
"""

import doctest
import gzip
import itertools
import json
import lzma
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from support import COMMANDS, environment
from typer.testing import CliRunner

from nlpkit.cli.app import app
from nlpkit.cli.conversion import SOURCES

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "data" / "samples"
SHELL = (
    "nlpkit",
    "echo",
    "printf",
    "tail",
    "torchrun",
    "jq",
    "awk",
    "cat",
    "wc",
)  # first words of a line that is a command
TRAINS = re.compile(r"nlpkit (train|pretrain)\b")
OUTPUT = re.compile(r"(?:-o|--output) (\S+)")
SHOWN = ("output", "printed")  # kinds of generated blocks that hold what the commands above them print
LAYERS = ("entities", "relations", "events", "label", "labels")
SKIPPED_RECORDS = "(exit code 3)"
TOLERANCE = 0.05  # of scores between fp32 and bf16
# what would not end, take minutes, or need a program that is not everywhere: (as in the README, in the test)
SHORTER = (
    ("dot -Tsvg", "cat"),
    ("tail -f", "tail -n 9"),
    ("--tokens 100e6", "--tokens 2e3"),
    ("--tokens 2e9 --compile", "--tokens 2e3"),
    ("--nproc-per-node 4", "--nproc-per-node 1"),
)


@dataclass(frozen=True)
class Block:
    """Consecutive lines of code in the README, and the output that it shows for them."""

    code: str
    shown: str = ""

    @property
    def script(self) -> str:
        lines = [line.removeprefix("$ ") for line in self.code.splitlines()]
        script = "\n".join(lines)
        for before, after in SHORTER:
            script = script.replace(before, after)
        return script

    @property
    def is_shell(self) -> bool:
        lines = [line.removeprefix("$ ") for line in self.code.splitlines() if line and not line.startswith("#")]
        first = re.sub(r"^(\w+=\S* )+", "", lines[0]) if lines else ""  # variables such as OMP_NUM_THREADS=1
        return bool(first) and first.split()[0] in SHELL


def blocks_of(path: Path) -> list[Block]:
    """The shell blocks of a Markdown file, without those of tables, which need data sets, and help texts."""
    found: list[Block] = []
    code, shown, where = [], [], "text"
    for line in [*path.read_text(encoding="utf-8").splitlines(), "end"]:
        indented = line.startswith("    ")
        if where == "text" and (indented or (code and not line)):
            code.append(line[4:])
        elif line.startswith("<!-- "):
            where = "text" if line == "<!-- end -->" else re.findall(r"\w+", line)[0]
        elif where in SHOWN:
            shown.append(line[4:])
        if code and where == "text" and not indented and line:
            block = Block("\n".join(code).strip(), "".join(f"{each}\n" for each in shown))
            if block.is_shell:
                found.append(block)
            code, shown = [], []
    return found


FILES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]
MARKDOWN = [*FILES, *(ROOT / name for name in ("README.zh-CN.md", "CONTRIBUTING.md", "recipes/README.md"))]
MARKDOWN += [*sorted(ROOT.glob("docs/zh/*.md")), *sorted(ROOT.glob("results/*.md"))]
PAGES = {path.name: blocks for path in FILES if (blocks := blocks_of(path))}
TRAINING_PAGES = [name for name, blocks in PAGES.items() if any(TRAINS.search(block.code) for block in blocks)]
needs_tools = pytest.mark.skipif(shutil.which("jq") is None or os.name != "posix", reason="the pipes use bash and jq")


@pytest.fixture
def folder(tmp_path):
    """A folder with the files that the README names."""
    shutil.copytree(SAMPLES, tmp_path / "data" / "samples")
    news = (SAMPLES / "news.txt").read_text(encoding="utf-8")
    lines = [line for line in news.splitlines() if line]
    questions = [record["question"] for record in read_jsonl(SAMPLES / "questions.jsonl")][:5]
    (tmp_path / "news.txt").write_text(news, encoding="utf-8")
    (tmp_path / "app.log").write_text(news, encoding="utf-8")
    triples = [line.split("\t") for line in (SAMPLES / "graph.tsv").read_text(encoding="utf-8").splitlines()]
    more = "".join(f"{subject}的{predicate}是{value}。\n" for subject, predicate, value in triples[:300])
    for name in ("corpus", "sentences", "big", "more", "texts", "raw", "may", "june"):
        (tmp_path / f"{name}.txt").write_text(news + more, encoding="utf-8")
    (tmp_path / "questions.txt").write_text("".join(f"{question}\n" for question in questions), encoding="utf-8")
    (tmp_path / "answers.txt").write_text("".join(f"{line}\n" for line in lines[:5]), encoding="utf-8")
    shutil.copy(SAMPLES / "reviews.jsonl", tmp_path / "reviews.jsonl")
    write_jsonl(tmp_path / "articles.jsonl", [{"id": index, "title": line} for index, line in enumerate(lines)])
    (tmp_path / "big.txt.gz").write_bytes(gzip.compress(news.encode("gb18030") + b"\xff\n"))
    pairs = [f"{a}\t{b}\t{score}\n" for a, b, score in zip(lines, lines[1:] + lines[:1], [0, 1] * 9, strict=False)]
    for name in ("afqmc.tsv", "sts.tsv", "dev.tsv", "valid.tsv", "pairs.tsv"):
        (tmp_path / name).write_text("".join(pairs), encoding="utf-8")
    labels = ("entailment", "contradiction")
    inferences = [
        {"sentence1": a, "sentence2": b, "label": labels[i % 2]} for i, (a, b) in enumerate(itertools.pairwise(lines))
    ]
    write_jsonl(tmp_path / "ocnli.json", inferences)
    (tmp_path / "people.csv").write_text("人物,关系,值\n曹雪芹,职业,作家\n", encoding="utf-8")
    triple = '<http://example.org/%E6%9B%B9%E9%9B%AA%E8%8A%B9> <http://example.org/职业> "作家" .\n'
    (tmp_path / "dump.nt.gz").write_bytes(gzip.compress(triple.encode()))
    (tmp_path / "corpus").mkdir()
    for name in ("a", "b"):
        (tmp_path / "corpus" / f"{name}.txt.xz").write_bytes(lzma.compress((news * 20).encode()))
    shutil.copytree(ROOT / "nlpkit" / "models" / "nlpkit-base", tmp_path / "my-backbone")
    (tmp_path / "names.tsv.gz").write_bytes(gzip.compress("和平精英\tgame\n".encode()))
    region = {"type": "labels", "from_name": "label", "to_name": "text",
              "value": {"start": 0, "end": 4, "text": lines[1][:4], "labels": ["company"]}}  # fmt: skip
    task = {"id": 1, "data": {"text": lines[1]}, "annotations": [{"id": 1, "completed_by": 1, "result": [region]}]}
    (tmp_path / "export.json").write_text(json.dumps([task], ensure_ascii=False), encoding="utf-8")
    write_jsonl(tmp_path / "admin.jsonl", [{"id": 1, "text": lines[1], "label": [[0, 4, "company"]]}])
    return tmp_path


def read_jsonl(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write_jsonl(path, records):
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")


def organization(label):
    """A record with an organization."""
    return {"text": "红十字会来了", "entities": [{"start": 0, "end": 4, "label": label}]}


def add_annotation(folder):
    """Adds annotation in the published formats that sections read, and questions over the sample graph."""
    cluener = []
    for record in read_jsonl(SAMPLES / "gold.jsonl"):
        label: dict[str, dict[str, list[list[int]]]] = {}
        for e in record["entities"]:
            label.setdefault(e["label"], {}).setdefault(e["text"], []).append([e["start"], e["end"] - 1])
        cluener.append({"text": record["text"], "label": label})
    text = "兴发集团于2019年11月20日将2000万股进行质押。"
    mentions = [("质押", "trigger"), ("兴发集团", "sub-org"), ("2000万", "number")]
    spans = [{"word": w, "span": [text.index(w), text.index(w) + len(w)], "role": role} for w, role in mentions]
    fewfc = [{"id": str(i), "content": text, "events": [{"type": "质押", "mentions": spans}]} for i in range(4)]
    triple = {"predicate": "作者", "subject": "三体", "object": {"@value": "刘慈欣"}, "subject_type": "图书作品",
              "object_type": {"@value": "人物"}}  # fmt: skip
    duie = [{"text": "《三体》是刘慈欣写的长篇科幻小说。", "spo_list": [triple]}] * 4
    facts = (("长江", "别名", "扬子江"), ("黄河", "注入", "渤海"))
    asked = [
        {"question": f"{s}的{p}是什么？", "answers": [{"subject": s, "meaning": "", "predicate": p, "objects": [o]}]}
        for s, p, o in facts
    ]
    for split in ("train", "dev"):
        (folder / "fewfc").mkdir(exist_ok=True)
        (folder / "duie").mkdir(exist_ok=True)
        write_jsonl(folder / f"{split}.json", cluener)
        write_jsonl(folder / "fewfc" / f"{split}.jsonl", fewfc)
        write_jsonl(folder / "duie" / f"{split}.json", duie)
        write_jsonl(folder / f"{split}-questions.jsonl", asked)
        write_jsonl(folder / f"{split}.jsonl", [*read_jsonl(SAMPLES / "gold.jsonl"), organization("organization")])
    write_jsonl(folder / "msra.jsonl", [organization("ORG")] * 4)
    graph = (SAMPLES / "graph.tsv").read_text(encoding="utf-8")
    (folder / "my.tsv").write_text("".join(f"{line}\n" for line in graph.splitlines()[-60:]), encoding="utf-8")


def run(block, folder):
    """Runs a block; gives its output."""
    tools = folder / "bin"
    if not tools.exists():
        tools.mkdir()
        for name, module in (("nlpkit", "nlpkit"), ("torchrun", "torch.distributed.run")):
            (tools / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" -m {module} "$@"\n')
            (tools / name).chmod(0o755)
    variables = environment() | {"PATH": f"{tools}:{os.environ['PATH']}"}
    command = ["bash", "-e", "-u", "-o", "pipefail", "-c", block.script]
    result = subprocess.run(
        command, cwd=folder, env=variables, stdin=subprocess.DEVNULL, capture_output=True, text=True
    )
    expected = 3 if SKIPPED_RECORDS in block.code else 0
    assert result.returncode == expected, f"{block.script}\n{result.stdout[-2000:]}\n{result.stderr[-2000:]}"
    return result.stdout


def agree(shown, found):
    """Whether two JSON values are equal but for scores within the tolerance."""
    if isinstance(shown, float) and isinstance(found, float | int):
        return abs(shown - found) <= TOLERANCE
    if isinstance(shown, dict) and isinstance(found, dict):
        return shown.keys() == found.keys() and all(agree(shown[key], found[key]) for key in shown)
    if isinstance(shown, list) and isinstance(found, list):
        return len(shown) == len(found) and all(map(agree, shown, found))
    return shown == found


def check(block, found):
    """Compares the end of what was printed with what the README shows."""
    if not block.shown:
        return
    if not block.shown.startswith("{"):
        assert found == block.shown
        return
    shown = [json.loads(line) for line in block.shown.splitlines()]
    printed = [json.loads(line) for line in found.splitlines()][-len(shown) :]
    assert agree(shown, printed), printed


@needs_tools
@pytest.mark.parametrize("page", PAGES)
def test_the_commands_of_a_page(page, folder):
    untrained: set[str] = set()
    for block in PAGES[page]:
        if TRAINS.search(block.code):
            untrained.update(OUTPUT.findall(block.code))
        elif not untrained & set(block.code.split()):
            check(block, run(block, folder))


@pytest.mark.slow
@needs_tools
@pytest.mark.parametrize("page", TRAINING_PAGES)
def test_the_commands_of_a_page_that_trains(page, folder):
    add_annotation(folder)
    for block in PAGES[page]:
        printed = run(block, folder)
        if "UPDATE_DOCS" in os.environ:
            update(page, block, printed)
        else:
            check(block, printed)


def update(page, block, printed):
    """Write what a block prints below it: `UPDATE_DOCS=1 pytest -m slow tests/test_documentation.py`."""
    for path in [ROOT / "docs" / page, ROOT / "docs" / "zh" / page]:
        if path.exists():
            last = f"    {block.code.splitlines()[-1]}\n<!-- printed -->\n"
            shown = "".join(f"    {line}\n" for line in printed.splitlines())
            text = path.read_text(encoding="utf-8")
            before, found, rest = text.partition(last)
            if found:
                path.write_text(before + last + shown + rest[rest.index("<!-- end -->") :], encoding="utf-8")


RECORDS = {
    name: re.findall(r"(?ms)^```\w+\n(.*?)^```", section)
    for name, section in re.findall(
        r"(?ms)^### `([\w-]+)`\n(.*?)(?=^##)", (ROOT / "docs" / "formats.md").read_text(encoding="utf-8")
    )
}


def test_every_format_has_a_record():
    assert {*RECORDS, "cmeie"} == set(SOURCES)


@pytest.mark.parametrize("name", RECORDS)
def test_the_records_of_a_format_are_read(tmp_path, name):
    path = tmp_path / "a.ann"
    if name == "brat":
        (tmp_path / "a.txt").write_text(RECORDS[name][0], encoding="utf-8")
    path.write_text(RECORDS[name][-1], encoding="utf-8")
    result = CliRunner().invoke(app, ["convert", "--from", name, str(path)])
    assert result.exit_code == 0, result.stderr
    assert not result.stderr
    annotated = [
        record[layer] for record in map(json.loads, result.stdout.splitlines()) for layer in record if layer in LAYERS
    ]
    assert annotated
    assert all(annotated)


CHINESE = [(ROOT / "README.md", ROOT / "README.zh-CN.md")]
CHINESE += [(ROOT / "docs" / path.name, path) for path in sorted((ROOT / "docs" / "zh").glob("*.md"))]


def without_comments(path):
    """The shell blocks of a page without their comments, and what they print."""
    return [(re.sub(r"(?m)^#.*\n", "", block.code), block.shown) for block in blocks_of(path)]


@pytest.mark.parametrize(("english", "chinese"), CHINESE, ids=lambda path: path.parent.name)
def test_a_chinese_page_has_the_same_commands(english, chinese):
    assert without_comments(english) == without_comments(chinese)


def python_of(name):
    """The Python code in a Markdown file."""
    return re.findall(r"(?ms)^```python\n(.*?)^```", (ROOT / name).read_text(encoding="utf-8"))


def test_the_python_code_of_the_readme(capsys):
    (code,) = python_of("README.md")
    exec(code, {})
    assert capsys.readouterr().out.startswith("company 0 4\n")
    assert python_of("README.zh-CN.md") == [code]


@pytest.mark.parametrize("name", ["docs/python.md", "docs/zh/python.md"])
def test_the_python_sessions_of_a_page(folder, monkeypatch, name):
    monkeypatch.chdir(folder)
    assert CliRunner().invoke(app, ["graph", "build", "data/samples/graph.tsv", "-o", "demo.kg"]).exit_code == 0
    options = doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
    failed, tried = doctest.testfile(str(ROOT / name), module_relative=False, optionflags=options, encoding="utf-8")
    assert (failed, tried > 5) == (0, True)


def test_no_command_is_passed_over():
    """Every line that begins with a command is in a block that is run."""
    assert sum(bool(block.shown) for blocks in PAGES.values() for block in blocks) >= 8
    for name, blocks in PAGES.items():
        path = ROOT / name if name.startswith("README") else ROOT / "docs" / name
        text = re.sub(r"(?s)<!-- (table|help|output):.*?<!-- end -->", "", path.read_text(encoding="utf-8"))
        commands = re.findall(r"(?m)^    (?:\$ )?(nlpkit .*)$", text)
        assert set(commands) <= {line.removeprefix("$ ") for block in blocks for line in block.code.splitlines()}


@pytest.mark.parametrize("path", MARKDOWN, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path):
    for target, anchor in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", path.read_text(encoding="utf-8")):
        page = path.parent / target if target else path
        assert page.exists(), target
        if anchor:
            headings = re.findall(r"(?m)^#+ (.*)$", page.read_text(encoding="utf-8"))
            assert anchor in [re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings]


@pytest.mark.skipif(shutil.which("zensical") is None, reason="needs nlpkit[docs]")
def test_the_site_is_built_without_warnings():
    result = subprocess.run(["zensical", "build", "--strict"], cwd=ROOT, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    navigation = (ROOT / "zensical.toml").read_text(encoding="utf-8")
    for path in [*ROOT.glob("docs/**/*.md"), *ROOT.glob("results/*.md")]:
        assert f'"{path.relative_to(ROOT).as_posix()}"' in navigation


def test_the_files_and_functions_that_the_architecture_names_exist():
    text = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8").replace("recipes/NAME", "recipes/event")
    folders = [ROOT, ROOT / "nlpkit", ROOT / "nlpkit" / "tasks" / "kgqa"]  # that paths in the pictures are below
    names = set(re.findall(r"(?<![\w/])[\w./-]+\.(?:py|sh)\b", text.replace("NAME", "ner")))
    assert {name for name in names if not any((folder / name).exists() for folder in folders)} == set()
    for name, symbols in re.findall(r"`(nlpkit/[\w/]+\.py)`: ((?:`[\w.]+`(?:, )?)+)", text):
        source = (ROOT / name).read_text(encoding="utf-8")
        assert all(re.search(rf"\b{symbol}\b", source) for symbol in re.findall(r"\w+", symbols)), f"{name}: {symbols}"


def test_help_texts_are_up_to_date(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "bench"))
    import tables

    for path in tables.documents():
        assert tables.fill(path, ["help"]) == path.read_text(encoding="utf-8"), (
            f"{path}: run python tests/bench/tables.py help"
        )


def test_every_command_has_its_help_text_in_a_page():
    for folder in (ROOT / "docs", ROOT / "docs" / "zh"):
        pages = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.md"))
        for command in COMMANDS:
            assert f"<!-- help:{' '.join(command)} -->" in pages
