r"""File formats of entities: nlpkit's own, those of published Chinese datasets, and those of annotation tools.

    nlpkit       see `data`
    cluener      {"text": "叶老桂在浙商银行", "label": {"name": {"叶老桂": [[0, 2]]}}}         JSON Lines, end inclusive
    doccano      see `core.formats.doccano`
    labelstudio  see `core.formats.labelstudio`
    brat         see `core.formats.brat`
    conll        叶<TAB>B-name                  a token and, in the last column, its tag; see `conll`
    bioes        the same, written with tags BIOES
    iob1         the same, where I- may begin an entity
    weibo        叶0<TAB>B-PER.NAM              as conll; each character is followed by its position in its word
    cmeee        叶老桂在浙商银行|||0    2    name|||4    7    company|||                     end inclusive

An invalid record is an error with file and line, which `on_error` handles; a `Tally` counts dropped and repaired
annotations. Files are read as a stream, except JSON arrays of Label Studio.
"""

import re
from collections.abc import Iterator
from typing import Any, TypeAlias

from nlpkit.core.formats.annotation import Annotation, Format, Layer, Reader, Sink, Source, json_lines
from nlpkit.core.formats.gold import parsed, shaped_like
from nlpkit.core.formats.tools import tools
from nlpkit.core.io.records import Line, read_lines
from nlpkit.tasks.ner import conll
from nlpkit.tasks.ner.data import Example, Mention, make_example, to_record
from nlpkit.tasks.ner.exchange import from_annotation, to_annotation

Fields: TypeAlias = dict[str, Any]

_CMEEE = re.compile(r"\s*([0-9]{1,9})\s+([0-9]{1,9})\s+(\S+)\s*")


# --- JSON Lines -------------------------------------------------------------------------------------------------------


def parse_record(line: Line, fields: Fields, field: str | None) -> Example:
    """Return the entities of a record of nlpkit's own format."""
    entities = fields.get("entities")
    if not isinstance(entities, list):
        raise line.error('no "entities" here, or not a list; a text without any has "entities": []')
    with shaped_like(line, '{"text": "叶老桂", "entities": [{"start": 0, "end": 3, "label": "name"}]}'):
        mentions = [Mention(e["start"], e["end"], e["label"], e.get("text"), e.get("score", 1.0)) for e in entities]
    return make_example(line, fields.get(field or "text"), mentions, fields.get("labels"))


def _cluener(line: Line, fields: Fields, field: str | None) -> Example:
    if "label" not in fields:
        raise line.error('no "label" here; a test split without gold cannot be used')
    with shaped_like(line, '{"text": "叶老桂", "label": {"name": {"叶老桂": [[0, 2]]}}}'):
        mentions = [
            Mention(start, end + 1, label, mention)
            for label, entities in fields["label"].items()
            for mention, spans in entities.items()
            for start, end in spans
        ]
    return make_example(line, fields.get(field or "text"), mentions)


# --- CMeEE ------------------------------------------------------------------------------------------------------------


def _read_cmeee(source: Source) -> Iterator[Example]:
    lines = (line for line in read_lines(source.paths, source.encoding, source.on_error) if line.text.strip())
    return parsed(lines, _cmeee, source.on_error)


def _cmeee(line: Line) -> Example:
    text, *parts = line.text.split("|||")
    if not parts:
        raise line.error("no ||| here; a test split without gold cannot be used")
    if parts.pop().strip():
        raise line.error("the line does not end with |||; it may have been cut")
    mentions = []
    for part in parts:
        match = _CMEEE.fullmatch(part)
        if match is None:
            raise line.error(f"{part!r} is not an annotation; one looks like 3    7    dis")
        mentions.append(Mention(int(match[1]), int(match[2]) + 1, match[3]))
    return make_example(line, text, mentions)


def _write_cmeee(annotation: Annotation, sink: Sink) -> bytes:
    """Return a line of CMeEE.

    Raises:
        DataError: the text or a label has characters with a meaning in the format.
    """
    text, line = annotation.text, annotation.line
    if f"{text}|||".index("|||") != len(text) or text.startswith("\ufeff") or set(text) & set("\n\r"):
        raise line.error("the text has a line end, ||| or a byte order mark, or ends with |; cmeee cannot hold it")
    parts = []
    for mark in annotation.entities or ():
        if re.fullmatch(r"\S+", mark.label) is None or "|" in mark.label:
            raise line.error(f"the label {mark.label!r} has white space or |, which cmeee cannot hold; rename it")
        parts.append(f"{mark.start}    {mark.end - 1}    {mark.label}|||")
    return f"{text}|||{''.join(parts)}\n".encode()


# --- the table --------------------------------------------------------------------------------------------------------


def _to_record(example: Example, scores: bool) -> Fields:
    return to_record(example.text, example.entities, scores=scores)


_ENTITIES = frozenset({"entities"})
FORMATS: dict[str, Format[Example]] = {
    "nlpkit": json_lines(parse_record),
    "cluener": json_lines(_cluener),
    **tools("entities", from_annotation),
    "conll": Format(conll.reader(), write=conll.writer("bio"), holds=_ENTITIES),
    "bioes": Format(conll.reader(), write=conll.writer("bioes"), holds=_ENTITIES),
    "iob1": Format(conll.reader(iob1=True)),
    "weibo": Format(conll.reader(positions=True)),
    "cmeee": Format(_read_cmeee, write=_write_cmeee, holds=_ENTITIES),
}
read_examples = Reader(FORMATS)
LAYER = Layer("entities", FORMATS, parse_record, from_annotation, to_annotation, _to_record)
