"""A text with its entities in the formats of NER."""

import json

from nlpkit.tasks.ner.data import Entity

TEXT = "叶老桂在浙商银行"
NAME, COMPANY = Entity(0, 3, "name"), Entity(4, 8, "company")
BIO = "B-name I-name I-name O B-company I-company I-company I-company"


def dumped(value, **options):
    return json.dumps(value, ensure_ascii=False, **options)


def columns(tags, text=TEXT, separator="\t"):
    return "".join(f"{char}{separator}{tag}\n" for char, tag in zip(text, tags.split(), strict=True))


def summary(examples):
    return [(e.text, list(e.entities), e.line.number) for e in examples]
