"""The outputs of the commands on the samples, recorded so that a change of the code that alters one is seen.

    python tests/recorded_outputs.py        # record them anew, after a change that is meant to alter them

`recorded/NAME.jsonl` has the JSON Lines of a command; measured times and sizes are left out.
"""

import json
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from support import invoke, records

ROOT = Path(__file__).parents[1]
FOLDER = Path(__file__).parent / "recorded"
SAMPLES = ROOT / "data" / "samples"
NEWS, GOLD, QUESTIONS, REVIEWS, GRAPH = "news.txt", "gold.jsonl", "questions.jsonl", "reviews.jsonl", "graph.tsv"
LONG = "腾讯公司产品经理王芳表示，《和平精英》下个月将在日本上线。" * 12  # longer than a window
EVENT = "兴发集团公告，控股股东宜昌兴发将2000万股质押给上海浦东发展银行，占公司总股本的2.15%。同日，张三减持500万股。"
MEASURED = {"seconds", "texts_per_second", "questions_per_second", "mebibytes", "bytes", "folder", "version"}
# A name for the output, the words of the command, and its stdin. Those without a name write a file for the next.
COMMANDS: tuple[tuple[str | None, tuple[Any, ...], str | None], ...] = (
    ("ner", ("ner", NEWS), None),
    ("ner-long-nested", ("ner", "--nested", "--threshold", 0.3), LONG),
    ("ner-fields", ("ner", REVIEWS, "--field", "review", "--nest", "found"), None),
    ("ner-evaluate", ("evaluate", "ner", GOLD), None),
    ("relation", ("relation", NEWS), None),
    ("event", ("event", NEWS), None),
    ("event-all-cliques", ("event", "--all-cliques", "--threshold", 0.3), EVENT),
    ("embed", ("embed", NEWS, "--dim", 8), None),
    ("embed-static", ("embed", NEWS, "--model", "embed-static", "--dim", 8), None),
    ("similar", ("similar", NEWS, "rotated.txt"), None),
    ("search-build", ("search", "build", NEWS, "-o", "idx"), None),
    ("search-query", ("search", "query", "idx", "-k", 3), "银行与企业\n北京的大学\n"),
    (None, ("embed", NEWS, "-o", "news.npy"), None),
    (None, ("embed", GRAPH, "--input-format", "text", "-o", "graph.npy"), None),
    ("drift", ("drift", "news.npy", "graph.npy", "--shrinkage", 0.1), None),
    ("graph-build", ("graph", "build", GRAPH, "-o", "demo.kg"), None),
    ("graph-get", ("graph", "get", "demo.kg", "黄河"), None),
    ("kgqa", ("kgqa", QUESTIONS, "--graph", "demo.kg", "--explain"), None),
    ("kgqa-beam", ("kgqa", "--graph", "demo.kg", "--search", "beam"), "长江的长度是多少？\n黄河流经哪些省份？\n"),
    ("convert-nlpkit", ("convert", "--from", "nlpkit", GOLD), None),
    ("convert-doccano", ("convert", "--from", "nlpkit", "--to", "doccano", GOLD), None),
    (None, ("convert", "--from", "nlpkit", "--to", "bioes", GOLD, "-o", "gold.bioes"), None),
    ("convert-bioes", ("convert", "--from", "bioes", "gold.bioes"), None),
)


def prepare() -> None:
    """Write the files that commands read, in the current folder."""
    shutil.copytree(SAMPLES, ".", dirs_exist_ok=True)
    first, *rest = Path(NEWS).read_text(encoding="utf-8").splitlines(keepends=True)
    Path("rotated.txt").write_text("".join([*rest, first]), encoding="utf-8")


def run(words: tuple[Any, ...], stdin: str | None) -> list[Any]:
    """Return the records that a command prints, without what is measured; it runs in the current folder."""
    result = invoke(*words, text=stdin)
    assert result.exit_code == 0, result.stderr
    return [_without_measured(record) for record in records(result)]


def read(name: str) -> list[Any]:
    """Return the recorded output of a command."""
    return [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines()]


def _without_measured(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_measured(each) for key, each in value.items() if key not in MEASURED}
    return [_without_measured(each) for each in value] if isinstance(value, list) else value


def main() -> None:
    """Record the output of every command."""
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)
        prepare()
        for name, words, stdin in COMMANDS:
            lines = [json.dumps(record, ensure_ascii=False) + "\n" for record in run(words, stdin)]
            if name is not None:
                (FOLDER / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
