"""Scored sentence pairs, read for evaluation and for CoSENT.

    今天天气不错	天气真好	4                                                     sentence1 TAB sentence2 TAB score
    {"sentence1": "今天天气不错", "sentence2": "天气真好", "score": 4}             the same as JSON Lines

Only the order of scores inside a file counts: 0/1, 0 to 5, or entailment, neutral, contradiction (2, 1, 0). Published
JSON is read as it is: `label` instead of `score` (OCNLI, QBQTC, SimCLUE's pairs), `query` and `title` instead of the
sentences, and SimCLUE's triplets {"query", "title", "neg_title"}, each of which gives two pairs, with scores 1 and 0.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nlpkit.core.formats.gold import parsed
from nlpkit.core.io.records import ErrorPolicy, Line, is_json_name, read_json, read_lines, read_records

NLI = {"contradiction": 0.0, "neutral": 1.0, "entailment": 2.0}
SHAPE = "sentence1<TAB>sentence2<TAB>score"
_PAIRS = (("sentence1", "sentence2"), ("query", "title"))
_TRIPLET = ("query", "title", "neg_title")


@dataclass(frozen=True, slots=True)
class Pair:
    """Two sentences, their score, and their place in the file."""

    first: str
    second: str
    score: float
    line: Line

    @property
    def text(self) -> str:
        """Both sentences, as training text for a vocabulary."""
        return f"{self.first}\n{self.second}"


def read_pairs(
    paths: Sequence[str], encoding: str = "utf-8", on_error: ErrorPolicy | None = None, unscored: float | None = None
) -> Iterator[Pair]:
    """Yield the pairs of TSV files, and of JSON Lines if the name ends in .jsonl or .json.

    Args:
        paths: files, or `-` for stdin.
        encoding: of the files.
        on_error: what to do with a bad record.
        unscored: score of pairs in JSON that have none; an error when None.

    Raises:
        DataError: a line is no pair, or its score is neither a number nor an NLI label.
    """
    on_error = on_error or ErrorPolicy()
    for path in paths:
        if is_json_name(path):
            for pairs in parsed(
                read_json([path], encoding, on_error), lambda item: _from_json(*item, unscored), on_error
            ):
                yield from pairs
        else:
            lines = (line for line in read_lines([path], encoding, on_error) if line.text.strip())
            yield from parsed(lines, _from_line, on_error)


def read_versions(
    paths: Sequence[str], encoding: str = "utf-8", on_error: ErrorPolicy | None = None, field: str | None = None
) -> Iterator[Pair]:
    """Yield the training pairs of SimCSE: each has two versions of one sentence.

    A line of plain text (or the `text` of JSON Lines) is paired with itself; blank lines are skipped. From files of
    pairs, .tsv or JSON with their fields, the pairs with the highest score of the file are taken. With a `field`, all
    files are JSON Lines with a sentence in it.
    """
    on_error = on_error or ErrorPolicy()
    for path in paths:
        if field is None and holds_pairs(path, encoding):
            pairs = list(read_pairs([path], encoding, on_error, unscored=1.0))
            best = max((pair.score for pair in pairs), default=0.0)
            yield from (pair for pair in pairs if pair.score == best)
        else:
            for record in read_records([path], field, encoding, on_error):
                if record.text.strip():
                    yield Pair(record.text, record.text, 1.0, record.line)


def holds_pairs(path: str, encoding: str = "utf-8") -> bool:
    """Return whether a file has pairs: a .tsv, or JSON whose first record has no `text`."""
    if not is_json_name(path):
        return ".tsv" in Path(path).suffixes
    _, record = next(read_json([path], encoding), (None, {"text": ""}))
    return "text" not in record


def _from_line(line: Line) -> Pair:
    columns = line.text.split("\t")
    if len(columns) != 3 and line.text.lstrip().startswith("{"):
        raise line.error(f"JSON where {SHAPE} is expected; give JSON Lines as a file whose name ends in .jsonl")
    if len(columns) != 3:
        raise line.error(f"{len(columns)} column(s) where {SHAPE} are expected; cut -f picks columns of a wider table")
    return _pair(line, columns[0], columns[1], columns[2])


def _from_json(line: Line, record: dict[str, Any], unscored: float | None) -> list[Pair]:
    if all(name in record for name in _TRIPLET):
        query, title, other = (record[name] for name in _TRIPLET)
        return [_pair(line, query, title, 1), _pair(line, query, other, 0)]
    score = record.get("score", record.get("label", unscored))
    for first, second in _PAIRS:
        if first in record and second in record and score is not None:
            return [_pair(line, record[first], record[second], score)]
    raise line.error(f'not a record like {{"sentence1": …, "sentence2": …, "score": …}}; it has {", ".join(record)}')


def _pair(line: Line, first: Any, second: Any, score: Any) -> Pair:
    if not isinstance(first, str) or not isinstance(second, str):
        raise line.error("a sentence is not a string")
    return Pair(first, second, _number(line, score), line)


def _number(line: Line, score: Any) -> float:
    if isinstance(score, str) and score.strip().lower() in NLI:
        return NLI[score.strip().lower()]
    try:
        value = math.nan if isinstance(score, bool) else float(score)
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise line.error(f"the score {score!r} is neither a number nor one of {', '.join(NLI)}")
    return value
