"""What pretraining gives: masked accuracy, and CLUENER dev F1 with and without, through the commands themselves.

    python tests/bench/backbone_quality.py FOLDER

FOLDER keeps what is trained on the way, and the tokenised corpus. Both architectures are compared at the same size and
tokens, small enough for two cores; `nlpkit-small` is the embedded backbone of 0.1.0.
"""

import json
import re
import sys
from dataclasses import dataclass
from pathlib import Path

from common import ROOT, record
from ner_quality import run

PRETRAIN = "nlpkit pretrain DATA/corpus/corpus-*.txt.xz --quiet --vocabulary VOCABULARY --corpus FOLDER/corpus"
TRAIN = "nlpkit train ner DATA/cluener/train.json --dev DATA/cluener/dev.json --format cluener --quiet"
EVALUATE = "nlpkit evaluate ner DATA/cluener/dev.json --format cluener"
SMALL = "--epochs 4 --dropout 0 --ema 0.99"


@dataclass(frozen=True, slots=True)
class Row:
    """A backbone, and what CLUENER costs on it; `pretrain` None: random weights, or embedded."""

    name: str
    title: str
    backbone: str
    pretrain: str | None = None


ROWS = (
    Row("scratch", "the sizes of `nlpkit-small`, random weights", "roformer_v2:6x256"),
    Row("small", "`nlpkit-small` of 0.1.0", "nlpkit-small"),
    Row("roformer_scratch", "RoFormerV2 4×128, random weights", "roformer_v2:4x128"),
    Row("roformer", "RoFormerV2 4×128", "FOLDER/roformer", "--config 4x128 --tokens 4e6 --lr 2e-3"),
    Row("gau", "GAU-α 8×128", "FOLDER/gau", "--config 4x128 --arch gau_alpha --tokens 4e6 --lr 2e-3"),
)


def main(folder: str, *names: str) -> None:
    """Every row in turn, or those named; what is there already is not trained again."""
    vocabulary = ROOT / "nlpkit" / "models" / "nlpkit-base" / "vocab.txt"
    path = Path(folder) / "backbone_quality.json"
    rows = json.loads(path.read_text()) if path.exists() else {}
    for row in ROWS:
        if names and row.name not in names:
            continue
        commands = [f"{PRETRAIN} --output {row.backbone} {row.pretrain}"] if row.pretrain else []
        commands += [f"{TRAIN} --model {row.backbone} --output FOLDER/ner-{row.name} {SMALL}"]
        commands += [f"{EVALUATE} --model FOLDER/ner-{row.name}"]
        for command in commands:
            command = command.replace("FOLDER", folder).replace("VOCABULARY", str(vocabulary))
            output = re.search(r"--output (\S+)", command)
            if output is None or not (Path(output[1]) / "nlpkit.json").exists():
                found = json.loads(run(command))  # of the last command: that of the evaluation
        backbone = row.backbone.replace("FOLDER", folder)
        manifest = {} if ":" in backbone else json.loads((_folder(backbone) / "nlpkit.json").read_text())
        rows[row.name] = {
            "title": row.title,
            "commands": commands,
            "masked_accuracy": manifest.get("metrics", {}).get("held_out", {}).get("accuracy"),
            "tokens": sum(manifest.get("training", {}).get(key, 0) for key in ("tokens", "tokens_before")),
            "parameters": found["parameters"],
            "f1": found["f1"],
        }
        path.write_text(json.dumps(rows))
    record("backbone_quality", {"rows": rows})


def _folder(backbone: str) -> Path:
    return Path(backbone) if Path(backbone).is_dir() else ROOT / "nlpkit" / "models" / backbone


if __name__ == "__main__":
    main(*sys.argv[1:])
