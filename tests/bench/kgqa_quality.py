"""What each part of `nlpkit kgqa` is worth, on KgCLUE dev over the graph of the data folder.

    python tests/bench/kgqa_quality.py [MODEL] [NAME=DIR …] [only=model;names;…]

The rule without a model; the model as it is; the search alone, with and without look-ahead, with beams of 1, 3 and 5,
and without the tree (greedy, then looked up). Other models are named: `pretraining=DIR` was trained from random
weights, `smp=DIR` on keys in the order S, M, P. With `only` the other rows stay as they were. A graph in that order
is one whose predicates and meanings have changed places:

    python tests/bench/kgqa_quality.py swap FOLDER
    nlpkit graph build FOLDER/graph.tsv -o FOLDER/g.kg --model MODEL
    nlpkit train kgqa FOLDER/train.jsonl --dev FOLDER/dev.jsonl --graph FOLDER/g.kg --model nlpkit-base \
        --epochs 1 --max-length 128 -o DIR
"""

import json
import sys
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from common import DATA, RESULTS, record

GRAPH = DATA / "kg" / "kgclue_graph.tsv.zst"
DEV = DATA / "kgclue" / "dev.json"
NO_MEANING = "—"  # a predicate may not be empty
LONGEST = 64


def rule(graph: Any, text: str) -> tuple[str, str, str]:
    """The longest name in the question, and of its predicates the one that shares most with the rest."""
    from nlpkit.core.text.lcs import lcs_similarity

    names = sorted(graph.names_in(text), key=lambda found: found[0] - found[1])
    if not names:
        return "", "", ""
    start, end, name = names[0]
    rest = text[:start] + text[end:]
    best = max(graph.find(name), key=lambda fact: lcs_similarity(fact.predicate, rest))
    return (f"{name}（{best.sense}）" if best.sense else name), best.predicate, best.objects[0]


@torch.inference_mode()
def free(model: Any, questions: Iterable[Any]) -> Iterator[int | None]:
    """The key that the generator writes greedily without the tree; None where the graph has no such key."""
    from nlpkit.nn.layers.kv_cache import KeyValueCache
    from nlpkit.nn.tokens import TokenBatch
    from nlpkit.tasks.kgqa.codec import KEY_SEGMENT

    tree, network = model.graph.tree, model.network.eval()

    def read(tokens: list[int], begin: int, segment: int, cache: KeyValueCache) -> Any:
        ids, slots = torch.tensor(tokens), torch.arange(len(tokens))
        mask = torch.ones(1, len(tokens), begin + len(tokens)).bool()
        new = TokenBatch(ids, torch.full_like(ids, segment), begin + slots, slots * 0, begin + slots, slots, mask)
        return network.generate(network.forward_with_cache(new, slots[-1:], cache))

    for question in questions:
        cache, size, tokens = KeyValueCache(), len(question.ids), list[int]()
        logits = read(question.ids, 0, 0, cache)
        while len(tokens) < LONGEST and tokens.count(tree.sep_id) < 3:
            tokens.append(int(logits.argmax()))
            logits = read(tokens[-1:], size + len(tokens) - 1, KEY_SEGMENT, cache)
        node = tree.root
        try:
            for token in tokens:
                node = tree.advance(node, token)
        except KeyError:
            yield None
        else:
            yield tree.keys(node)[0] if tree.is_leaf(node) else None


def named(graph: Any, key: int | None) -> tuple[str, str, str]:
    """Subject, predicate and object of a key; empty where there is none."""
    from nlpkit.tasks.kgqa.graph.triples import join_subject

    if key is None:
        return "", "", ""
    fact = graph.facts(key)[0]
    return join_subject(fact.subject, fact.sense), fact.predicate, fact.objects[0]


