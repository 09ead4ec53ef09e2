"""Two-hop questions: the chains S–P–O–P–O of CKBQA (train and valid), over a graph made from their gold queries.

    python tests/bench/kgqa_chains.py [MODEL]

The graph that CKBQA was written for is not in the data folder, and its queries do not name what stands in the middle of
a chain, so each middle gets a name drawn from KgCLUE's subjects. Every subject has its gold predicates and six others,
drawn by how often they occur, with objects that answer nothing. A question is right if its best answer has both steps.
"""

import random
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from common import DATA, record

FOLDER = DATA / "ckbqa" / "ccks2019"
TERM = re.compile(r'<[^>]*>|\?\w+|"[^"]*"')
SENSE = re.compile(r"_（[^）]*）$")
OTHERS = 6


class Hops(NamedTuple):
    """A question with its gold chain."""

    question: str
    subject: str
    first: str
    second: str


def queries() -> Iterator[tuple[str, list[list[str]]]]:
    """Questions and the triple patterns of their queries."""
    for part in ("train", "valid"):
        for block in (FOLDER / f"task6ckbqa_{part}_2019.txt").read_text(encoding="utf-8").split("\n\n"):
            lines = [line for line in block.splitlines() if line.strip()]
            if len(lines) > 2 and "{" in lines[1]:
                terms = TERM.findall(lines[1][lines[1].index("{") :])
                if len(terms) % 3 == 0:
                    yield lines[0].split(":", 1)[1], [terms[i : i + 3] for i in range(0, len(terms), 3)]


def bare(term: str) -> str:
    """An entity or predicate without brackets and sense."""
    return SENSE.sub("", term.strip('<>"'))


def chains() -> tuple[list[Hops], Counter[str]]:
    """The chains, and how often each predicate occurs in all queries."""
    found: list[Hops] = []
    predicates: Counter[str] = Counter()
    for question, triples in queries():
        predicates.update(bare(p) for _, p, _ in triples if p.startswith("<"))
        if len(triples) == 2:
            (s, p, middle), (same, q, end) = triples
            if s.startswith("<") and middle == same and middle != end and end.startswith("?") and q.startswith("<"):
                found.append(Hops(question, bare(s), bare(p), bare(q)))
    return found, predicates


def graph_lines(found: list[Hops], predicates: Counter[str], names: list[str]) -> Iterator[str]:
    """The triples, tab-separated."""
    chance = random.Random(0)
    kinds, weights = list(predicates), list(predicates.values())
    middles = chance.sample(names, len(found))
    for index, (hops, middle) in enumerate(zip(found, middles, strict=True)):
        yield f"{hops.subject}\t{hops.first}\t{middle}"
        yield f"{middle}\t{hops.second}\t答案{index}"
        for name, gold in ((hops.subject, hops.first), (middle, hops.second)):
            for other in set(chance.choices(kinds, weights, k=OTHERS)) - {gold}:
                yield f"{name}\t{other}\t其他{index}"


def main(name: str = "kgqa") -> None:
    """Asks them all."""
    from nlpkit.core.model.pretrained import find_tokenizer
    from nlpkit.tasks.kgqa.formats import read_examples
    from nlpkit.tasks.kgqa.graph.build import build_graph
    from nlpkit.tasks.kgqa.graph.triples import TripleReader
    from nlpkit.tasks.kgqa.task import load

    found, predicates = chains()
    dev = read_examples([str(DATA / "kgclue" / "dev.json")], "kgclue")
    names = sorted({example.name for example in dev} - {hops.subject for hops in found})
    with tempfile.TemporaryDirectory() as temporary:
        source = Path(temporary) / "graph.tsv"
        source.write_text("".join(f"{line}\n" for line in graph_lines(found, predicates, names)), encoding="utf-8")
        build_graph(TripleReader().read([str(source)]), Path(temporary) / "g.kg", find_tokenizer(name))
        model = load(name, graph=f"{temporary}/g.kg")
        replies = [prediction.answer for prediction in model.predictions([hops.question for hops in found])]
    right: Counter[str] = Counter()
    for hops, reply in zip(found, replies, strict=True):
        literal = "as in the graph" if hops.first + "的" in hops.question else "in other words"
        right[f"{literal}, asked"] += 1
        if not reply.answers:
            right[f"{literal}, nothing found"] += 1
            continue
        best = reply.answers[0]
        steps = [answer.predicate for answer in (*best.path, best)]
        kind = "right" if steps == [hops.first, hops.second] else "half" if hops.first in steps else "wrong"
        right[f"{literal}, {kind}, {reply.status}"] += 1
    record("kgqa_chains", {"questions": len(found), "model": name, "results": dict(sorted(right.items()))})


if __name__ == "__main__":
    main(*sys.argv[1:2])
