"""The training set of the embedded NER model: CLUENER, and other sets whose labels are coarser.

    python recipes/ner-cluener/mix.py DATA MORE SILVER > mix.jsonl

DATA is ../shared/data, MORE the folder where more.tar.xz was unpacked, SILVER the output of silver.py. Records of other
sets than CLUENER say with "labels" what they are annotated with; `nlpkit train ner --group` relates these labels to
those of CLUENER.
"""

import random
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from nlpkit.core.io.records import Line, dump_line, read_lines
from nlpkit.tasks.ner.data import Entity, Example, to_record
from nlpkit.tasks.ner.formats import read_examples

COARSE = {"PER": "PER", "ORG": "ORG", "LOC": "LOC"}
WEIBO = {"PER.NAM": "PER", "ORG.NAM": "ORG", "LOC.NAM": "LOC", "GPE.NAM": "LOC"}
BOSON = {"person_name": "PER", "location": "LOC", "company_name": "company", "org_name": "ORGX"}
SAMPLE = 36_000  # texts of MSRA and of the silver annotation, each
SHORTEST, LONGEST = 6, 200  # characters of MSRA's texts
_MENTION = re.compile(r"\{\{(\w+):(.*?)\}\}")


def boson(path: Path) -> Iterator[Example]:
    """Yield the sentences of Boson: `{{label:mention}}` in the text."""
    for line in read_lines([str(path)]):
        source, entities, text, end = line.text.replace("\\n", ""), [], "", 0
        for match in _MENTION.finditer(source):
            text += source[end : match.start()]
            entities.append((len(text), len(text + match[2]), match[1]))
            text, end = text + match[2], match.end()
        yield from sentences(text + source[end:], entities, line)


def sentences(text: str, entities: list[tuple[int, int, str]], line: Line) -> Iterator[Example]:
    """Yield the sentences of a text of at least 8 characters, with the entities inside."""
    for match in re.finditer(r"[^。！？]+[。！？]?", text):
        start, end = match.span()
        if end - start >= 8:
            inside = (Entity(a - start, b - start, label) for a, b, label in entities if start <= a and b <= end)
            yield Example(match[0], tuple(inside), line)


def relabelled(examples: Iterable[Example], labels: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Yield records with other labels, less the entities whose label is not among them."""
    names = sorted(set(labels.values()))
    for example in examples:
        text = example.text[:LONGEST]
        kept = [Entity(e.start, e.end, labels[e.label]) for e in example.entities if e.label in labels]
        entities = [entity for entity in kept if entity.end <= len(text)]
        yield {**to_record(text, entities), "labels": names}


def main(data: Path, more: Path, silver: Path) -> None:
    """Write the records to stdout, in random order."""
    chance = random.Random(3)
    fine = [to_record(e.text, e.entities) for e in read_examples([str(data / "cluener" / "train.json")], "cluener")]
    msra = [e for e in read_examples([str(data / "ner/msra/train.txt.zst")], "conll") if len(e.text) >= SHORTEST]
    weibo = read_examples([str(data / "ner/weibo/weiboNER_2nd_conll.train")], "weibo")
    [boson_file] = (more / "ner" / "boson").iterdir()
    samples = [chance.sample(list(source), SAMPLE) for source in (msra, read_examples([str(silver)]))]
    records = [
        *fine * 3,
        *(record for sample in samples for record in relabelled(sample, COARSE)),
        *list(relabelled(weibo, WEIBO)) * 2,
        *relabelled(boson(boson_file), BOSON),
    ]
    chance.shuffle(records)
    for record in records:
        sys.stdout.buffer.write(dump_line(record))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
