r"""Classifiers on the sets of `../shared/data`: the encoder, character n-grams and the most frequent label.

    python tests/bench/classify_quality.py WORK prepare          # writes the sets, in the formats of `nlpkit train`
    python tests/bench/classify_quality.py WORK train NAME…      # trains (all without names); what exists is kept
    python tests/bench/classify_quality.py WORK evaluate NAME…   # evaluates what was trained

Texts of THUCNews that are also in its dev or test set are left out of training. The others are as published: of the
sentiment set 666 of 2,111 dev texts are in the training set, too; `sentiment, unseen` are the others.
"""

import json
import random
import subprocess
import sys
import tarfile
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from common import DATA, RESULTS, record

SHORT = "--max-length 128 --dropout 0.1 --lr 2e-4"
TSV, PAIRS = "--format tsv", "--format pair-tsv"
# name: (how both files are read, the options of training)
RUNS: dict[str, tuple[str, str]] = {
    "sentiment": (TSV, f"--epochs 1 {SHORT}"),
    "ChnSentiCorp": ("--format csv --field text_a", f"--epochs 1 {SHORT}"),
    "THUCNews titles": (TSV, f"--epochs 1 {SHORT}"),
    "tnews (DataCLUE)": ("--format clue", f"--epochs 3 {SHORT}"),
    "CSL categories": (TSV, f"--epochs 3 {SHORT}"),
    "DuEE event types": ("--field text1", f"--epochs 3 {SHORT}"),
    "AFQMC": (PAIRS, f"--epochs 2 {SHORT}"),
    "OCNLI": ("--format clue", f"--epochs 3 {SHORT}"),
}
LABELLED, SEEDS = 168, (1, 2, 3)
FEW = "--max-length 128 --batch-size 16 --lr 1e-4 --epochs 1"  # of PASSES passes over the labelled texts
PASSES = 20
FEW_RUNS = {
    "168 labels": f"--dropout 0.1 {FEW}",
    "168 labels, R-Drop on unlabelled texts": f"--dropout 0.3 --r-drop 4 --unlabelled WORK/unlabelled.txt {FEW}",
}
IDS = "--max-length 64 --epochs 6 --dropout 0.1 --lr 2e-4"
ID_RUNS = {
    "real text": ("pairs", f"{PAIRS} {IDS}", "nlpkit-base"),
    "ids, embeddings by rank of frequency": ("pairs-ids", f"{PAIRS} --ids --mlm 0.15 {IDS}", "nlpkit-base"),
    "ids, the same embeddings in random order": ("pairs-ids", f"{PAIRS} --ids --mlm 0.15 {IDS}", "WORK/shuffled"),
}


def files(work: Path, name: str) -> tuple[str, str]:
    """The training and the dev file of a set."""
    more, sets = work / "more", DATA / "classification"
    places = {
        "sentiment": (sets / "sentiment/train.tsv", sets / "sentiment/valid.tsv"),
        "ChnSentiCorp": (more / "classification/ChnSentiCorp/train.tsv", more / "classification/ChnSentiCorp/dev.tsv"),
        "THUCNews titles": (work / "thucnews.tsv", more / "classification/THUCNews_titles/dev.tsv"),
        "tnews (DataCLUE)": tuple(more / f"classification/tnews_dataclue/{part}.json" for part in ("train", "dev")),
        "CSL categories": (work / "csl-train.tsv", work / "csl-dev.tsv"),
        "DuEE event types": (more / "event/duee1.0/train_event_types.txt", work / "duee-dev.jsonl"),
        "AFQMC": (DATA / "similarity/AFQMC/train.tsv", DATA / "similarity/AFQMC/dev.tsv"),
        "OCNLI": (more / "similarity/OCNLI/train.10k.json", more / "similarity/OCNLI/dev.json"),
    }
    train, dev = places[name]
    return str(train), str(dev)


def prepare(work: Path) -> None:
    """Writes the sets that are not yet in a format of `nlpkit train`."""
    with tarfile.open(DATA / "more.tar.xz") as archive:
        archive.extractall(work / "more", filter="data")
    more, sets = work / "more", DATA / "classification"
    titles = more / "classification/THUCNews_titles"
    known = {line.rsplit("\t", 1)[0] for part in ("dev", "test") for line in _lines(titles / f"{part}.tsv")}
    rows = [line for line in _lines(sets / "THUCNews_train/train.txt") if line.rsplit("\t", 1)[0] not in known]
    _write(work / "thucnews.tsv", rows)
    for part in ("train", "dev"):
        rows = [line.split("\t", 1)[1] for line in _lines(sets / f"csl_category/{part}.tsv")]
        _write(work / f"csl-{part}.tsv", rows)
    events = [json.loads(line) for line in _lines(DATA / "event/duee1.0/dev.json")]
    labelled = [
        {"text1": e["text"], "label": sorted({event["event_type"] for event in e["event_list"]})} for e in events
    ]
    _write(work / "duee-dev.jsonl", [json.dumps(fields, ensure_ascii=False) for fields in labelled])
    train, dev = (_lines(sets / f"sentiment/{part}.tsv") for part in ("train", "valid"))
    known = {line.rsplit("\t", 1)[0] for line in train}
    _write(work / "sentiment-unseen.tsv", [line for line in dev if line.rsplit("\t", 1)[0] not in known])
    _write(work / "sentiment-500.tsv", dev[:500])
    _write(work / "labelled.tsv", train[:LABELLED] * PASSES)
    _write(work / "unlabelled.txt", [line.rsplit("\t", 1)[0] for line in train[LABELLED:]])
    _prepare_ids(work)
    _shuffle_embeddings(work / "shuffled")


