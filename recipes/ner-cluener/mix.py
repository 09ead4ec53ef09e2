"""The training set of the embedded NER model: CLUENER, and other sets whose labels are coarser.

    python recipes/ner-cluener/mix.py DATA MORE SILVER ANSWERS > mix.jsonl

DATA is ../shared/data, MORE the folder where more.tar.xz was unpacked, SILVER the output of silver.py, and ANSWERS that
of `nlpkit ner --threshold 0.05` for the same texts. Records of other sets than CLUENER say with "labels" what they are
annotated with; `nlpkit train ner --group` relates these labels to those of CLUENER.

A silver text has all labels of CLUENER where the model is sure of each of its answers and has one for each name that
LAC found. Otherwise it has those of LAC; but where all of its organizations are known companies, or all of its places
known administrative divisions, the label is `company` or `address`.
"""

import random
import re
import subprocess
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from nlpkit.core.io.records import ErrorPolicy, Line, dump_line, read_lines
from nlpkit.tasks.ner.data import Entity, Example, to_record
from nlpkit.tasks.ner.formats import read_examples

COARSE = {"PER": "PER", "ORG": "ORG", "LOC": "LOC"}
WEIBO = {"PER.NAM": "PER", "ORG.NAM": "ORG", "LOC.NAM": "LOC", "GPE.NAM": "LOC"}
BOSON = {"person_name": "PER", "location": "LOC", "company_name": "company", "org_name": "ORGX"}
SAMPLE = 36_000  # texts of MSRA, and as many silver texts with coarse labels
SHORTEST, LONGEST = 6, 200  # characters of MSRA's texts
SURE = 0.85  # least score of a sure answer
COMPANIES = {"stock_triples": ("股票代码",), "company_industry_triples": ("公司全称",)}  # relations of a company
PLACES = {"agriculture_hudong_attributes": ("行政类别", "政府驻地")}  # relations of an administrative division
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
    annotated = sorted(set(labels.values()))
    for example in examples:
        text = example.text[:LONGEST]
        kept = [Entity(e.start, e.end, labels[e.label]) for e in example.entities if e.label in labels]
        entities = [entity for entity in kept if entity.end <= len(text)]
        yield {**to_record(text, entities), "labels": annotated}


def heads(folder: Path, relations: Mapping[str, Collection[str]]) -> frozenset[str]:
    """Return the heads of triples with certain relations, by file."""
    found = set()
    for file, wanted in relations.items():
        triples = subprocess.run(["zstd", "-dcq", str(folder / f"{file}.tsv.zst")], capture_output=True, check=True)
        for line in triples.stdout.decode().splitlines():
            head, relation, _ = line.split("\t", 2)
            if relation in wanted:
                found.add(head)
    return frozenset(found)


def is_sure(answer: Example, names_found: Iterable[Entity]) -> bool:
    """Return whether all entities of an answer, at least one, have high scores, and one overlaps each name found."""
    found = answer.entities
    sure = bool(found) and all(entity.score >= SURE for entity in found)
    return sure and all(any(e.start < name.end and name.start < e.end for e in found) for name in names_found)


def refined(example: Example, gazetteers: Mapping[str, tuple[str, Collection[str]]]) -> dict[str, Any]:
    """Return a record in which a coarse label is a finer one, if all texts with it are in the gazetteer of that."""
    labels = dict(COARSE)
    for coarse, (fine, gazetteer) in gazetteers.items():
        texts = [example.text[e.start : e.end] for e in example.entities if e.label == coarse]
        if texts and all(text in gazetteer for text in texts):
            labels[coarse] = fine
    return next(relabelled([example], labels))


def silver_records(
    silver: Iterable[Example], answers: Iterable[Example], gazetteers: Mapping[str, tuple[str, Collection[str]]]
) -> Iterator[dict[str, Any]]:
    """Yield the records of silver texts, with the labels of CLUENER or with coarser ones."""
    for example, answer in zip(silver, answers, strict=True):
        if example.text != answer.text:
            raise ValueError(f"{answer.line}: the answers are not those of the silver texts, in their order")
        if is_sure(answer, example.entities):
            yield to_record(answer.text, [Entity(e.start, e.end, e.label) for e in answer.entities])
        else:
            yield refined(example, gazetteers)


def main(data: Path, more: Path, silver: Path, answers: Path) -> None:
    """Write the records to stdout, in random order."""
    chance = random.Random(3)
    fine = [to_record(e.text, e.entities) for e in read_examples([str(data / "cluener" / "train.json")], "cluener")]
    skip = ErrorPolicy("skip", lambda error: print(error, file=sys.stderr))  # a few sentences have invalid tags
    msra_files = [str(data / "ner/msra/train.txt.zst")]
    msra = [e for e in read_examples(msra_files, "conll", on_error=skip) if len(e.text) >= SHORTEST]
    weibo = read_examples([str(data / "ner/weibo/weiboNER_2nd_conll.train")], "weibo", on_error=skip)
    [boson_file] = (more / "ner" / "boson").iterdir()
    gazetteers = {"ORG": ("company", heads(data / "kg", COMPANIES)), "LOC": ("address", heads(data / "kg", PLACES))}
    annotated = list(silver_records(read_examples([str(silver)]), read_examples([str(answers)]), gazetteers))
    coarse = [record for record in annotated if "labels" in record]
    records = [
        *fine * 3,
        *relabelled(chance.sample(msra, SAMPLE), COARSE),
        *(record for record in annotated if "labels" not in record),
        *chance.sample(coarse, SAMPLE),
        *list(relabelled(weibo, WEIBO)) * 2,
        *relabelled(boson(boson_file), BOSON),
    ]
    chance.shuffle(records)
    for record in records:
        sys.stdout.buffer.write(dump_line(record))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
