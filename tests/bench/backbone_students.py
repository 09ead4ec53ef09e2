"""Backbones made from multilingual-e5-small, each after the same epoch of FewFC: layers kept, and distillation.

    python tests/bench/backbone_students.py FOLDER [ROW…]

FOLDER keeps the backbones and what is trained. `build/teacher` must be there (`recipes/nlpkit-base/teacher.sh`);
`nlpkit-small`, the backbone of 0.1.0, is taken from the history of the repository.
"""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from common import RESULTS, ROOT, record
from ner_quality import run

TRAIN = (
    "nlpkit train event DATA/event/fewfc/train.jsonl --dev DATA/event/fewfc/dev.jsonl --format fewfc --epochs 1 "
    "--batch-size 8 --lr 3e-4 --dropout 0.1 --seed 7 --dtype bf16 --model BACKBONE --output MODEL"
)
EVALUATE = "nlpkit evaluate event DATA/event/fewfc/dev.jsonl --format fewfc --model MODEL"
BEFORE = "e0cf63a^"  # the last commit with nlpkit-small
FILES = ("model.safetensors", "nlpkit.json", "vocab.txt")


@dataclass(frozen=True, slots=True)
class Row:
    """A backbone; `layers` None: an embedded one, or nlpkit-small."""

    name: str
    title: str
    layers: str | None = None


ROWS = (
    Row("l12", "E5, all 12 layers, vocabulary of characters", "12"),
    Row("low6", "its lowest 6 layers", "6"),
    Row("skip6", "every second layer", "1,3,5,7,9,11"),
    Row("nlpkit-base", "the lowest 6, distilled and adapted (`nlpkit-base`)"),
    Row("nlpkit-small", "`nlpkit-small` of 0.1.0"),
)


def backbone(row: Row, folder: Path) -> str:
    """The name or the folder of a backbone, which is made if it is not there."""
    path = folder / row.name
    if row.layers is not None and not path.exists():
        vocabulary = ROOT / "nlpkit" / "models" / "nlpkit-base" / "vocab.txt"
        script = ROOT / "recipes" / "nlpkit-base" / "student.py"
        command = [sys.executable, script, ROOT / "build" / "teacher", vocabulary, row.layers, path]
        subprocess.run(command, check=True)
    elif row.name == "nlpkit-small" and not path.exists():
        path.mkdir(parents=True)
        for name in FILES:
            show = ["git", "-C", ROOT, "show", f"{BEFORE}:nlpkit/models/nlpkit-small/{name}"]
            (path / name).write_bytes(subprocess.run(show, capture_output=True, check=True).stdout)
    return str(path) if path.exists() else row.name


def main(folder: Path, *names: str) -> None:
    """Every row in turn, or those named; what is there already is not trained again."""
    old = RESULTS / "backbone_students.json"
    rows = json.loads(old.read_text(encoding="utf-8"))["rows"] if old.exists() else {}
    for row in ROWS:
        if names and row.name not in names:
            continue
        model = folder / f"event-{row.name}"
        if not (model / "nlpkit.json").exists():
            run(TRAIN.replace("BACKBONE", backbone(row, folder)).replace("MODEL", str(model)))
        found = json.loads(run(EVALUATE.replace("MODEL", str(model))))
        rows[row.name] = {
            "title": row.title,
            "parameters": found["parameters"],
            "triggers": found["trigger_classification"]["f1"],
            "arguments": found["argument_classification"]["f1"],
        }
    record("backbone_students", {"train": TRAIN, "evaluate": EVALUATE, "rows": rows})


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
