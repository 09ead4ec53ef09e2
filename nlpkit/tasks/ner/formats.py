r"""Readers of gold entities: nlpkit's own format and those in which Chinese NER data are published.

    nlpkit       see `data`
    cluener      {"text": "叶老桂在浙商银行", "label": {"name": {"叶老桂": [[0, 2]]}}}         JSON Lines, end inclusive
    conll        叶<TAB>B-name                  a character and, last, its tag; a blank line after each sentence
    weibo        叶0<TAB>B-PER.NAM              the same, each character with its position in its word
    cmeee        叶老桂在浙商银行|||0    2    name|||4    7    company|||                     end inclusive
    doccano      {"text": "叶老桂在浙商银行", "label": [[0, 3, "name"]]}                       JSON Lines
    labelstudio  [{"data": {"text": "叶老桂"}, "annotations": [{"result": [{"type": "labels",
                   "value": {"start": 0, "end": 3, "labels": ["name"], "text": "叶老桂"}}]}]}]

Nothing is repaired: a record that does not fit is an error with file and line, and `on_error` decides. Files stream,
only a JSON array of Label Studio is loaded whole.
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, TypeAlias

import orjson

from nlpkit.core.gold import parsed, shaped_like
from nlpkit.core.io import Line, OnError, read_json, read_lines
from nlpkit.errors import DataError, UsageError
from nlpkit.tasks.ner.data import Example, Mention, make_example

Fields: TypeAlias = dict[str, Any]
Reader: TypeAlias = Callable[[Sequence[str], str, OnError], Iterator[Example]]
JsonReader: TypeAlias = Callable[[Sequence[str], str, OnError, str | None], Iterator[Example]]

_TAG = re.compile(r"O|([BIMES])[-_](.+)")
_POSITIONED = re.compile(r"(.\D*)[0-9]+")  # `110` is a 1 at position 10 of its word
_LIKE_WEIBO = re.compile(r"\D0 (\D[0-9]+ )+\D[0-9]+")
_CMEEE = re.compile(r"\s*([0-9]{1,9})\s+([0-9]{1,9})\s+(\S+)\s*")


def read_examples(
    paths: Sequence[str],
    format: str = "nlpkit",
    encoding: str = "utf-8",
    on_error: OnError | None = None,
    field: str | None = None,
) -> Iterator[Example]:
    """Texts with their gold entities.

    Args:
        paths: files, or `-` for stdin; compressed ones, too.
        format: one of `FORMATS`.
        encoding: of the files.
        on_error: what to do with a record that does not fit; raises by default.
        field: the one that holds the text, in a JSON format; its usual name when None.

    Raises:
        UsageError: no such format, or one without fields.
        DataError: a record that does not fit (unless `on_error` skips it), or a file that cannot be read.
    """
    on_error = on_error or OnError()
    if format in _JSON:
        return _JSON[format](paths, encoding, on_error, field)
    if format not in _PLAIN:
        raise UsageError(f"unknown format {format!r}; there are: {', '.join(FORMATS)}")
    if field is not None:
        raise UsageError(f"--field {field}: the format {format} is not JSON and has no fields; leave it out")
    return _PLAIN[format](paths, encoding, on_error)


# --- JSON Lines -------------------------------------------------------------------------------------------------------


def _json_lines(parse: Callable[[Line, Fields, str | None], Example]) -> JsonReader:
    def read(paths: Sequence[str], encoding: str, on_error: OnError, field: str | None) -> Iterator[Example]:
        return parsed(read_json(paths, encoding, on_error), lambda item: parse(*item, field), on_error)

    return read


def _nlpkit(line: Line, fields: Fields, field: str | None) -> Example:
    found = fields.get("entities")
    if not isinstance(found, list):
        raise line.error('no "entities" here, or not a list; a text without any has "entities": []')
    with shaped_like(line, '{"text": "叶老桂", "entities": [{"start": 0, "end": 3, "label": "name"}]}'):
        mentions = [Mention(e["start"], e["end"], e["label"], e.get("text"), e.get("score", 1.0)) for e in found]
    return make_example(line, fields.get(field or "text"), mentions)


def _cluener(line: Line, fields: Fields, field: str | None) -> Example:
    if "label" not in fields:
        raise line.error('no "label" here; a test split without gold cannot be used')
    with shaped_like(line, '{"text": "叶老桂", "label": {"name": {"叶老桂": [[0, 2]]}}}'):
        mentions = [
            Mention(start, end + 1, label, mention)
            for label, found in fields["label"].items()
            for mention, spans in found.items()
            for start, end in spans
        ]
    return make_example(line, fields.get(field or "text"), mentions)


def _doccano(line: Line, fields: Fields, field: str | None) -> Example:
    with shaped_like(line, '{"text": "叶老桂", "label": [[0, 3, "name"]]}'):
        match fields:
            case {"label": list(found)} | {"labels": list(found)}:
                mentions = [Mention(start, end, label) for start, end, label in found]
            case {"entities": list(found)}:
                mentions = [Mention(e["start_offset"], e["end_offset"], e["label"]) for e in found]
            case _:
                raise line.error('no list "label", "labels" or "entities" here; export it as JSONL from doccano')
    return make_example(line, fields.get(field or ("text" if "text" in fields else "data")), mentions)


# --- one character a line ---------------------------------------------------------------------------------------------


def _tagged(positions: bool) -> Reader:
    def read(paths: Sequence[str], encoding: str, on_error: OnError) -> Iterator[Example]:
        sentences = (lines for path in paths for lines in _sentences(path, encoding, on_error))
        return parsed(sentences, lambda lines: _sentence(lines, positions), on_error)

    return read


def _sentences(path: str, encoding: str, on_error: OnError) -> Iterator[list[Line]]:
    """The lines of each sentence; one that lost a line to a bad byte, which is reported already, is left out."""
    sentence: list[Line] = []
    errors = on_error.count
    for line in chain(read_lines([path], encoding, on_error), [Line("", path, 0)]):
        if line.text.strip(" \t") and not line.text.startswith("-DOCSTART-"):
            sentence.append(line)
            continue
        if sentence and on_error.count == errors:
            yield sentence
        sentence, errors = [], on_error.count


def _sentence(lines: list[Line], positions: bool) -> Example:
    """Tokens are joined as they are; an entity ends at E- or S-, or before the next O, B- or S-."""
    tokens: list[str] = []
    mentions: list[Mention] = []
    offset, inside, before = 0, None, "none"
    for line in lines:
        token, tag = _columns(line, positions)
        match = _TAG.fullmatch(tag)
        if match is None:
            raise line.error(f"{tag!r} is not a tag of BIO, BIOES or BMES, such as O, B-PER or I-PER")
        prefix, label = match.groups()
        end = offset + len(token)
        if prefix in ("B", "S"):
            mentions.append(Mention(offset, end, label))
        elif prefix is not None:
            if label != inside:
                cure = "an entity starts with B- (or S-)"
                raise line.error(f"{tag} does not continue an entity (the tag before is {before}); {cure}")
            mentions[-1] = mentions[-1]._replace(end=end)
        inside = label if prefix in ("B", "I", "M") else None
        tokens.append(token)
        offset, before = end, tag
    if not positions and _LIKE_WEIBO.fullmatch(" ".join(tokens)):
        raise lines[0].error("each character has a position behind it; this is the format weibo")
    return make_example(lines[0], "".join(tokens), mentions)


def _columns(line: Line, positions: bool) -> tuple[str, str]:
    """The token and the tag, which are the first column and the last; nothing before the tag is a space."""
    text = line.text.rstrip(" \t")
    columns = text.split("\t" if "\t" in text else " ")  # and not at any white space: U+3000 is a token
    if len(columns) == 1:
        raise line.error(f"a character and its tag are expected, this is only {text!r}")
    token = columns[0].strip(" ") or " "
    if positions:
        match = _POSITIONED.fullmatch(token)
        if match is None:
            raise line.error(f"{token!r} is not a character and its position, such as 口0; see the format conll")
        token = match[1]
    return token, columns[-1].strip(" ")


# --- CMeEE ------------------------------------------------------------------------------------------------------------


def _read_cmeee(paths: Sequence[str], encoding: str, on_error: OnError) -> Iterator[Example]:
    lines = (line for line in read_lines(paths, encoding, on_error) if line.text.strip())
    return parsed(lines, _cmeee, on_error)


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


# --- Label Studio -----------------------------------------------------------------------------------------------------


def _read_labelstudio(paths: Sequence[str], encoding: str, on_error: OnError, field: str | None) -> Iterator[Example]:
    tasks = (task for path in paths for task in _tasks(path, encoding, on_error))
    return parsed(tasks, lambda task: _labelstudio(task, field), on_error)


def _tasks(path: str, encoding: str, on_error: OnError) -> Iterator[Line]:
    """The JSON text of each task of an array, which is loaded whole, or of JSON Lines."""
    errors = on_error.count
    lines = read_lines([path], encoding, on_error)
    first = next((line for line in lines if line.text.strip()), None)
    if first is None:
        return
    if not first.text.lstrip().startswith("["):
        yield from (line for line in chain([first], lines) if line.text.strip())
        return
    whole = Line("\n".join(line.text for line in chain([first], lines)), first.source, first.number)
    if on_error.count != errors:
        raise whole.error(f"a JSON array cannot be read without its lines that are not valid {encoding}")
    yield from _array(whole)


def _array(whole: Line) -> Iterator[Line]:
    """The items of a JSON array, each at the line on which it begins."""
    text, number = whole.text, whole.number
    try:
        count = len(orjson.loads(text))
    except orjson.JSONDecodeError as error:
        message = f"not a valid JSON array ({error.msg}, column {error.colno}); export it again"
        raise DataError(message, whole.source, number + error.lineno - 1) from None
    position = text.index("[") + 1
    for _ in range(count):
        start = position
        while text[start] in " \t\r\n,":  # the array is known to be valid
            start += 1
        _, end = json.JSONDecoder().raw_decode(text, start)
        number += text.count("\n", position, start)
        yield Line(text[start:end], whole.source, number)
        number += text.count("\n", start, end)
        position = end


def _labelstudio(line: Line, field: str | None) -> Example:
    shape = '{"data": {"text": "叶老桂"}, "annotations": [{"result": [...]}]}, a task of a JSON export of Label Studio'
    with shaped_like(line, shape):
        task = orjson.loads(line.text)
        text, name = _text_of(task["data"], field), f"task {task.get('id', 'without id')}: "
        done = [annotation for annotation in task["annotations"] if not annotation.get("was_cancelled")]
        regions = [region["value"] for region in done[0]["result"] if region["type"] == "labels"] if done else []
        mentions = [Mention(v["start"], v["end"], label, v.get("text")) for v in regions for label in v["labels"]]
    if not done:
        raise line.error(f"{name}no annotation, or only cancelled ones; export the annotated tasks only")
    try:
        return make_example(line, text, mentions)
    except DataError as error:  # an export is often a single line: its number alone does not lead to the task
        raise line.error(name + error.message) from None


def _text_of(data: Fields, field: str | None) -> str | None:
    """The field that was asked for; else `text`, or the only string."""
    strings = [value for value in data.values() if isinstance(value, str)]
    text = data.get(field or "text", strings[0] if field is None and len(strings) == 1 else None)
    return text if isinstance(text, str) else None


_JSON: dict[str, JsonReader] = {
    "nlpkit": _json_lines(_nlpkit),
    "cluener": _json_lines(_cluener),
    "doccano": _json_lines(_doccano),
    "labelstudio": _read_labelstudio,
}
_PLAIN: dict[str, Reader] = {
    "conll": _tagged(positions=False),
    "weibo": _tagged(positions=True),
    "cmeee": _read_cmeee,
}
FORMATS = (*_JSON, *_PLAIN)