def _prepare_ids(work: Path) -> None:
    """OPPO-xiaobu dev, 8,000 pairs for training and 2,000 for evaluation, as text and with secret numbers."""
    rows = [line.split("\t") for line in _lines(work / "more/similarity/OPPO-xiaobu/dev.tsv")]
    chance = random.Random(5)
    chance.shuffle(rows)
    characters = sorted({character for row in rows for character in "".join(row[:2])})
    numbers = list(range(1, len(characters) + 1))
    chance.shuffle(numbers)
    secret = dict(zip(characters, map(str, numbers), strict=True))
    for name, part in (("train", rows[:8000]), ("dev", rows[8000:])):
        _write(work / f"pairs-{name}.tsv", ["\t".join(row) for row in part])
        hidden = [[*(" ".join(map(secret.__getitem__, text)) for text in row[:2]), row[2]] for row in part]
        _write(work / f"pairs-ids-{name}.tsv", ["\t".join(row) for row in hidden])


def _shuffle_embeddings(folder: Path) -> None:
    """A copy of nlpkit-base whose token embeddings are in random order."""
    import torch

    from nlpkit.core.model import checkpoint
    from nlpkit.core.model.manifest import find, read_manifest
    from nlpkit.core.text.tokenizer import SPECIALS, read_vocabulary

    source = find("nlpkit-base")
    weights = checkpoint.read_weights(source)
    table, first = weights["backbone.embeddings.weight"], len(SPECIALS)
    order = first + torch.randperm(len(table) - first, generator=torch.Generator().manual_seed(0))
    weights["backbone.embeddings.weight"] = torch.cat([table[:first], table[order]])
    checkpoint.save(folder, read_manifest(source), read_vocabulary(source / "vocab.txt"), weights)


def commands(work: Path) -> dict[str, tuple[str, list[str], list[str]]]:
    """The folder, the training command and the evaluation of every run, by name."""
    found: dict[str, tuple[str, list[str], list[str]]] = {}

    def add(name: str, train: str, dev: str, reading: str, options: str, calibration: str = "") -> None:
        model = str(work / "models" / name.replace(" ", "-"))
        options = options.replace("WORK", str(work))
        given = f"{reading} --dev {calibration or dev} {options} --quiet --output"
        training = [*f"nlpkit train classify {train} {given}".split(), model]
        found[name] = model, training, [*f"nlpkit evaluate classify {dev} {reading} --model".split(), model]

    for name, (reading, options) in RUNS.items():
        add(name, *files(work, name), reading, options)
    for name, options in FEW_RUNS.items():
        for seed in SEEDS:
            dev, some = (
                files(work, "sentiment")[1],
                str(work / "sentiment-500.tsv"),
            )  # to calibrate; nothing is selected
            add(f"{name}, seed {seed}", str(work / "labelled.tsv"), dev, TSV, f"{options} --seed {seed}", some)
    for name, (stem, options, backbone) in ID_RUNS.items():
        train, dev = (str(work / f"{stem}-{part}.tsv") for part in ("train", "dev"))
        add(name, train, dev, PAIRS, f"{options.removeprefix(PAIRS)} --backbone {backbone}")
    return found


def train(work: Path, *names: str) -> None:
    """Runs the training commands of runs, one by one."""
    known = commands(work)
    for name in names or known:
        model, command, _ = known[name]
        if not (Path(model) / "nlpkit.json").exists():
            print(name, flush=True)
            subprocess.run(command, stdout=subprocess.DEVNULL, check=True)


def evaluated(command: list[str]) -> dict[str, Any]:
    """What a command prints, less the scores per label."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    return {key: value for key, value in found.items() if key not in ("labels", "confusions", "seconds")}


def evaluate(work: Path, *names: str) -> None:
    """Evaluates the models that exist, all without names, and records them with those that were recorded before."""
    path = RESULTS / "classify_quality.json"
    rows: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else {}
    shown = str(DATA), str(work)
    for name, (model, training, evaluation) in commands(work).items():
        if (names and name not in names) or not (Path(model) / "nlpkit.json").exists():
            continue
        text = " ".join(training[:-3]).replace(shown[0], "DATA").replace(shown[1], "WORK")
        rows[name] = evaluated(evaluation) | {"command": f"{text} --output MODEL"}
        if name == "sentiment":
            unseen = [
                "nlpkit",
                "evaluate",
                "classify",
                str(work / "sentiment-unseen.tsv"),
                *TSV.split(),
                "--model",
                model,
            ]
            rows["sentiment, unseen"] = evaluated(unseen)
    few = {}
    for name in FEW_RUNS:
        scores = [rows[key]["accuracy"] for seed in SEEDS if (key := f"{name}, seed {seed}") in rows]
        if len(scores) > 1:
            few[name] = {"mean": mean(scores), "deviation": stdev(scores), "runs": len(scores)}
    record("classify_quality", {"rows": rows, "few": few})


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").removesuffix("\n").split("\n")


def _write(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


if __name__ == "__main__":
    WORK, ACTION, *NAMES = sys.argv[1:]
    {"prepare": prepare, "train": train, "evaluate": evaluate}[ACTION](Path(WORK), *NAMES)
