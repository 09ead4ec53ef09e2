"""Spearman ×100 on the valid splits of ATEC, BQ, LCQMC, PAWSX and STS-B: raw, whitened, SimCSE and CoSENT × pooling.

    python tests/bench/embed_quality.py embed-base=MODEL static=MODEL raw=MODEL SimCSE=MODEL CoSENT=MODEL \
        'CoSENT, 64=MODEL'

"CoSENT, 64" is the same in 64 dimensions: its first ones, or those of the PCA that is stored with it. Each is a folder
or the name of an embedded model; one may be left out, and its recorded rows stay. Whitening is fitted on the sentences
of each file itself, as published (kexue.fm 8069). The floor is TF-IDF of characters and bigrams, without any model.
The recorded SimCSE was made so, with `dev` as in recipes/embed-base/train.sh:

    xz -dc ../shared/data/corpus/corpus-04.txt.xz | head -n 20000 > build/embed/sentences.txt
    nlpkit train embed --method simcse build/embed/sentences.txt $dev --model nlpkit-base --output build/embed/simcse \
        --pooling first-last --max-length 64 --batch-size 64 --lr 1e-4 --epochs 1 --evaluations 3
"""

import json
import math
import subprocess
import sys
from collections import Counter
from typing import Any

from common import DATA, RESULTS, record

SETS = ("ATEC", "BQ", "LCQMC", "PAWSX", "STS-B")
OPTIONS = dict.fromkeys(
    ("raw", "SimCSE", "CoSENT"), "--pooling cls --pooling mean --pooling first-last --whiten none --whiten self"
) | {
    "static": "--whiten none --whiten self",
    "CoSENT, 64": "--whiten none --whiten stored --dim 64",
    "embed-base": "--pooling mean --whiten none",
}
FILES = [str(DATA / "similarity" / name / "valid.tsv") for name in SETS]


def evaluate(model: str, options: str) -> list[dict[str, Any]]:
    """The command's records for all poolings and whitenings."""
    command = ["nlpkit", "evaluate", "embed", *FILES, "--model", model, *options.split()]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()]


def tf_idf() -> dict[str, Any]:
    """Cosines of TF-IDF vectors of characters and bigrams, each file on its own."""
    from nlpkit.tasks.embed.data import read_pairs
    from nlpkit.tasks.embed.metric import pair_scores

    found = []
    for path in FILES:
        pairs = list(read_pairs([path]))
        counts = {text: _grams(text) for pair in pairs for text in (pair.first, pair.second)}
        frequencies = Counter(gram for grams in counts.values() for gram in grams)
        weights = {gram: math.log((1 + len(counts)) / (1 + number)) + 1 for gram, number in frequencies.items()}
        vectors = {text: _unit({g: n * weights[g] for g, n in grams.items()}) for text, grams in counts.items()}
        found += [(pair, _dot(vectors[pair.first], vectors[pair.second])) for pair in pairs]
    return pair_scores(found)


def _grams(text: str) -> Counter[str]:
    text = text.lower()
    return Counter(text) + Counter(text[i : i + 2] for i in range(len(text) - 1))


def _unit(vector: dict[str, float]) -> dict[str, float]:
    length = math.sqrt(sum(value * value for value in vector.values())) or 1.0
    return {gram: value / length for gram, value in vector.items()}


def _dot(first: dict[str, float], second: dict[str, float]) -> float:
    return sum(value * second.get(gram, 0.0) for gram, value in first.items())


def row(name: str, found: dict[str, Any]) -> dict[str, Any]:
    """A row of the table."""
    scores = {data: round(found["files"][path], 2) for data, path in zip(SETS, FILES, strict=True)}
    kept = {key: found[key] for key in ("model", "pooling", "whitening", "dim", "texts_per_second") if key in found}
    return {"name": name, **kept, "scores": scores, "mean": round(found["mean"], 2)}


def main(*models: str) -> None:
    """All rows; of a model left out those that are recorded."""
    chosen = dict(argument.split("=", 1) for argument in models)
    if unknown := chosen.keys() - OPTIONS:
        sys.exit(f"no rows of {', '.join(unknown)}; there are: {', '.join(OPTIONS)}")
    path = RESULTS / "embed_quality.json"
    before = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    rows = [row("TF-IDF of characters and bigrams", tf_idf())]
    for name, options in OPTIONS.items():
        if name in chosen:
            rows += [row(name, found) for found in evaluate(chosen[name], options)]
        else:
            rows += [known for known in before if known["name"] == name]
    record("embed_quality", {"rows": rows})


if __name__ == "__main__":
    main(*sys.argv[1:])
