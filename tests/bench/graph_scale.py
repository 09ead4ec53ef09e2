"""A graph of KgCLUE's size: time and memory of the build, size, opening, memory while answering, `next_tokens`.

python tests/bench/graph_scale.py [TRIPLES] [FOLDER]

The published graph (20,559,652 triples, 3,121,457 subjects, 245,838 predicates, 3,833 of them used over 100 times) can
only be had from cloud drives, so one with these figures is made up: names, meanings and objects are joined from pieces
of real ones where `../shared/data` is there, of random characters elsewhere. A third of the objects are common ones. It
is grouped by subject, as the published one.
"""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from common import DATA, record

from nlpkit.core.io.records import read_lines
from nlpkit.core.model.manifest import find_local

TRIPLES, SUBJECTS, PREDICATES = 20_559_652, 3_121_457, 245_838
SENSES = (0.86, 0.09, 0.03, 0.02)  # share of names with 1, 2, 3 and 4 of them
ZIPF_SHIFT, ZIPF_POWER = 20, 1.69  # so that 3,833 predicates occur over 100 times
COMMON = 200_000  # objects that recur
CHUNK = 100_000  # subjects written together
WALKS = 20_000

ANSWERING = """
import json, random, resource, sys, time
import numpy as np
from nlpkit.tasks.kgqa.graph.graph import Graph
start = time.perf_counter()
graph = Graph.open(sys.argv[1])
opening = time.perf_counter() - start
tree, chance, times = graph.tree, random.Random(1), []
for _ in range(int(sys.argv[2])):
    rank = chance.randrange(len(tree))
    node = tree.root
    for token in tree.tokens(rank).tolist():
        start = time.perf_counter_ns()
        tokens, nodes = tree.next_tokens(node)
        times.append(time.perf_counter_ns() - start)
        node = int(nodes[np.searchsorted(tokens, np.int32(token))])
    graph.names_in("我想知道" + graph.facts(rank)[0].subject + "是什么？")
def microseconds(values, share): return round(float(np.quantile(values, share)) / 1e3, 2)
start = time.perf_counter_ns()
for _ in range(1000):
    tree.next_tokens(tree.root)
root = (time.perf_counter_ns() - start) / 1e6
status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
print(json.dumps({
    "opening_seconds": round(opening, 4), "next_tokens_calls": len(times),
    "next_tokens_microseconds": {"median": microseconds(times, .5), "99 %": microseconds(times, .99)},
    "next_tokens_at_root_microseconds": round(root, 2), "children_of_root": len(tree.next_tokens(tree.root)[0]),
    "resident_mebibytes": round(int(status["VmRSS"].split()[0]) / 1024),
    "of_it_not_mapped_files_mebibytes": round(int(status["RssAnon"].split()[0]) / 1024),
}))
"""


def pieces() -> tuple[list[str], list[str], list[str], str]:
    """Names, meanings and objects to make others of, and where they are from."""
    path = DATA / "kg" / "kgclue_graph.tsv.zst"
    if not path.exists():
        chance = random.Random(0)
        characters = [chr(0x4E00 + i) for i in range(3000)]
        words = ["".join(chance.choices(characters, k=chance.randint(2, 10))) for _ in range(100_000)]
        return words, words, words, "random characters"
    names: dict[str, None] = {}
    meanings: dict[str, None] = {}
    objects: dict[str, None] = {}
    for line in read_lines([str(path)]):
        subject, _, target = line.text.split("\t")
        name, _, meaning = subject.partition("（")
        names[name] = objects[target] = None
        if meaning.endswith("）"):
            meanings[meaning[:-1]] = None
    return list(names), list(meanings), list(objects), "KgCLUE's names, meanings and objects"


