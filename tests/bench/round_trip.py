"""Gold events and relations through encode, perfect logits and decode: what comes back, and what cannot.

    python tests/bench/round_trip.py

Every text of FewFC, DuEE 1.0, DuEE-fin, the DuIE sample and CMeIE, in rows of 512. Whether the links can say the gold
at all is worked out apart from the decoder, by the functions of the tests. Of events, every clique counts as one.
"""

import importlib.util
import sys
import tarfile
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from common import DATA, ROOT, record

EVENTS = (
    ("FewFC train", "fewfc", "event/fewfc/train.jsonl"),
    ("FewFC dev", "fewfc", "event/fewfc/dev.jsonl"),
    ("DuEE 1.0 dev", "duee", "event/duee1.0/dev.json"),
    ("DuEE-fin dev", "duee-fin", "event/duee_fin/dev.json"),
)
CMEIE = ("relation/cmeie/CMeIE_dev.jsonl", "relation/cmeie_sample/CMeIE_train.json")


def counted(
    examples: Iterable[Any], task_of: Callable[..., Any], representable: Callable[..., bool], why: Callable[..., str]
) -> dict[str, Any]:
    """How many texts there are, how many come back the same, and why others do not."""
    from linker_support import round_trip

    from nlpkit.core.text.document import Document
    from nlpkit.core.text.tokenizer import CharTokenizer
    from nlpkit.core.text.vocabulary import build_vocabulary

    examples = list(examples)
    tokenizer = CharTokenizer(build_vocabulary(example.text for example in examples))
    kinds: Counter[str] = Counter()
    for example in examples:
        document, task = Document.of(example.text, tokenizer, 512), task_of(example)
        gold = list(example.events if hasattr(example, "events") else example.relations)
        if task.misaligned(example, document):
            kinds["begins or ends inside a token"] += 1
        elif not representable(example, document.encoding):
            kinds[why(example)] += 1
        elif round_trip(task, example, tokenizer) == gold:
            kinds["the same"] += 1
        else:
            kinds["longer than a row" if len(document.windows) > 1 else "unexplained"] += 1
    same = kinds.pop("the same")
    return {"texts": len(examples), "the same": same, "exceptions": dict(kinds.most_common())}


def load(task: str) -> Any:
    """The codec tests of a task, as a module."""
    path = ROOT / "tests" / "tasks" / task / "test_codec.py"
    spec = importlib.util.spec_from_file_location(f"{task}_codec", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Every set in turn."""
    sys.path[:0] = [str(ROOT / "tests")]
    event, relation = load("event"), load("relation")
    results = {
        name: counted(
            event.read_examples([str(DATA / path)], format),
            lambda gold: event.task_of(gold, event.example(event.TEXT, event.FIRST), all_cliques=True),
            event.representable,
            event.why,
        )
        for name, format, path in EVENTS
    }

    def triples(paths: list[str], format: str) -> dict[str, Any]:
        return counted(
            relation.read_examples(paths, format),
            lambda gold: relation.RelationTask(
                relation.RelationSettings(relation.predicates_of([gold, relation.ONE], []))
            ),
            relation.representable,
            lambda gold: "nested spans of one predicate cross",
        )

    results["DuIE 2.0 sample"] = triples([str(DATA / "relation/duie2_sample/train_5000.json")], "duie")
    with tempfile.TemporaryDirectory() as temporary, tarfile.open(DATA / "more.tar.xz") as archive:
        members = [member for member in archive if member.name.endswith(CMEIE)]
        archive.extractall(temporary, members, filter="data")
        paths = [str(Path(temporary) / member.name) for member in members]
        results["CMeIE dev and sample"] = triples(paths, "cmeie")
    record("round_trip", {"sets": results})


if __name__ == "__main__":
    main()
