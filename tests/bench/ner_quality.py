"""Dev scores of NER models through the commands themselves: train where a model is missing, evaluate, record.

    python tests/bench/ner_quality.py FOLDER [NAME…]

FOLDER keeps the models that are not embedded, and the dev sets of `ner-general`. Weights and threshold were chosen on
the dev sets that are scored here, as in the published figures; the test splits are held out.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from common import DATA, ROOT, record


@dataclass(frozen=True, slots=True)
class Row:
    """A model and the dev set that it is scored on."""

    name: str
    title: str
    dev_set: str
    dev: str  # in DATA, or in FOLDER
    train: str | None = None  # None: embedded


ROWS = (
    Row("ner_cluener", "`ner-cluener`, embedded", "CLUENER", "DATA/cluener/dev.json --format cluener"),
    *(
        Row(f"ner_general_{part}", "`ner-general`, embedded", title, f"FOLDER/dev-{part}.jsonl --model ner-general")
        for part, title in (
            ("msra", "MSRA, held out"),
            ("weibo", "Weibo dev without texts of train"),
            ("boson", "Boson, last tenth"),
        )
    ),
    Row(
        "ner_cmeee",
        "`nlpkit-base`, `--nested`",
        "CMeEE",
        "DATA/ner/cmeee/val_data.txt --format cmeee",
        "ner/cmeee/train_data.txt --dev DATA/ner/cmeee/val_data.txt --format cmeee --nested --on-error skip "
        "--model nlpkit-base --epochs 4 --batch-size 16 --lr 3e-4 --dropout 0.1 --fgm 0.5 --ema 0.998 --seed 7 "
        "--dtype bf16 --threshold auto",
    ),
)


def run(command: str) -> str:
    """Stdout of a command line in which DATA stands for the data folder; exit 3 (records skipped) is fine."""
    command = command.replace("DATA/", f"{DATA}/")
    done = subprocess.run(["bash", "-c", command], stdout=subprocess.PIPE, text=True)
    if done.returncode not in (0, 3):
        raise SystemExit(f"{command}: exit {done.returncode}")
    return done.stdout


def dev_sets(folder: Path) -> None:
    """Write the dev sets of `ner-general`, by its recipe."""
    folder.mkdir(parents=True, exist_ok=True)
    run(f"tar -xJf DATA/more.tar.xz -C {folder} ner/boson")
    run(f"{sys.executable} {ROOT}/recipes/ner-general/sources.py DATA/ {folder} {folder}")


def main(folder: str, *names: str) -> None:
    """Every row in turn, or those named."""
    rows = [row for row in ROWS if not names or row.name in names]
    if any("FOLDER/" in row.dev for row in rows):
        dev_sets(Path(folder))
    for row in rows:
        model = Path(folder) / row.name
        commands = []
        if row.train is not None:
            train = f"nlpkit train ner DATA/{row.train} --output {model}"
            commands.append(train.replace(str(model), "MODEL"))
            if not (model / "nlpkit.json").exists():
                run(train)
        evaluate = f"nlpkit evaluate ner {row.dev}" + (f" --model {model}" if row.train else "")
        commands.append(evaluate.replace(str(model), "MODEL"))
        scores = json.loads(run(evaluate.replace("FOLDER/", f"{folder}/")))
        record(row.name, {"title": row.title, "dev_set": row.dev_set, "commands": commands, **scores})


if __name__ == "__main__":
    main(*sys.argv[1:])
