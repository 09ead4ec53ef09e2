"""Writes the README's tables and sample outputs from `results/` and from the commands themselves.

    python tests/bench/tables.py

Each block stands between `<!-- kind:name -->` and `<!-- end -->`; nothing else in the README is touched.
"""

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from common import RESULTS, ROOT


def result(name: str) -> dict[str, Any]:
    """A recorded result."""
    loaded: dict[str, Any] = json.loads((RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


def table(*rows: tuple[object, ...]) -> str:
    """Markdown; the first row is the head."""
    lines = ["| " + " | ".join(str(cell).replace("|", r"\|") for cell in row) + " |" for row in rows]
    return "\n".join([lines[0], "|" + "---|" * len(rows[0]), *lines[1:]])


def output(command: str) -> str:
    """What a command prints, as an indented block."""
    done = subprocess.run(command, shell=True, check=True, capture_output=True, text=True, cwd=ROOT)
    return "".join(f"    {line}\n" for line in done.stdout.splitlines()).rstrip("\n")


def quality() -> str:
    """The rows of `ner_quality.py`, and published ones beside them."""
    rows: list[tuple[object, ...]] = [("model", "dev set", "parameters", "P", "R", "F1", "source")]
    commands = []
    for name in ("ner_cluener", "ner_cmeee"):
        found = result(name)
        figures = [f"{found[key]:.4f}" for key in ("precision", "recall", "f1")]
        size = f"{found['parameters'] / 1e6:.1f}M"
        rows.append((found["title"], found["dev_set"], size, *figures, "`ner_quality.py`"))
        commands += [f"    {command}" for command in found["commands"]]
    rows.append(("BiLSTM-CRF", "CLUENER", "", "", "", "0.7000", "published, CLUENER's README"))
    rows.append(("BERT-base, CRF", "CLUENER", "102M", "", "", "0.7951", "published, kexue.fm 8877"))
    rows.append(("BERT-base, Efficient GlobalPointer", "CLUENER", "102M", "", "", "0.8066", "published, kexue.fm 8877"))
    rows.append(("BERT-base, Efficient GlobalPointer", "CMeEE", "102M", "", "", "0.6516", "published, kexue.fm 8877"))
    long = result("ner_long_text")["f1"]
    texts = ", ".join(f"{figure:.3f} in documents of {size}" for size, figure in list(long.items())[1:])
    return (
        table(*rows)
        + "\n\nThe commands (DATA is the data folder; for the embedded model see `nlpkit models ner-cluener`):\n\n"
        + "\n".join(commands)
        + f"\n\nThe same CLUENER dev sentences joined to long texts, read in windows (`ner_long_text.py`): {texts}."
    )


def speed() -> str:
    """The side-by-side runs."""
    ner, startup, memory = result("ner_speed"), result("startup"), result("ner_memory")
    rows: list[tuple[object, ...]] = [("what", "nlpkit", "against", "ratio", "script")]
    base = ner["texts_per_second"]["transformers"]
    for name, ratio in ner["ratio"].items():
        precision = name.split()[1]
        what = f"NER, {ner['lines']:,} lines, {ner['backbone']}, `--dtype {precision}`"
        against = f"transformers pipeline, default settings: {base:,.0f} texts/s"
        rows.append((what, f"{ner['texts_per_second'][name]:,.0f} texts/s", against, f"{ratio}×", "`ner_speed.py`"))
    for name, ratio in startup["ratio"].items():
        ours, other = name.split(" : ")
        seconds = startup["seconds"]
        rows.append(
            (f"`{ours}`, cold", f"{seconds[ours]} s", f"`{other}`: {seconds[other]} s", f"{ratio}×", "`startup.py`")
        )
    small, large = memory["peak_mebibytes"].items()
    rows.append((f"peak memory, {large[0]}", f"{large[1]:,.0f} MiB", f"{small[0]}: {small[1]:,.0f} MiB",
                 f"{memory['difference_mebibytes']:+,.0f} MiB", "`ner_memory.py`"))  # fmt: skip
    pretraining = result("pretrain_speed")
    for arch, name in (("roformer_v2", "RoFormerV2 6×384"), ("gau_alpha", "GAU-α 12×384")):
        found = pretraining[arch]
        what = f"pretraining {name}, {pretraining['precision']}"
        against = f"the matrix product alone: {pretraining['matrix_product_gflops']} GFLOP/s"
        share = f"{found['gflops']} GFLOP/s, {found['share_of_matrix_product']:.0%}"
        rows.append((what, f"{found['tokens_per_second']:,} tokens/s", against, share, "`pretrain_speed.py`"))
    machine = ner["machine"]
    return table(*rows) + f"\n\nMachine: {machine['cpu']}, {machine['cores']} cores, torch {machine['torch']}."


def tolerance() -> str:
    """What bf16 changes."""
    found = result("ner_precision")
    difference = found["score_difference"]
    return (
        f"On CLUENER dev F1 is {found['f1']['fp32']:.4f} in fp32 and {found['f1']['bf16']:.4f} in bf16; "
        f"{found['same_entities']:.1%} of the entities are the same, and their scores differ by {difference['median']} "
        f"at the median, {difference['99 %']} at the 99th percentile (`tests/bench/ner_precision.py`). "
        "The tolerance: scores within 0.05, F1 within 0.005; take `--dtype fp32` where scores must repeat exactly."
    )


BLOCKS: dict[str, Callable[[], str]] = {
    "output:ner": lambda: output("echo '腾讯公司产品经理王芳表示，《和平精英》下个月将在日本上线。' | nlpkit ner"),
    "output:models": lambda: output("nlpkit models | jq -r '[.name, .task, .mebibytes, .licence] | @tsv'"),
    "table:quality": quality,
    "table:speed": speed,
    "table:tolerance": tolerance,
}


def main() -> None:
    """Rewrites the blocks in place."""
    path: Path = ROOT / "README.md"
    text = path.read_text(encoding="utf-8")
    for name, make in BLOCKS.items():
        pattern = re.compile(rf"(<!-- {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
        content = make()
        text = pattern.sub(lambda match: f"{match[1]}{content}\n{match[2]}", text)  # noqa: B023
    path.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
