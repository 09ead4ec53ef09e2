"""Dev scores of event and relation models through the commands themselves: convert, train where missing, evaluate.

    python tests/bench/event_quality.py FOLDER [NAME…]

FOLDER keeps the converted data and the models that are not embedded: the same architecture as the embedded ones from
random weights. Of DuEE, whose training set is not published in full, the last 100 of dev are scored and the others
trained on; of the DuIE sample the last 500.
"""

import json
import shlex
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from common import DATA, ROOT, record

CONVERTED = (  # (name, format, path, lines: first, last)
    ("fewfc-train", "fewfc", "event/fewfc/train.jsonl", 0, None),
    ("fewfc-dev", "fewfc", "event/fewfc/dev.jsonl", 0, None),
    ("duee-train", "duee", "event/duee1.0/dev.json", 0, 900),
    ("duee-dev", "duee", "event/duee1.0/dev.json", 900, None),
    ("duie-train", "duie", "relation/duie2_sample/train_5000.json", 0, 4500),
    ("duie-dev", "duie", "relation/duie2_sample/train_5000.json", 4500, None),
)

# Of models without pretraining: those of the main step of the recipes.
OPTIONS = shlex.split("--epochs 10 --batch-size 16 --lr 3e-4 --dropout 0.1 --ema 0.998 --threshold auto --store int8")


@dataclass(frozen=True, slots=True)
class Row:
    """A model and the dev set that it is scored on.

    `random` has the embedded model's size and no pretraining. `options` are those of `nlpkit evaluate`.
    """

    name: str
    title: str
    task: str
    embedded: str
    dev_set: str
    dev: str
    random: bool = False
    options: tuple[str, ...] = ()


ROWS = (
    Row("event_fewfc", "`event`, embedded", "event", "event", "FewFC", "fewfc-dev"),
    Row("event_fewfc_all", "the same, `--all-cliques`", "event", "event", "FewFC", "fewfc-dev",
        options=("--all-cliques",)),
    Row("event_fewfc_random", "the same without pretraining, `--all-cliques`", "event", "event", "FewFC", "fewfc-dev",
        True, ("--all-cliques",)),
    Row("event_duee", "`event`, embedded", "event", "event", "DuEE 1.0, last 100", "duee-dev"),
    Row("event_duee_all", "the same, `--all-cliques`", "event", "event", "DuEE 1.0, last 100", "duee-dev",
        options=("--all-cliques",)),
    Row("relation_duie", "`relation-duie`, embedded", "relation", "relation-duie", "DuIE 2.0, last 500", "duie-dev"),
    Row("relation_duie_random", "the same without pretraining", "relation", "relation-duie", "DuIE 2.0, last 500",
        "duie-dev", True),
)  # fmt: skip


def run(words: list[str]) -> str:
    """Stdout of a command."""
    return subprocess.run(words, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT).stdout


def convert(folder: Path) -> None:
    """The data as nlpkit's JSON Lines."""
    for name, format, path, first, last in CONVERTED:
        lines = run(["nlpkit", "convert", "--from", format, str(DATA / path)]).splitlines(keepends=True)
        (folder / f"{name}.jsonl").write_text("".join(lines[first:last]), encoding="utf-8")


def without_pretraining(row: Row, folder: Path) -> list[str]:
    """Return a training command with random weights of the embedded model's size as backbone."""
    embedded = ROOT / "nlpkit" / "models" / row.embedded
    backbone = json.loads((embedded / "nlpkit.json").read_text(encoding="utf-8"))["backbone"]
    size = f"{backbone['type']}:{backbone['num_layers']}x{backbone['hidden_size']}:{row.embedded}"
    inputs = ["fewfc-train", "duee-train"] if row.task == "event" else ["duie-train"]
    files = [str(folder / f"{name}.jsonl") for name in inputs]
    dev, output = str(folder / f"{row.dev}.jsonl"), str(folder / row.name)
    return ["nlpkit", "train", row.task, *files, "--dev", dev, "--model", size, "--output", output, *OPTIONS]


def main(folder: str, *names: str) -> None:
    """Every row in turn, or those named."""
    work = Path(folder).resolve()
    work.mkdir(parents=True, exist_ok=True)
    convert(work)
    for row in (row for row in ROWS if not names or row.name in names):
        commands = []
        model = row.embedded
        if row.random:
            train = without_pretraining(row, work)
            commands.append(shlex.join(train).replace(str(work), "FOLDER"))
            model = str(work / row.name)
            if not (work / row.name / "nlpkit.json").exists():
                run(train)
        evaluate = ["nlpkit", "evaluate", row.task, str(work / f"{row.dev}.jsonl"), "--model", model, *row.options]
        evaluate += ["--errors"] if row.task == "event" else []
        commands.append(shlex.join(evaluate).replace(str(work), "FOLDER"))
        scores = json.loads(run(evaluate))
        record(row.name, {"title": row.title, "dev_set": row.dev_set, "commands": commands, **scores})


if __name__ == "__main__":
    main(*sys.argv[1:])
