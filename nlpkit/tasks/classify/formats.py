r"""File formats of labelled texts.

    nlpkit     see `data`; JSON Lines, with --field, --label and --pair the names of the fields
    clue       {"sentence": "…", "label": "102", "label_desc": "news_entertainment"}     one text, as tnews, iflytek
               {"sentence1": "…", "sentence2": "…", "label": "entailment"}               pairs, as afqmc, ocnli, cmnli
    tsv        text<TAB>label
    label-tsv  label<TAB>text
    pair-tsv   first text<TAB>second text<TAB>label
    fasttext   __label__sport __label__news text
    csv        a table with the names of its columns in the first line, separated by commas or tabs

The label of CLUE is its description where there is one. Records of clue with the label "-" (no majority of the
annotators) are dropped and counted. fastText texts are multi-label if any has another number of labels than one.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, TypeAlias

from nlpkit.core.formats.annotation import Format, Reader, Source, Tally
from nlpkit.core.formats.gold import parsed
from nlpkit.core.io.records import Line, field_names, read_json, read_lines
from nlpkit.core.io.tables.rows import read_rows
from nlpkit.errors import DataError
from nlpkit.tasks.classify.data import Example, make_example
from nlpkit.tasks.classify.data import to_record as to_record

Fields: TypeAlias = dict[str, Any]

_FASTTEXT = "__label__"
_NO_MAJORITY = "-"


# --- JSON Lines -------------------------------------------------------------------------------------------------------


def _read_own(source: Source) -> Iterator[Example]:
    items = read_json(source.paths, source.encoding, source.on_error)
    return parsed(items, lambda item: _from_fields(*item, source), source.on_error)


def _from_fields(line: Line, fields: Fields, source: Source) -> Example:
    """Return the example of named fields."""
    name = source.label or ("label" if "label" in fields else "labels")
    if name not in fields:
        missing = repr(source.label) if source.label else "'label' and no field 'labels'"
        raise line.error(f"no field {missing} here (there are: {field_names(fields)}); name it with --label")
    text = fields.get(source.field or "text")
    second = None if source.pair is None else fields.get(source.pair)
    return make_example(line, text, fields[name], second, pair=source.pair is not None)


def _read_clue(source: Source) -> Iterator[Example]:
    items = read_json(source.paths, source.encoding, source.on_error)

    def labelled() -> Iterator[tuple[Line, Fields]]:
        for line, fields in items:
            if fields.get("label") == _NO_MAJORITY:
                source.tally.drop("record", "its label is -, without a majority of the annotators", line)
            else:
                yield line, fields

    return parsed(labelled(), lambda item: _clue(*item), source.on_error)


def _clue(line: Line, fields: Fields) -> Example:
    label = fields.get("label_desc", fields.get("label_des", fields.get("label")))
    if label is None:
        raise line.error('no "label" here; a test split without gold cannot be used')
    if "sentence1" in fields:
        return make_example(line, fields["sentence1"], label, fields.get("sentence2"), pair=True)
    if "sentence" not in fields:
        raise line.error(
            'neither "sentence" nor "sentence1" here; it is not a record of tnews, iflytek, afqmc or ocnli'
        )
    return make_example(line, fields["sentence"], label)


# --- lines ------------------------------------------------------------------------------------------------------------


def _by_line(parse: Callable[[Line, Tally], Example]) -> Format[Example]:
    """Return a format of lines; blank ones are skipped."""

    def read(source: Source) -> Iterator[Example]:
        lines = (line for line in read_lines(source.paths, source.encoding, source.on_error) if line.text.strip())
        return parsed(lines, lambda line: parse(line, source.tally), source.on_error)

    return Format(read)


def _tsv(line: Line, tally: Tally) -> Example:
    text, tab, label = line.text.rpartition("\t")
    if not tab:
        raise line.error("no TAB here; a line is text<TAB>label")
    if "\t" in text:
        tally.warn("text", "has a TAB itself; pairs of texts are read with --format pair-tsv", line)
    return make_example(line, text, label)


def _label_tsv(line: Line, tally: Tally) -> Example:
    label, tab, text = line.text.partition("\t")
    if not tab:
        raise line.error("no TAB here; a line is label<TAB>text")
    return make_example(line, text, label)


def _pair_tsv(line: Line, tally: Tally) -> Example:
    columns = line.text.split("\t")
    if len(columns) != 3:
        raise line.error(f"{len(columns)} column(s); a line is first text<TAB>second text<TAB>label")
    return make_example(line, columns[0], columns[2], columns[1], pair=True)


def _read_fasttext(source: Source) -> Iterator[Example]:
    lines = (line for line in read_lines(source.paths, source.encoding, source.on_error) if line.text.strip())
    found = list(parsed(lines, _fasttext, source.on_error))
    if any(len(example.labels) != 1 for example in found):
        found = [replace(example, multiple=True) for example in found]
    return iter(found)


def _fasttext(line: Line) -> Example:
    words = line.text.split(" ")
    count = next((index for index, word in enumerate(words) if not word.startswith(_FASTTEXT)), len(words))
    labels = [word.removeprefix(_FASTTEXT) for word in words[:count]]
    example = make_example(line, " ".join(words[count:]), labels)
    return replace(example, multiple=False)


def _read_csv(source: Source) -> Iterator[Example]:
    for path in source.paths:
        rows = _rows(path, source)
        first = next(rows, None)
        if first is None:
            continue
        header, names = first
        needed = [source.field or "text", source.label or "label", *([source.pair] if source.pair else [])]
        for name, option in zip(needed, ("--field", "--label", "--pair"), strict=False):
            if name not in names:
                raise header.error(f"no column {name!r} (there are: {field_names(names)}); name it with {option}")

        def example(item: tuple[Line, list[str]], names: list[str] = names) -> Example:
            line, cells = item
            if len(cells) != len(names):
                raise line.error(f"{len(cells)} columns, but the first line has {len(names)}")
            return _from_fields(line, dict(zip(names, cells, strict=True)), source)

        yield from parsed(rows, example, source.on_error)


def _rows(path: str, source: Source) -> Iterator[tuple[Line, list[str]]]:
    """Yield the rows of a table; with a tab in the first line, cells have no quotes."""
    lines = read_lines([path], source.encoding, source.on_error)
    first = next(lines, None)
    if first is None:
        raise DataError("the file is empty; a table has the names of its columns in the first line", path)
    if "\t" in first.text:
        yield first, first.text.split("\t")
        yield from ((line, line.text.split("\t")) for line in lines if line.text.strip())
    else:
        yield from read_rows(_chained(first, lines), source.on_error)


def _chained(first: Line, rest: Iterator[Line]) -> Iterator[Line]:
    yield first
    yield from rest


# --- the table --------------------------------------------------------------------------------------------------------


_NAMED = frozenset({"field", "label", "pair"})
FORMATS: dict[str, Format[Example]] = {
    "nlpkit": Format(_read_own, _NAMED),
    "clue": Format(_read_clue),
    "tsv": _by_line(_tsv),
    "label-tsv": _by_line(_label_tsv),
    "pair-tsv": _by_line(_pair_tsv),
    "fasttext": Format(_read_fasttext),
    "csv": Format(_read_csv, _NAMED),
}
read_examples = Reader(FORMATS)
