"""How often `nlpkit kgqa` is sure of an answer that the graph does not hold, on KgCLUE dev.

    python tests/bench/kgqa_absent.py [MODEL]
    python tests/bench/kgqa_absent.py split FOLDER

500 questions of dev are asked over four graphs: that of the data folder; the same one without their subjects; the same
one with each subject under a near name only; and a small one, which holds 100 of the subjects and nothing else. The 500
are drawn by a fixed seed. `split` writes the other questions of dev to FOLDER/fit.jsonl: the embedded model's
thresholds were fitted on these, and on none of the 500.

A near name is one that the question does not mean: up to three characters of another name put before or behind the
subject's, up to three cut off, one or two inner ones left out, or one replaced. The kinds take turns; a name that is
too short for its kind is lengthened. An answer is right if its first object is the gold one, as the metric compares
them; and it has the right subject if the name is the gold one.
"""

import random
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any

from common import DATA, record

GRAPH = DATA / "kg" / "kgclue_graph.tsv.zst"
DEV = DATA / "kgclue" / "dev.json"
SEED, ASKED, SMALL = 19, 500, 100
KINDS = ("lengthened", "shortened", "inner left out", "one replaced")
STATUSES = ("ok", "unsure", "not_in_graph")
Triple = tuple[str, str, str]


def parts(count: int = ASKED) -> tuple[list[int], list[int]]:
    """The line numbers of dev, from 0, that are asked and that are left for fitting."""
    lines = DEV.read_text(encoding="utf-8").splitlines()
    order = list(range(len(lines)))
    random.Random(SEED).shuffle(order)
    return sorted(order[:count]), sorted(order[count:])


def split(folder: str) -> None:
    """Writes the questions of dev that are not asked."""
    lines = DEV.read_text(encoding="utf-8").splitlines()
    out = Path(folder)
    out.mkdir(parents=True, exist_ok=True)
    (out / "fit.jsonl").write_text("".join(lines[i] + "\n" for i in parts()[1]), encoding="utf-8")


def near(name: str, kind: str, others: Sequence[str], known: Collection[str], chance: random.Random) -> tuple[str, str]:
    """A name like another that the graph does not have, and its kind."""
    if len(name) < 3 and kind != "lengthened":
        kind = "lengthened"
    while True:
        other = chance.choice(others)
        if kind == "lengthened":
            piece = chance.randint(1, min(3, len(other)))
            found = name + other[-piece:] if chance.random() < 0.5 else other[:piece] + name
        elif kind == "shortened":
            rest = len(name) - chance.randint(1, min(3, len(name) - 2))
            found = name[:rest] if chance.random() < 0.5 else name[-rest:]
        elif kind == "inner left out":
            gone = chance.randint(1, min(2, len(name) - 2))
            start = chance.randint(1, len(name) - gone - 1)
            found = name[:start] + name[start + gone :]
        else:
            place = chance.randrange(len(name))
            found = name[:place] + chance.choice(other) + name[place + 1 :]
        if found != name and found.strip() == found and found not in known:
            return found, kind
        if kind != "lengthened" and chance.random() < 0.05:  # all that are so near may be there
            kind = "lengthened"


def shares(found: Sequence[Any], right: Sequence[tuple[bool, bool]]) -> dict[str, Any]:
    """The share of each status, and of right objects and subjects among all answers and among those that are `ok`."""
    sure = [good for reply, good in zip(found, right, strict=True) if reply.status == "ok"]
    row: dict[str, Any] = {"questions": len(found)}
    row |= {status: round(sum(r.status == status for r in found) / len(found), 4) for status in STATUSES}
    for part, name in enumerate(("right", "right subject")):
        row[name] = round(sum(good[part] for good in right) / len(right), 4)
        row[f"{name} of ok"] = round(sum(good[part] for good in sure) / max(1, len(sure)), 4)
    return row


def renamed(triples: Sequence[Triple], names: dict[str, str | None]) -> Iterator[Triple]:
    """The triples with subjects under other names, or without those of no name."""
    from nlpkit.tasks.kgqa.graph.triples import join_subject, split_subject

    for subject, predicate, text in triples:
        name, meaning = split_subject(subject)
        new = names.get(name, name)
        if new is not None:
            yield join_subject(new, meaning), predicate, text


def scenarios(triples: Sequence[Triple], examples: Sequence[Any]) -> Iterator[tuple[str, Iterator[Triple], list[str]]]:
    """Each graph with its name, and what is to be said apart of each question."""
    from nlpkit.tasks.kgqa.graph.triples import split_subject

    chance = random.Random(SEED)
    known = {split_subject(subject)[0] for subject, _, _ in triples}
    every = sorted(known)
    subjects = list(dict.fromkeys(example.name for example in examples))
    yield "present", iter(triples), [""] * len(examples)
    yield "absent", renamed(triples, dict.fromkeys(subjects)), [""] * len(examples)
    names: dict[str, str | None] = {}
    kinds: dict[str, str] = {}
    for index, name in enumerate(subjects):
        names[name], kinds[name] = near(name, KINDS[index % len(KINDS)], every, known, chance)
    yield "near", renamed(triples, names), [kinds[example.name] for example in examples]
    kept = set(chance.sample(subjects, SMALL))
    few: dict[str, str | None] = dict.fromkeys(known - kept)
    yield "small", renamed(triples, few), ["there" if e.name in kept else "others" for e in examples]


def measured(examples: Sequence[Any], answered: Callable[[Iterator[Triple]], list[Any]]) -> dict[str, Any]:
    """What is said over each graph."""
    from nlpkit.tasks.kgqa.graph.triples import TripleReader
    from nlpkit.tasks.kgqa.metric import normalize_text

    results: dict[str, Any] = {}
    for name, graph, groups in scenarios(list(TripleReader().read([str(GRAPH)])), examples):
        found = answered(graph)
        right = [
            (normalize_text(r.answers[0].objects[0]) == normalize_text(e.object), r.answers[0].subject == e.name)
            if r.answers
            else (False, False)
            for r, e in zip(found, examples, strict=True)
        ]
        for group in dict.fromkeys(["", *groups]):
            which = [i for i, g in enumerate(groups) if group in ("", g)]
            if name != "small" or group:
                key = f"{name}, {group}" if group else name
                results[key] = shares([found[i] for i in which], [right[i] for i in which])
                print(key, results[key], file=sys.stderr)
    return results


def main(name: str = "kgqa") -> None:
    """Asks the questions over every graph."""
    from nlpkit.core.model.pretrained import find_tokenizer
    from nlpkit.tasks.kgqa.formats import read_examples
    from nlpkit.tasks.kgqa.graph.build import build_graph
    from nlpkit.tasks.kgqa.task import load

    dev = list(read_examples([str(DEV)], "kgclue"))
    examples = [dev[index] for index in parts()[0]]

    def answered(graph: Iterator[Triple]) -> list[Any]:
        with tempfile.TemporaryDirectory() as folder:
            build_graph(graph, Path(folder) / "g.kg", find_tokenizer(name))
            model = load(name, graph=f"{folder}/g.kg")
            return [prediction.answer for prediction in model.predictions([example.text for example in examples])]

    record(
        "kgqa_absent", {"questions": ASKED, "graph": GRAPH.name, "model": name, "results": measured(examples, answered)}
    )


if __name__ == "__main__":
    if sys.argv[1:2] == ["split"]:
        split(sys.argv[2])
    else:
        main(*sys.argv[1:2])
