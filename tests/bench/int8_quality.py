"""The quality of the embedded models in fp32 and in int8, which `auto` asks for; written to their cards.

    python tests/bench/int8_quality.py FOLDER [MODEL…]

FOLDER keeps the converted data and the graph. The command of each figure is `nlpkit evaluate` with `--device cpu`, in
fp32, in int8 with weights of 8 bits, and with weights of 7 bits, as for a CPU without VNNI instructions.
"""

import json
import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnxruntime
from common import DATA, RESULTS, record
from ner_quality import dev_sets
from typer.testing import CliRunner

from nlpkit.cli.app import app
from nlpkit.core.model.contents import WEIGHTS
from nlpkit.core.model.manifest import CARD, EMBEDDED, read_card, read_manifest
from nlpkit.core.onnx import cached, choice, session

DIGITS = 16  # of a checksum
SETS = ("ATEC", "BQ", "LCQMC", "PAWSX", "STS-B")
PRECISIONS = {"fp32": ("fp32", True), "bits_8": ("int8", True), "bits_7": ("int8", False)}  # --dtype, VNNI


def tests(work: Path) -> dict[str, tuple[str, str, list[str]]]:
    """Data, metric and command of the test of each model."""
    pairs = [str(DATA / "similarity" / name / "valid.tsv") for name in SETS]
    fewfc, graph = str(DATA / "event" / "fewfc" / "dev.jsonl"), str(work / "kgclue.kg")
    kgclue = [str(DATA / "kgclue" / "dev.json"), "--format", "kgclue", "--graph", graph]
    cluener = str(DATA / "cluener" / "dev.json")
    return {
        "ner-cluener": ("CLUENER dev", "F1", ["ner", cluener, "--format", "cluener"]),
        "ner-general": ("MSRA, Weibo and Boson, held out", "F1", ["ner", str(work / "dev.jsonl")]),
        "event": ("FewFC dev", "AC F1", ["event", fewfc, "--format", "fewfc"]),
        "relation-duie": ("DuIE, last 500", "F1", ["relation", str(work / "duie.json"), "--format", "duie"]),
        "kgqa": ("KgCLUE dev", "score", ["kgqa", *kgclue]),
        "embed-base": ("valid splits of " + ", ".join(SETS), "mean Spearman correlation", ["embed", *pairs]),
    }


def figure(found: dict[str, Any]) -> float:
    """The figure of an evaluation, out of 100."""
    for name in ("mean", "score", "f1"):
        if name in found:
            return float(found[name]) * (1 if name == "mean" else 100)
    raise KeyError(f"no figure in {sorted(found)}")


@contextmanager
def vnni(*, present: bool) -> Iterator[None]:
    """Make weights of 8 or of 7 bits, whatever the CPU has, and allow int8 whatever the card says.

    With weights of 8 bits, sums of products saturate on a CPU without VNNI, unless ONNX Runtime computes them exactly.
    """
    before = session.has_vnni, choice.MAX_LOSS, onnxruntime.SessionOptions

    def exact() -> onnxruntime.SessionOptions:
        options = before[2]()
        options.add_session_config_entry("session.x64quantprecision", "1")
        return options

    session.has_vnni, choice.MAX_LOSS = lambda: present, math.inf
    cached.has_vnni = session.has_vnni
    if present:
        onnxruntime.SessionOptions = exact
    try:
        yield
    finally:
        session.has_vnni, choice.MAX_LOSS, onnxruntime.SessionOptions = before
        cached.has_vnni = session.has_vnni


def evaluate(arguments: list[str]) -> dict[str, Any]:
    """What `nlpkit evaluate` prints."""
    done = CliRunner().invoke(app, ["evaluate", *arguments], catch_exceptions=False)
    if done.exit_code:
        raise SystemExit(done.output)
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def prepare(work: Path) -> None:
    """Make what the commands read."""
    work.mkdir(parents=True, exist_ok=True)
    lines = (DATA / "relation" / "duie2_sample" / "train_5000.json").read_text(encoding="utf-8").splitlines()
    (work / "duie.json").write_text("\n".join(lines[-500:]) + "\n", encoding="utf-8")
    if not (work / "dev.jsonl").exists():
        dev_sets(work)
    if not (work / "kgclue.kg").exists():
        source = str(DATA / "kg" / "kgclue_graph.tsv.zst")
        done = CliRunner().invoke(app, ["graph", "build", source, "-o", str(work / "kgclue.kg")])
        if done.exit_code:
            raise SystemExit(done.output)


def main(work: Path, *models: str) -> None:
    """Make the tests and write the cards."""
    prepare(work)
    path = RESULTS / "int8_quality.json"
    results = json.loads(path.read_text(encoding="utf-8"))["models"] if path.exists() else {}
    for name, (data, metric, command) in tests(work).items():
        if models and name not in models:
            continue
        folder, figures = EMBEDDED / name, dict[str, float]()
        for precision, (dtype, present) in PRECISIONS.items():
            with vnni(present=present):
                found = evaluate([*command, "-m", name, "--device", "cpu", "--dtype", dtype])
            figures[precision] = round(figure(found), 2)
            print(name, precision, figures[precision], file=sys.stderr)
        weights = read_manifest(folder).files[WEIGHTS].sha256[:DIGITS]
        card = read_card(folder)
        card["int8"] = {"data": data, "metric": metric, **figures, "weights": weights}
        (folder / CARD).write_text(json.dumps(card, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
        results[name] = card["int8"]
    record("int8_quality", {"models": results})


if __name__ == "__main__":
    main(Path(sys.argv[1]), *sys.argv[2:])