def made_up(words: list[str], number: int, chance: random.Random) -> list[str]:
    """Different strings: the beginning of one word and the end of another."""
    found = dict.fromkeys(words[:number])
    while len(found) < number:
        first, second = chance.choice(words), chance.choice(words)
        found[first[: (len(first) + 1) // 2] + second[len(second) // 2 :]] = None
    return list(found)


def subjects(names: list[str], meanings: list[str], number: int, chance: random.Random) -> Iterator[str]:
    """Different subjects as written; the senses of a name stand together."""
    given = 0
    for name in names:
        senses = chance.choices(range(1, len(SENSES) + 1), SENSES)[0]
        plain = senses == 1 or chance.random() < 0.5
        notes = chance.sample(meanings, senses - plain)
        for subject in [name] * plain + [f"{name}（{note}）" for note in notes]:
            if given == number:
                return
            yield subject
            given += 1


def generate(path: Path, triples: int) -> str:
    """Writes the graph as TSV; gives where its strings are from."""
    chance, generator = random.Random(0), np.random.default_rng(0)
    share = triples / TRIPLES
    words, notes, texts, source = pieces()
    names = made_up(words, int(SUBJECTS * share), chance)
    chance.shuffle(names)
    meanings = made_up(notes, max(100, int(300_000 * share)), chance)
    predicates = made_up([word[:4] for word in words], int(PREDICATES * share), chance)
    heirs = list(subjects(names, meanings, int(SUBJECTS * share), chance))
    degrees = 1 + generator.lognormal(1.2, 1.0, len(heirs))
    degrees = np.maximum(1, (degrees * triples / degrees.sum())).astype(int)
    degrees[generator.choice(len(heirs), triples - degrees.sum(), replace=False)] += 1
    weights = 1 / (np.arange(len(predicates)) + ZIPF_SHIFT) ** ZIPF_POWER
    cumulative = np.cumsum(weights) / weights.sum()
    unused = iter(predicates)
    with path.open("w", encoding="utf-8") as stream:
        for start in range(0, len(heirs), CHUNK):
            counts = degrees[start : start + CHUNK]
            size = int(counts.sum())
            chosen = np.searchsorted(cumulative, generator.random(size)).tolist()
            common = (generator.random(size) < 1 / 3).tolist()
            first, second = generator.integers(0, len(texts), (2, size)).tolist()
            few = zip(heirs[start : start + CHUNK], counts.tolist(), strict=True)
            rows = [heir for heir, count in few for _ in range(count)]
            stream.writelines(
                f"{heir}\t{(i % 8 == 0 and next(unused, None)) or predicates[p]}\t"
                f"{texts[a * a % COMMON % len(texts)] if shared else texts[a] + texts[b][:6]}\n"
                for i, (heir, p, shared, a, b) in enumerate(zip(rows, chosen, common, first, second, strict=True))
            )
    return source


def build(path: Path, folder: Path, *more: str) -> dict[str, Any]:
    """Runs `nlpkit graph build`: seconds, and the peak of its memory."""
    command = ["nlpkit", "graph", "build", str(path), "-o", str(folder), "--model", str(find_local("ner-cluener"))]
    null = os.open(os.devnull, os.O_WRONLY)
    start = time.perf_counter()
    child = os.posix_spawnp("nlpkit", [*command, *more], os.environ, file_actions=[(os.POSIX_SPAWN_DUP2, null, 1)])
    _, status, usage = os.wait4(child, 0)
    if status:
        raise SystemExit(f"nlpkit graph build failed: status {status}")
    cpu = usage.ru_utime + usage.ru_stime
    seconds = time.perf_counter() - start
    return {"seconds": round(seconds, 1), "cpu_seconds": round(cpu, 1), "peak_mebibytes": round(usage.ru_maxrss / 1024)}


def main(triples: int = TRIPLES, folder: str | None = None) -> None:
    """Makes the graph up, builds it, adds a triple to it, and walks in it."""
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        path, graph = Path(temporary) / "triples.tsv", Path(temporary) / "G.kg"
        source = generate(path, triples)
        built = build(path, graph)
        done = subprocess.run(["nlpkit", "graph", "info", str(graph)], check=True, capture_output=True, text=True)
        info = json.loads(done.stdout)
        command = [sys.executable, "-c", ANSWERING, str(graph), str(WALKS)]
        answering = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
        one = Path(temporary) / "one.tsv"
        one.write_text("新的名字\t新的关系\t新的答案\n", encoding="utf-8")
        added = build(one, graph, "--add")
        kept = ("triples", "keys", "subjects", "names", "predicates", "meanings", "predicates_per_name", "bytes")
        record(
            "graph_scale",
            {
                "strings_from": source,
                "tsv_bytes": path.stat().st_size,
                **{name: info[name] for name in kept},
                "build": built,
                "add_one_triple": added,
                "answering": answering,
            },
        )


if __name__ == "__main__":
    main(*(int(argument) if argument.isdecimal() else argument for argument in sys.argv[1:]))  # type: ignore[arg-type]
