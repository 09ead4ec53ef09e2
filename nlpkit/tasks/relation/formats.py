"""File formats of relations: nlpkit's own, those of published Chinese datasets, and those of annotation tools.

    nlpkit  see `data`
    duie    {"text": "《三体》的作者是刘慈欣", "spo_list": [{"subject": "三体", "predicate": "作者",
             "object": {"@value": "刘慈欣"}}]}                     DuIE 1.0 (the object is a string) and 2.0, JSON Lines
    cmeie   the same, of CMeIE
    doccano, labelstudio, brat: see `core.formats`

DuIE and CMeIE have no offsets. The spans are the two occurrences of the strings that are closest to each other; where
there are several, the other occurrences are kept as alternatives. Each slot of an object becomes a relation:
{"@value": "楚留香", "inWork": "楚留香新传"} of 饰演 results in 饰演 and 饰演.inWork.
"""

from collections.abc import Collection
from typing import Any, TypeAlias

from nlpkit.core.formats import schema
from nlpkit.core.formats.annotation import Format, Layer, Reader, json_lines
from nlpkit.core.formats.gold import closest_pairs, occurrences, shaped_like
from nlpkit.core.formats.tools import tools
from nlpkit.core.io.records import Line
from nlpkit.tasks.relation.data import Example, Mention, Statement, make_example, to_record
from nlpkit.tasks.relation.exchange import from_annotation, to_annotation

Fields: TypeAlias = dict[str, Any]

_VALUE = "@value"  # the slot for the object itself


def read_schema(path: str, predicates: Collection[str]) -> tuple[str, ...]:
    """Return the predicates of a schema.

    A schema is {"predicate": "作者"} for each predicate, as in DuIE and CMeIE, as JSON Lines or an array. An
    `object_type` with several slots adds a predicate for each slot, as the readers do.

    Args:
        path: of the schema.
        predicates: those of the model.

    Raises:
        DataError: an invalid record, or an unknown predicate.
    """
    included: dict[str, None] = {}
    for line, fields in schema.read_schema(path):
        with shaped_like(line, '{"predicate": "作者", "object_type": {"@value": "人物"}}'):
            predicate, slots = fields["predicate"], fields.get("object_type")
            names = [predicate] + [f"{predicate}.{slot}" for slot in slots or () if isinstance(slots, dict)]
        if predicate not in predicates:
            raise line.error(f"the model has no predicate {predicate}; it has: {', '.join(predicates)}")
        included |= dict.fromkeys(name for name in names if name in predicates)
    return tuple(included)


def parse_record(line: Line, fields: Fields, field: str | None) -> Example:
    """Return the relations of a record of nlpkit's own format."""
    relations = fields.get("relations")
    if not isinstance(relations, list):
        raise line.error('no "relations" here, or not a list; a text without any has "relations": []')
    shape = '{"text": "…", "relations": [{"subject": {"start": 1, "end": 3}, "predicate": "作者", "object": {…}}]}'
    with shaped_like(line, shape):
        statements = [
            Statement(_mention(r["subject"]), r["predicate"], _mention(r["object"]), r.get("score", 1.0))
            for r in relations
        ]
    return make_example(line, fields.get(field or "text"), statements, fields.get("located", True))


def _mention(value: Fields) -> Mention:
    return Mention(value["start"], value["end"], value.get("text"))


def _triples(line: Line, fields: Fields, field: str | None) -> Example:
    if "spo_list" not in fields:
        raise line.error('no "spo_list" here; a test split without gold cannot be used')
    text = fields.get(field or "text")
    statements = []
    with shaped_like(line, '{"text": "…", "spo_list": [{"subject": "…", "predicate": "…", "object": "…"}]}'):
        for triple in fields["spo_list"]:
            slots = triple["object"] if isinstance(triple["object"], dict) else {_VALUE: triple["object"]}
            for slot, other in slots.items():
                if slot == _VALUE or other:  # further slots may be empty
                    predicate = triple["predicate"] if slot == _VALUE else f"{triple['predicate']}.{slot}"
                    statements.append(_locate(line, text, triple["subject"], predicate, other))
    return make_example(line, text, statements, located=False)


def _locate(line: Line, text: Any, subject: str, predicate: str, other: str) -> Statement:
    if not isinstance(text, str):  # an error of `make_example`
        return Statement(Mention(0, 0), predicate, Mention(0, 0))
    pairs = closest_pairs(text, subject, other, limit=1)
    if not pairs:
        missing = subject if not occurrences(text, subject) else other
        raise line.error(f"{missing!r}, of the relation {predicate}, does not occur in the text")
    one, two = pairs[0]
    return Statement(Mention(*one), predicate, Mention(*two))


def _to_record(example: Example, scores: bool) -> Fields:
    return to_record(example.text, example.relations, scores=scores)


FORMATS: dict[str, Format[Example]] = {
    "nlpkit": json_lines(parse_record),
    "duie": json_lines(_triples),
    "cmeie": json_lines(_triples),
    **tools("relations", from_annotation),
}
read_examples = Reader(FORMATS)
LAYER = Layer("relations", FORMATS, parse_record, from_annotation, to_annotation, _to_record)
