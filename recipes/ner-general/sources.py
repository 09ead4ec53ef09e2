"""The training set and the dev sets of the embedded model `ner-general`: general text with PER, LOC, ORG and TIME.

    python recipes/ner-general/sources.py DATA MORE FOLDER [SILVER]

DATA is ../shared/data, MORE the folder where more.tar.xz was unpacked, and SILVER the output of
`recipes/ner-cluener/silver.py CORPUS COUNT TIME`. FOLDER gets dev.jsonl, the parts of it by source, and with SILVER
train.jsonl.

Sources disagree on some labels. Records say with "labels" what they are annotated with, and a label is left out where
the conventions differ: the places of CLUENER, and organizations and places of Boson in a sentence that has a place as
an organization, as in "中国宣布". A word that Boson mostly leaves unmarked, such as "目前", is no silver time.

The dev sets are the last tenth of Boson, the dev set of Weibo without the 42 of its 270 texts that are also in its
training set, and texts of MSRA that the encoder was not trained on.
"""

import random
import sys
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "ner-cluener"))

import mix

from nlpkit.core.io.records import ErrorPolicy, dump_line
from nlpkit.tasks.ner.data import Entity, Example, to_record
from nlpkit.tasks.ner.formats import read_examples

MSRA = {"PER": "PER", "LOC": "LOC", "ORG": "ORG"}
BOSON = {"person_name": "PER", "location": "LOC", "company_name": "ORG", "org_name": "ORG", "time": "TIME"}
CLUENER = {"name": "PER", "company": "ORG", "government": "ORG", "organization": "ORG"}
TIMES = {"TIME": "TIME"}
TEXTS = {"msra": 12_000, "cluener": 8_000, "silver": 8_000}  # for training
MSRA_DEV, BOSON_DEV = 2_000, 200  # texts; documents, of which a line of the file is one
RARE, MIN_COUNT = 0.1, 5  # fraction of marked occurrences, and occurrences, of a word that is no time


def split_msra(
    examples: Sequence[Example], of_encoder: int = mix.SAMPLE, count: int = MSRA_DEV
) -> tuple[list[Example], list[Example]]:
    """Return texts for training, and `count` texts for dev, which are not among those that `mix.main` samples."""
    seen = set(random.Random(3).sample(range(len(examples)), of_encoder))
    unseen = [index for index in range(len(examples)) if index not in seen]
    held_out = set(random.Random(5).sample(unseen, count))
    train = [example for index, example in enumerate(examples) if index not in held_out]
    return train, [examples[index] for index in sorted(held_out)]


def split_boson(path: Path, count: int = BOSON_DEV) -> tuple[list[Example], list[Example]]:
    """Return the sentences of Boson for training, and those of its last `count` documents for dev."""
    documents = path.read_text(encoding="utf-8").count("\n")
    train: list[Example] = []
    held_out: list[Example] = []
    for example in mix.boson(path):
        (train if example.line.number <= documents - count else held_out).append(example)
    return train, held_out


def mostly_places(examples: Iterable[Example]) -> frozenset[str]:
    """Return the texts of entities that are places more often than organizations."""
    counts = Counter((example.text[e.start : e.end], e.label) for example in examples for e in example.entities)
    return frozenset(text for text, label in counts if label == "LOC" and counts[text, "LOC"] > counts[text, "ORG"])


def boson_records(examples: Iterable[Example], places: Collection[str]) -> Iterator[dict[str, Any]]:
    """Yield the records of Boson, without ORG and LOC where a place is annotated as an organization."""
    for example in examples:
        texts = {example.text[e.start : e.end] for e in example.entities if BOSON.get(e.label) == "ORG"}
        kept = {"PER", "TIME"} if not texts.isdisjoint(places) else set(BOSON.values())
        yield from mix.relabelled([example], {old: new for old, new in BOSON.items() if new in kept})


def unmarked(examples: Sequence[Example], texts: Collection[str]) -> frozenset[str]:
    """Return those of the texts that are in the examples, and seldom annotated as times."""
    marked = Counter(
        example.text[e.start : e.end] for example in examples for e in example.entities if e.label == "time"
    )
    everything = "\n".join(example.text for example in examples)
    found = ((text, everything.count(text)) for text in texts)
    return frozenset(text for text, count in found if count >= MIN_COUNT and marked[text] < RARE * count)


def silver_times(silver: Sequence[Example], boson: Sequence[Example]) -> Iterator[dict[str, Any]]:
    """Yield silver records whose times are such as those of Boson."""
    texts = {example.text[e.start : e.end] for example in silver for e in example.entities if e.label == "TIME"}
    excluded = unmarked(boson, texts)
    for example in silver:
        times = [e for e in example.entities if e.label == "TIME" and example.text[e.start : e.end] not in excluded]
        yield {**to_record(example.text, [Entity(e.start, e.end, e.label) for e in times]), "labels": ["TIME"]}


def main(data: Path, more: Path, folder: Path, silver: Path | None = None) -> None:
    """Write the dev sets and, with silver annotation, the training set in random order."""
    chance = random.Random(11)
    skip = ErrorPolicy("skip", lambda error: print(error, file=sys.stderr))  # a few sentences have invalid tags
    msra_files = [str(data / "ner/msra/train.txt.zst")]
    found = [e for e in read_examples(msra_files, "conll", on_error=skip) if len(e.text) >= mix.SHORTEST]
    weibo, weibo_dev = (
        list(read_examples([str(data / f"ner/weibo/weiboNER_2nd_conll.{part}")], "weibo", on_error=skip))
        for part in ("train", "dev")
    )
    seen = {example.text for example in weibo}
    weibo_dev = [example for example in weibo_dev if example.text not in seen]
    [boson_file] = (more / "ner" / "boson").iterdir()
    boson, boson_dev = split_boson(boson_file)
    msra, msra_dev = split_msra(found)
    places = mostly_places(msra)
    dev = {
        "msra": list(mix.relabelled(msra_dev, MSRA)),
        "weibo": list(mix.relabelled(weibo_dev, mix.WEIBO)),
        "boson": list(boson_records(boson_dev, places)),
    }
    files = {
        "dev": list(chain.from_iterable(dev.values())),
        **{f"dev-{name}": records for name, records in dev.items()},
    }
    if silver is not None:
        cluener = list(read_examples([str(data / "cluener" / "train.json")], "cluener"))
        times = list(silver_times(list(read_examples([str(silver)])), boson))
        files["train"] = [
            *mix.relabelled(chance.sample(msra, TEXTS["msra"]), MSRA),
            *list(mix.relabelled(weibo, mix.WEIBO)) * 2,
            *boson_records(boson, places),
            *mix.relabelled(chance.sample(cluener, TEXTS["cluener"]), CLUENER),
            *chance.sample(times, TEXTS["silver"]),
        ]
        chance.shuffle(files["train"])
    for name, records in files.items():
        (folder / f"{name}.jsonl").write_bytes(b"".join(map(dump_line, records)))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
