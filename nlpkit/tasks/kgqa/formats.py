r"""Readers of questions with gold answers: nlpkit's own format, KgCLUE and NLPCC-KBQA.

    nlpkit   see `data`
    kgclue   {"question": "刘晓华讲什么课？", "answer": "刘晓华（教授） ||| 主讲课程 ||| 《固体物理》"}
    nlpcc    {"question": "《线性代数》的作者是谁？", "triple": "线性代数 ||| 作者 ||| 王希云"}

Files of kgclue and nlpcc can be mixed: the fields of a record decide. Invalid records are not repaired; each is an
error with file and line that is passed to `on_error`.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from nlpkit.core.formats.annotation import Tally
from nlpkit.core.formats.gold import parsed, shaped_like
from nlpkit.core.io.records import ErrorPolicy, Line, read_json
from nlpkit.errors import UsageError
from nlpkit.tasks.kgqa.data import Example
from nlpkit.tasks.kgqa.graph.triples import split_subject

FORMATS = ("nlpkit", "kgclue", "nlpcc")
SEPARATOR = "|||"


def read_examples(
    paths: Sequence[str],
    format: str = "nlpkit",
    encoding: str = "utf-8",
    on_error: ErrorPolicy | None = None,
    field: str | None = None,
    *,
    tally: Tally | None = None,
) -> Iterator[Example]:
    """Yield questions with their gold triples.

    Args:
        paths: paths of files, plain or compressed; `-` is stdin.
        format: one of `FORMATS`.
        encoding: encoding of the files.
        on_error: error policy for invalid records; raises by default.
        field: name of the field with the question; None for `question`.
        tally: unused, as nothing is dropped or repaired.

    Raises:
        UsageError: unknown format.
        DataError: a record is invalid (unless `on_error` skips it), or a file cannot be read.
    """
    if format not in FORMATS:
        raise UsageError(f"unknown format {format!r}; there are: {', '.join(FORMATS)}")
    on_error = on_error or ErrorPolicy()
    parse = _nlpkit if format == "nlpkit" else _published

    def parse_record(item: tuple[Line, dict[str, Any]]) -> Example:
        line, fields = item
        question = fields.get(field or "question")
        if not isinstance(question, str) or not question.strip():
            raise line.error("no question here, or an empty one; name the field that holds it with --field")
        return parse(line, question, fields)

    return parsed(read_json(paths, encoding, on_error), parse_record, on_error)


def _nlpkit(line: Line, question: str, fields: dict[str, Any]) -> Example:
    shape = '{"question": "…", "answers": [{"subject": "…", "predicate": "…", "objects": ["…"]}]}'
    with shaped_like(line, shape):
        answer = fields["answers"][0]
        values = (answer["subject"], answer.get("meaning", ""), answer["predicate"], answer["objects"][0])
        if not all(isinstance(value, str) for value in values):
            raise TypeError
    return _example(line, question, *values)


def _published(line: Line, question: str, fields: dict[str, Any]) -> Example:
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
