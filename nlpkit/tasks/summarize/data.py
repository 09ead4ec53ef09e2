"""Texts with reference summaries: the files that `nlpkit evaluate summarize` reads."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nlpkit.core.io.records import ErrorPolicy, is_json_name, read_lines, read_records


@dataclass(frozen=True, slots=True)
class Example:
    """A text with its reference summary."""

    text: str
    summary: str


def read_examples(
    paths: Sequence[str], encoding: str, on_error: ErrorPolicy, field: str | None = None, summary: str | None = None
) -> Iterator[Example]:
    """Yield the texts of JSON Lines (.jsonl, or with a field), or of lines `text<TAB>summary`.

    Args:
        paths: files, or `-` for stdin.
        encoding: of the files.
        on_error: how to handle invalid records.
        field: of the text; `text` when None.
        summary: field of the summary; `summary` when None.
    """
    for path in paths:
        if field is not None or summary is not None or is_json_name(path):
            named = {"second_field": summary or "summary", "second_option": "--summary"}
            records = read_records([path], field, encoding, on_error, **named)
            yield from (Example(record.text, record.second or "") for record in records)
            continue
        for line in read_lines([path], encoding, on_error):
            text, tab, reference = line.text.rpartition("\t")
            if tab:
                yield Example(text, reference)
            else:
                on_error(line.error("no TAB here; a line is text<TAB>summary, and JSON Lines end in .jsonl"))
