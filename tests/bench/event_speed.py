"""`nlpkit event` with DuEE's 65 types against a UIE-style loop, one forward pass for each type and role.

    python tests/bench/event_speed.py [BACKBONE]

Both sides run the same backbone (random weights: 6×256, or what is named) in the precision that `auto` takes here. The
loop reads, for each text and each label, [CLS] type and role [SEP] text [SEP] and scores starts and ends, in batches as
large as ours. Also: what decoding takes of the forward pass, for a head as it is initialised and for one to which every
span seems likely; the worst graph; and the memory of a sequence of 512 tokens against a head with all logits.
"""

import json
import os
import random
import subprocess
import sys
import time
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from common import DATA, record, sentences, timed
from torch import nn

SENTENCES, LOOPED = 1000, 12  # texts for ours and for the loop, which is that slow
BACKBONE = "roformer_v2:6x256"


def labels() -> list[tuple[str, str, str]]:
    """DuEE 1.0's types with their roles and triggers; where its schema is not there, as many."""
    path = DATA / "event" / "duee1.0" / "event_schema.json"
    if not path.exists():
        return [(f"类型{n % 65}", f"角色{n // 65}", "") for n in range(282)]
    types = [json.loads(line) for line in path.open(encoding="utf-8")]
    roles = {t["event_type"]: ["trigger", *(role["role"] for role in t["role_list"])] for t in types}
    return [(type, role, "") for type, found in roles.items() for role in found]


def texts() -> tuple[list[str], str]:
    """Texts of DuEE dev, or others."""
    path = DATA / "event" / "duee1.0" / "dev.json"
    if not path.exists():
        return sentences(SENTENCES)
    return [json.loads(line)["text"] for line in path.open(encoding="utf-8")][:SENTENCES], "DuEE 1.0 dev"


def make_model(backbone: str, lines: list[str], dtype: str, bias: float | None = None) -> Any:
    """An untrained event model; `bias` in place of what its heads begin with."""
    from nlpkit.core.model.device import pick_dtype
    from nlpkit.core.model.pretrained import load_backbone
    from nlpkit.core.model.text_task import TextPredictor
    from nlpkit.tasks.event.task import EventSettings, EventTask

    torch.manual_seed(0)
    task = EventTask(EventSettings(tuple(labels())))
    encoder, tokenizer = load_backbone(backbone, lambda: lines)
    network = task.network(encoder).eval()
    if bias is not None:
        for head in (network.spans, network.heads, network.tails):
            nn.init.constant_(head.bias.bias, bias)
    device = torch.device("cpu")
    precision = pick_dtype(dtype, device)
    network.backbone.to(precision)
    return TextPredictor(task, task.torch_runner(network, device, precision), tokenizer, 512)


def looped(model: Any, lines: list[str]) -> int:
    """The UIE-style loop over (text, label); gives the number of starts and ends found."""

    tokenizer, head = model.tokenizer, nn.Linear(model.network.backbone.hidden_size, 2)
    prompts = [tokenizer.encode(type + role).ids for type, role, _ in labels()]
    rows = [
        [tokenizer.cls_id, *prompt, tokenizer.sep_id, *tokenizer.encode(line).ids, tokenizer.sep_id]
        for line in lines
        for prompt in prompts
    ]
    found = 0
    for batch in model.budget.batches([len(row) for row in rows], "cpu"):
        size = max(len(rows[index]) for index in batch)
        ids = torch.full((len(batch), size), tokenizer.pad_id)
        for place, index in enumerate(batch):
            ids[place, : len(rows[index])] = torch.tensor(rows[index])
        mask = ids != tokenizer.pad_id
        with torch.inference_mode():
            scores = head(model.network.backbone(ids, mask).float())
            found += int(((scores > 4.0) & mask[:, :, None]).sum())
    return found


