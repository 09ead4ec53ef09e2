r"""Readers of gold answers: nlpkit's own format, KgCLUE and NLPCC-KBQA.

    nlpkit   see `data`
    kgclue   {"question": "刘晓华讲什么课？", "answer": "刘晓华（教授） ||| 主讲课程 ||| 《固体物理》"}
    nlpcc    {"question": "《线性代数》的作者是谁？", "triple": "线性代数 ||| 作者 ||| 王希云"}

Files of kgclue and nlpcc may be given together: each line is known by its field. Nothing is repaired: a record that
does not fit is an error with file and line, and `on_error` decides.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from nlpkit.core.formats.gold import parsed, shaped_like
from nlpkit.core.io.records import Line, OnError, read_json
from nlpkit.errors import UsageError
from nlpkit.tasks.kgqa.data import Example
from nlpkit.tasks.kgqa.graph.triples import split_subject

FORMATS = ("nlpkit", "kgclue", "nlpcc")
SEPARATOR = "|||"


def read_examples(
    paths: Sequence[str],
    format: str = "nlpkit",
    encoding: str = "utf-8",
    on_error: OnError | None = None,
    field: str | None = None,
) -> Iterator[Example]:
    """Questions with their gold triples.

    Args:
        paths: files, or `-` for stdin; compressed ones, too.
        format: one of `FORMATS`.
        encoding: of the files.
        on_error: what to do with a record that does not fit; raises by default.
        field: the one that holds the question; `question` when None.

    Raises:
        UsageError: no such format.
        DataError: a record that does not fit (unless `on_error` skips it), or a file that cannot be read.
    """
    if format not in FORMATS:
        raise UsageError(f"unknown format {format!r}; there are: {', '.join(FORMATS)}")
    on_error = on_error or OnError()
    parse = _nlpkit if format == "nlpkit" else _published

    def one(item: tuple[Line, dict[str, Any]]) -> Example:
        line, fields = item
        question = fields.get(field or "question")
        if not isinstance(question, str) or not question.strip():
            raise line.error("no question here, or an empty one; name the field that holds it with --field")
        return parse(line, question, fields)

    return parsed(read_json(paths, encoding, on_error), one, on_error)


def _nlpkit(line: Line, question: str, fields: dict[str, Any]) -> Example:
    shape = '{"question": "…", "answers": [{"subject": "…", "predicate": "…", "objects": ["…"]}]}'
    with shaped_like(line, shape):
        answer = fields["answers"][0]
        parts = (answer["subject"], answer.get("meaning", ""), answer["predicate"], answer["objects"][0])
        if not all(isinstance(part, str) for part in parts):
            raise TypeError
    return _checked(line, question, *parts)


def _published(line: Line, question: str, fields: dict[str, Any]) -> Example:
    said = fields.get("triple", fields.get("answer"))
    if not isinstance(said, str):
        raise line.error('neither "answer" nor "triple" here; a test split without gold cannot be used')
    parts = [part.strip() for part in said.split(SEPARATOR, 2)]
    if len(parts) != 3:
        raise line.error(f"{said!r} is not subject ||| predicate ||| object")
    return _checked(line, question, *split_subject(parts[0]), *parts[1:])


def _checked(line: Line, question: str, name: str, meaning: str, predicate: str, object_: str) -> Example:
    if not name or not predicate:
        raise line.error("the subject or the predicate is empty")
    return Example(question, name, meaning, predicate, object_, line)
