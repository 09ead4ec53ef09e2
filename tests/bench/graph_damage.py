"""One flipped bit in each file of the sample graph, many times: what looking all subjects up then does.

    python tests/bench/graph_damage.py [FLIPS]          # of each file; 30 when left out

Every case runs in a process of its own. `with_check` opens the graph and runs `graph info --check` first. The second
part compares the checksums of the tries alone on opening, as for a large graph: only bounds guard the rest then.
"""

import json
import sys
import tempfile
from collections import Counter, defaultdict
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from damage import flips, outcome

from nlpkit.core.model.pretrained import find_tokenizer
from nlpkit.tasks.kgqa.graph.build import build_graph
from nlpkit.tasks.kgqa.graph.graph import Graph
from nlpkit.tasks.kgqa.graph.triples import TripleReader

SAMPLE = Path(__file__).parents[2] / "data/samples/graph.tsv"


def main():
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "G.kg"
        build_graph(TripleReader("tsv").read([str(SAMPLE)]), folder, find_tokenizer("kgqa"))
        results = {"flips": run(folder, number)}
        try:
            from nlpkit.core.io import artefacts as artefact
        except ImportError:  # a version before there was one
            pass
        else:
            compare = artefact.Reader._compare
            artefact.Reader._compare = lambda self, name, *more: name.endswith(".trie") and compare(self, name, *more)
            results["flips_without_checksums_on_opening"] = run(folder, number)
    print(json.dumps(results, ensure_ascii=False, indent=2))


def run(folder, number):
    subjects = [line.split("\t")[0] for line in SAMPLE.read_text(encoding="utf-8").splitlines()]

    def look_up():
        graph = Graph.open(folder)
        return [list(graph.find(subject)) for subject in subjects]

    def checked():
        Graph.open(folder).check()
        return look_up()

    expected = look_up()
    counts, with_check, bad = Counter(), Counter(), defaultdict(Counter)
    files = sorted(path for path in next(path for path in folder.iterdir() if path.is_dir()).iterdir())
    for path in files:
        for _ in flips(path, number):
            found = outcome(look_up, expected)
            counts[found] += 1
            if found not in ("clean error", "unaffected"):
                bad[found][path.name] += 1
            with_check["clean error" if found == "clean error" else outcome(checked, expected)] += 1
    return {"files": len(files), "cases": sum(counts.values()), "without_check": counts, "with_check": with_check,
            "where": bad}  # fmt: skip


if __name__ == "__main__":
    main()
