r"""ROUGE of summaries of one clause against the titles of 1,000 scientific papers (CSL), test split.

    python tests/bench/summarize_quality.py WORK     # minutes: trains an extractor on the dev split, 850 papers

The weights of `nlpkit summarize` were chosen on the dev split. The oracle takes the clause that is most similar to the
title.
"""

import json
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

from common import DATA, record

OPTIONS = ["--length", "40", "--sentences", "1"]
NAMES = ("rouge_l", "rouge_1", "rouge_2")


def prepare(work: Path) -> dict[str, Path]:
    """Lines of abstract TAB title."""
    with tarfile.open(DATA / "more.tar.xz") as archive:
        archive.extractall(work, filter="data", members=[m for m in archive if "csl_title" in m.name])
    lines = {
        part: [
            line.split("\t", 1)[1]
            for line in (work / f"summarization/csl_title/{part}.tsv").read_text(encoding="utf-8").splitlines()
        ]
        for part in ("dev", "test")
    }
    sets = {"train": lines["dev"][:850], "dev": lines["dev"][850:], "test": lines["test"]}
    paths = {name: work / f"csl-{name}.tsv" for name in sets}
    for name, rows in sets.items():
        paths[name].write_text("".join(f"{row}\n" for row in rows), encoding="utf-8")
    return paths


def evaluated(*arguments: object) -> dict[str, Any]:
    """What the command prints."""
    command = ["nlpkit", *map(str, arguments)]
    found: dict[str, Any] = json.loads(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout)
    return found


def oracle(path: Path) -> dict[str, float]:
    """The best clause of each text."""
    from nlpkit.core.text.lcs import lcs_similarity
    from nlpkit.tasks.summarize.rouge import rouge
    from nlpkit.tasks.summarize.units import units

    pairs = []
    for line in path.read_text(encoding="utf-8").splitlines():
        text, title = line.rsplit("\t", 1)
        clauses = [text[start:end] for start, end in units(text, 40)] or [""]
        pairs.append((max(clauses, key=lambda clause: lcs_similarity(clause, title)), title))
    return rouge(pairs)


def main(work: Path) -> None:
    """Evaluates both, and the floors."""
    paths = prepare(work)
    plain = evaluated("evaluate", "summarize", paths["test"], *OPTIONS)
    train = ("train", "summarize", paths["train"], "--dev", paths["dev"], *OPTIONS, "--quiet")
    evaluated(*train, "--output", work / "model")
    trained = evaluated("evaluate", "summarize", paths["test"], *OPTIONS, "--model", work / "model")
    rows = {
        "first characters": plain["floors"]["first_characters"],
        "first sentence or clause": plain["floors"]["first_unit"],
        "`nlpkit summarize`": plain,
        "`nlpkit summarize --model`, trained on 850 papers": trained,
        "best clause (oracle)": oracle(paths["test"]),
    }
    scores = {name: {key: round(100 * found[key], 2) for key in NAMES} for name, found in rows.items()}
    speeds = {"plain": plain["texts_per_second"], "trained": trained["texts_per_second"]}
    record("summarize_quality", {"rows": scores, "texts_per_second": speeds, "options": " ".join(OPTIONS)})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