def swap(folder: str) -> None:
    """Writes the graph, KgCLUE and NLPCC with predicates and meanings in each other's place."""
    from nlpkit.core.io.records import ErrorPolicy
    from nlpkit.tasks.kgqa.formats import read_examples
    from nlpkit.tasks.kgqa.graph.triples import TripleReader, split_subject

    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    with (out / "graph.tsv").open("w", encoding="utf-8") as stream:
        for subject, predicate, text in TripleReader().read([str(GRAPH)]):
            name, meaning = split_subject(subject)
            stream.write(f"{name}（{predicate}）\t{meaning or NO_MEANING}\t{text}\n")
    train = [str(DATA / "kgclue" / "train.json"), str(DATA / "nlpcc_kbqa" / "train.jsonl")]
    for part, paths in (("train", train), ("dev", [str(DEV)])):
        with (out / f"{part}.jsonl").open("w", encoding="utf-8") as stream:
            for e in read_examples(paths, "kgclue", on_error=ErrorPolicy("skip")):
                answer = {"subject": e.name, "meaning": e.predicate, "predicate": e.sense or NO_MEANING,
                          "objects": [e.object]}  # fmt: skip
                stream.write(json.dumps({"question": e.text, "answers": [answer]}, ensure_ascii=False) + "\n")


def main(name: str, others: dict[str, str]) -> None:
    """Scores everything in turn."""
    from nlpkit.core.model.pretrained import find_tokenizer
    from nlpkit.tasks.kgqa.codec import Question
    from nlpkit.tasks.kgqa.formats import read_examples
    from nlpkit.tasks.kgqa.graph.build import build_graph
    from nlpkit.tasks.kgqa.graph.triples import TripleReader
    from nlpkit.tasks.kgqa.metric import scores
    from nlpkit.tasks.kgqa.task import load

    only = set(filter(None, others.get("only", "").split(";")))
    dev = list(read_examples([str(DEV)], "kgclue"))
    before = RESULTS / "kgqa_quality.json"
    results: dict[str, dict[str, float]] = json.loads(before.read_text())["results"] if only else {}

    def keep(what: str, found: dict[str, Any]) -> None:
        shown = ("em", "f1", "score", "em_subject", "em_predicate", "em_all", "questions_per_second")
        results[what] = {key: round(found[key], 4) for key in shown if key in found}
        print(what, results[what], file=sys.stderr)

    def graph_for(model: str, folder: Path) -> str:
        triples = TripleReader().read([str(GRAPH)])
        return str(build_graph(triples, folder, find_tokenizer(model)).folder)

    with tempfile.TemporaryDirectory() as temporary:
        graph = graph_for(name, Path(temporary) / "g.kg")
        model = load(name, graph=graph, runtime="torch")  # `free` calls its network
        keep("rule", scores((e.triple, rule(model.graph, e.text)) for e in dev))
        for what, changes in {
            "model": {},
            "names": {"search": "names"},
            "beam 1": {"search": "beam", "beam": 1},
            "beam 3": {"search": "beam", "beam": 3},
            "beam 5": {"search": "beam", "beam": 5},
            "beam 3, without look-ahead": {"search": "beam", "beam": 3, "look_ahead": False},
        }.items():
            if not only or what in only:
                keep(what, model.changed(**changes).evaluate(dev))
        if not only or "without tree" in only:
            asked = [Question.encode(e.text, model.tokenizer, model.max_length) for e in dev]
            said = [named(model.graph, key) for key in free(model, asked)]
            keep("without tree", scores(zip((e.triple for e in dev), said, strict=True)))
        if "pretraining" in others:
            other = load(others["pretraining"], graph=graph_for(others["pretraining"], Path(temporary) / "p.kg"))
            keep("without pretraining", other.evaluate(dev))
        if "smp" in others:
            swap(f"{temporary}/swapped")
            triples = TripleReader().read([f"{temporary}/swapped/graph.tsv"])
            build_graph(triples, Path(temporary) / "s.kg", find_tokenizer(others["smp"]))
            other = load(others["smp"], graph=f"{temporary}/s.kg", search="beam", beam=3)
            keep(
                "beam 3, in the order S, M, P", other.evaluate(list(read_examples([f"{temporary}/swapped/dev.jsonl"])))
            )
    record("kgqa_quality", {"questions": len(dev), "graph": GRAPH.name, "model": name, "results": results})


if __name__ == "__main__":
    if sys.argv[1:2] == ["swap"]:
        swap(sys.argv[2])
    else:
        models = [arg for arg in sys.argv[1:] if "=" not in arg]
        main(models[0] if models else "kgqa", dict(arg.split("=", 1) for arg in sys.argv[1:] if "=" in arg))
