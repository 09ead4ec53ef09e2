"""Recall at 1 and 10 of `nlpkit search query` by each method.

    python tests/bench/retrieval_quality.py [MODEL…]        default: the default model

questions      about CMRC passages, as readers ask them: ../shared/data/retrieval
names          words, numbers and names that only one of these passages has, alone
paraphrases    of BQ valid: a pair with label 1 whose sentences have no term in common; among all second sentences

The rows of other models stay in the results.
"""

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from common import DATA, RESULTS, record

from nlpkit.core.text.normalization import normalize
from nlpkit.core.text.segmentation import cut_words
from nlpkit.tasks.embed.index.build import BuildSettings, embed_texts, finalize
from nlpkit.tasks.embed.index.index import Index
from nlpkit.tasks.embed.index.retrieval import QueryMethod, retrieve
from nlpkit.tasks.embed.index.terms import terms
from nlpkit.tasks.embed.loading import load

METHODS: tuple[QueryMethod, ...] = ("vector", "bm25", "hybrid")
NAMES, SHORTEST_NAME = 1000, 3  # characters


class Search(NamedTuple):
    """Texts, queries, and the place of the one text that each query should find."""

    texts: Sequence[str]
    queries: Sequence[str]
    gold: Sequence[int]


def questions() -> Search:
    folder = DATA / "retrieval"
    passages = (folder / "cmrc_trial_passages.txt").read_text(encoding="utf-8").splitlines()
    asked = [json.loads(line) for line in (folder / "cmrc_trial_questions.jsonl").open(encoding="utf-8")]
    return Search(passages, [one["text"] for one in asked], [one["passage"] - 1 for one in asked])


def names() -> Search:
    passages = questions().texts
    normal = [normalize(passage) for passage in passages]
    words = Counter(word for text in normal for word in set(cut_words(text)) if len(word) >= SHORTEST_NAME)
    places = {word: [row for row, text in enumerate(normal) if word in text] for word in sorted(words)}
    rare = [word for word, found in places.items() if len(found) == 1 and terms(word)]
    chosen = np.random.default_rng(0).permutation(rare)[:NAMES].tolist()
    return Search(passages, chosen, [places[word][0] for word in chosen])


def paraphrases() -> Search:
    lines = (DATA / "similarity" / "BQ" / "valid.tsv").read_text(encoding="utf-8").splitlines()
    pairs = [line.split("\t") for line in lines]
    texts = sorted({second for _, second, _ in pairs if second.strip()})
    places = {text: row for row, text in enumerate(texts)}
    apart = [(a, b) for a, b, label in pairs if label == "1" and not set(terms(a)) & set(terms(b))]
    return Search(texts, [a for a, _ in apart], [places[b] for _, b in apart])


SETS = {"questions": questions, "names": names, "paraphrases": paraphrases}


def recalls(search: Search, model: str | None, folder: Path) -> dict[str, Any]:
    """Return the recalls of each method."""
    (folder / "texts.txt").write_text("".join(f"{text}\n" for text in search.texts), encoding="utf-8")
    embedder = load(model, role="passage")
    embed_texts([str(folder / "texts.txt")], embedder, folder / "idx", BuildSettings(method="exact"))
    finalize(folder / "idx", {"model": embedder.name})
    index = Index.open(folder / "idx")
    vectors = load(model, role="query").encode(search.queries)
    found: dict[str, Any] = {"texts": len(search.texts), "queries": len(search.queries)}
    for method in METHODS:
        results = retrieve(index, search.queries, vectors, 10, method)
        lines = [[result["line"] - 1 for result in few] for few in results]
        found[method] = {
            f"recall@{k}": round(
                float(np.mean([gold in few[:k] for gold, few in zip(search.gold, lines, strict=True)])), 4
            )
            for k in (1, 10)
        }
    return found


def main(*models: str) -> None:
    path = RESULTS / "retrieval_quality.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else {}
    for model in models or (None,):
        with tempfile.TemporaryDirectory() as temporary:
            name = Path(model).name if model else load().name
            for kind, made in SETS.items():
                folder = Path(temporary, kind)
                folder.mkdir()
                rows.setdefault(name, {})[kind] = recalls(made(), model, folder)
    record("retrieval_quality", {"rows": rows})


if __name__ == "__main__":
    main(*sys.argv[1:])
