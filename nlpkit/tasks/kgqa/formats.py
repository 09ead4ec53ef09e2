r"""Readers of questions with gold answers: nlpkit's own format, KgCLUE and NLPCC-KBQA.

    nlpkit   see `data`
    kgclue   {"question": "刘晓华讲什么课？", "answer": "刘晓华（教授） ||| 主讲课程 ||| 《固体物理》"}
    nlpcc    {"question": "《线性代数》的作者是谁？", "triple": "线性代数 ||| 作者 ||| 王希云"}

Files of kgclue and nlpcc can be mixed: the fields of a record decide. Invalid records are not repaired; each is an
error with file and line that is passed to `on_error`.
"""

from typing import Any, TypeAlias

from nlpkit.core.formats.annotation import Format, Reader, json_lines
from nlpkit.core.formats.gold import shaped_like
from nlpkit.core.io.records import Line
from nlpkit.tasks.kgqa.data import Example
from nlpkit.tasks.kgqa.graph.triples import split_subject

Fields: TypeAlias = dict[str, Any]

SEPARATOR = "|||"


def _question(line: Line, fields: Fields, field: str | None) -> str:
    question = fields.get(field or "question")
    if not isinstance(question, str) or not question.strip():
        raise line.error("no question here, or an empty one; name the field that holds it with --field")
    return question


def _nlpkit(line: Line, fields: Fields, field: str | None) -> Example:
    question = _question(line, fields, field)
    shape = '{"question": "…", "answers": [{"subject": "…", "predicate": "…", "objects": ["…"]}]}'
    with shaped_like(line, shape):
        answer = fields["answers"][0]
        values = (answer["subject"], answer.get("meaning", ""), answer["predicate"], answer["objects"][0])
        if not all(isinstance(value, str) for value in values):
            raise TypeError
    return _example(line, question, *values)


def _published(line: Line, fields: Fields, field: str | None) -> Example:
    question = _question(line, fields, field)
    triple = fields.get("triple", fields.get("answer"))
    if not isinstance(triple, str):
        raise line.error('neither "answer" nor "triple" here; a test split without gold cannot be used')
    parts = [part.strip() for part in triple.split(SEPARATOR, 2)]
    if len(parts) != 3:
        raise line.error(f"{triple!r} is not subject ||| predicate ||| object")
    return _example(line, question, *split_subject(parts[0]), *parts[1:])


def _example(line: Line, question: str, name: str, sense: str, predicate: str, object_: str) -> Example:
    if not name or not predicate:
        raise line.error("the subject or the predicate is empty")
    return Example(question, name, sense, predicate, object_, line)


FORMATS: dict[str, Format[Example]] = {
    "nlpkit": json_lines(_nlpkit),
    "kgclue": json_lines(_published),
    "nlpcc": json_lines(_published),
}
read_examples = Reader(FORMATS)