def shares(model: Any, lines: list[str]) -> dict[str, float]:
    """Seconds of the forward pass, of decoding and of putting events together, over windows of all texts."""
    from nlpkit.core.text.document import Document
    from nlpkit.core.text.padding import pad_windows

    seconds = dict.fromkeys(("forward", "decode", "assemble"), 0.0)
    documents = [Document.of(line, model.tokenizer, model.max_length) for line in lines]
    found: dict[int, Any] = {}
    for batch in model.budget.batches([len(document.encoding) + 2 for document in documents], "cpu"):
        ids, mask = pad_windows([(documents[i].encoding, documents[i].windows[0]) for i in batch], model.tokenizer)
        start = time.perf_counter()
        outputs = model.runner(ids, mask)
        middle = time.perf_counter()
        found |= zip(batch, model.task.decode(outputs, mask, 0.5), strict=True)
        seconds["forward"] += middle - start
        seconds["decode"] += time.perf_counter() - middle
    start = time.perf_counter()
    for index, document in enumerate(documents):
        model.task.assemble(document, [found[index]], 0.5)
    seconds["assemble"] = time.perf_counter() - start
    return seconds


def worst_graph() -> float:
    """Milliseconds for the cliques of 25 spans with four fifths of all links."""
    from nlpkit.tasks.event.graph import maximal_cliques

    chance = random.Random(0)
    neighbours: list[set[int]] = [set() for _ in range(25)]
    for one, other in combinations(range(25), 2):
        if chance.random() < 0.8:
            neighbours[one].add(other)
            neighbours[other].add(one)
    maximal_cliques(neighbours)  # loads networkx
    return min(timed(lambda: maximal_cliques(neighbours)) for _ in range(5)) * 1e3


def peak(backbone: str, kind: str) -> float:
    """MiB that one sequence of 512 tokens adds to a process: `parts` factored, `dense` with all logits."""
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    code = f"import event_speed; event_speed.grow({backbone!r}, {kind!r})"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def grow(backbone: str, kind: str) -> None:
    """In a process of its own, on Linux: prints how far the peak is above what is held once the model has run."""
    lines = ["中文" * 255]
    model = make_model(backbone, lines, "fp32")
    model.predictions(["中文"])
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before = resident("VmRSS")
    if kind == "parts":
        model.predictions(lines)
    else:
        ids = torch.full((1, 512), 5)
        mask = torch.ones(1, 512, dtype=torch.bool)
        with torch.inference_mode():
            hidden = model.network.backbone(ids, mask).float()
            for head in (model.network.spans, model.network.heads, model.network.tails):
                (head(hidden, mask) > 0).nonzero()
    print(resident("VmHWM") - before)


def resident(name: str) -> float:
    """MiB of memory that this process holds (VmRSS), or has held at most (VmHWM)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith(name)) / 1024


def main(backbone: str = BACKBONE) -> None:
    """All of it, in turn."""
    lines, source = texts()
    model = make_model(backbone, lines, "auto")
    model.predictions(lines[:50])
    ours = len(lines) / timed(lambda: model.predictions(lines))
    looped(model, lines[:1])
    loop = LOOPED / timed(lambda: looped(model, lines[:LOOPED]))
    decoding = {}
    for name, bias in (("as initialised", None), ("everything likely", 0.0)):
        seconds = shares(make_model(backbone, lines, "auto", bias), lines)
        share = (seconds["decode"] + seconds["assemble"]) / seconds["forward"]
        decoding[name] = {**{key: round(value, 4) for key, value in seconds.items()}, "share": round(share, 4)}
    memory = {kind: round(peak(backbone, kind), 1) for kind in ("parts", "dense")}
    record(
        "event_speed",
        {
            "text": source,
            "backbone": f"{backbone}, random weights",
            "precision": str(model.runner.dtype).removeprefix("torch."),
            "types": len(model.task.types),
            "labels": len(model.settings.labels),
            "texts_per_second": {"nlpkit": round(ours, 1), "a pass per type and role": round(loop, 3)},
            "ratio": round(ours / loop, 1),
            "decoding_seconds": decoding,
            "worst_graph_ms": round(worst_graph(), 2),
            "mebibytes_at_512": memory,
        },
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
