r"""Tagged tokens: a token and its tag per line, or a sentence and its tags per line.

    叶<TAB>B-name                  a blank line after each sentence; the tag is the last column
    叶 老 桂<TAB>B-name I-name I-name      a sentence per line (MSRA); Paddle separates by \x02 instead of spaces

Tags are BIO (IOB2), BIOES, BMES or BILOU. IOB1, in which an entity begins with I- unless it follows an entity with the
same label, is a format of its own. The text has a space between two tokens if one of them is a word (a token of several
characters) and neither is Chinese: `iPhone 12 Pro`. There is none before punctuation of one character: `Pro,`.
"""

import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import Any

from nlpkit.core.formats.annotation import Annotation, Mark, Render, Sink, Source
from nlpkit.core.formats.gold import parsed
from nlpkit.core.io.records import ErrorPolicy, Line, read_lines
from nlpkit.tasks.ner.data import Example, Mention, make_example

_TAG = re.compile(r"O|([BIMESUL])[-_](.+)", re.DOTALL)
_POSITIONED = re.compile(r"(.\D*)[0-9]+")  # `110` is a 1 at position 10 of its word
_LIKE_WEIBO = re.compile(r"\D0 (\D[0-9]+ )+\D[0-9]+")
_SEVERAL = re.compile(r"[\s,;|]+(O$|[BIMESUL]-)")  # in a label, such as that of B-PER,I-PER
_SPACES = re.compile(" +")
_PADDLE = "\x02"
_HEADER = "text_a\tlabel"
_OPENING, _CLOSING = frozenset("BSU"), frozenset("ESUL")


# --- reading ----------------------------------------------------------------------------------------------------------


def reader(*, positions: bool = False, iob1: bool = False) -> Callable[[Source], Iterator[Example]]:
    """Return a reader of tagged tokens.

    Args:
        positions: whether each token is followed by its position in its word, as in Weibo NER.
        iob1: whether I- may begin an entity.
    """

    def read(source: Source) -> Iterator[Example]:
        groups = (group for path in source.paths for group in _groups(path, source.encoding, source.on_error))
        return parsed(groups, lambda lines: _sentence(lines, positions, iob1), source.on_error)

    return read


def _groups(path: str, encoding: str, on_error: ErrorPolicy) -> Iterator[list[Line]]:
    """Yield the lines of each sentence; a sentence with an invalid line, which was reported already, is omitted.

    From the first line that has a sentence with its tags, each line is a sentence.
    """
    sentence: list[Line] = []
    errors, per_line = on_error.count, False
    for line in chain(read_lines([path], encoding, on_error), [Line("", path, 0)]):
        if line.text.strip(" \t") and not line.text.startswith("-DOCSTART-") and not _is_header(line):
            if not per_line and _sentence_line(line) is not None:
                per_line = True
                yield from ([before] for before in sentence)
                sentence = []
            if per_line:
                yield [line]
            else:
                sentence.append(line)
            continue
        if sentence and on_error.count == errors:
            yield sentence
        sentence, errors = [], on_error.count


def _is_header(line: Line) -> bool:
    return line.number == 1 and line.text.rstrip() == _HEADER


def _sentence_line(line: Line) -> tuple[str, list[str]] | None:
    """Return the text and the tags of a line with several tags, else None."""
    text, tab, last = line.text.rstrip("\t ").rpartition("\t")
    tags = last.split(_PADDLE) if _PADDLE in last else _SPACES.split(last)
    return (text, tags) if tab and len(tags) > 1 and all(map(_TAG.fullmatch, tags)) else None


def _sentence(lines: list[Line], positions: bool, iob1: bool) -> Example:
    """Return the example of a sentence; an entity ends at E-, L-, S- or U-, or before the next O or B-."""
    sentence = _sentence_line(lines[0]) if len(lines) == 1 else None
    if sentence is not None:
        tokens = _tokens(lines[0], *sentence)
        tagged = [(lines[0], token, tag) for token, tag in zip(tokens, sentence[1], strict=True)]
    else:
        tagged = [(line, *_columns(line, positions)) for line in lines]
    if not positions and _LIKE_WEIBO.fullmatch(" ".join(token for _, token, _ in tagged)):
        raise lines[0].error("each character has a position behind it; this is the format weibo")
    text = ""
    mentions: list[Mention] = []
    inside, before, last = None, "none", ""
    for line, token, tag in tagged:
        if _spaced(last, token):
            text += " "
        start, end = len(text), len(text) + len(token)
        prefix, label = _tag(line, tag, iob1)
        if prefix is not None:
            if prefix in _OPENING or (iob1 and label != inside):
                mentions.append(Mention(start, end, label))
            elif label != inside:
                cure = "an entity starts with B- (or S-, U-); for IOB1 pass the format iob1"
                raise line.error(f"{tag} does not continue an entity (the tag before is {before}); {cure}")
            else:
                mentions[-1] = mentions[-1]._replace(end=end)
        inside = label if prefix is not None and prefix not in _CLOSING else None
        text, before, last = text + token, tag, token
    return make_example(lines[0], text, mentions)


def _tag(line: Line, tag: str, iob1: bool) -> tuple[str | None, str | None]:
    match = _TAG.fullmatch(tag)
    if match is None or (iob1 and match[1] not in ("B", "I", None)):
        schemes = "IOB1, such as O, I-PER or B-PER" if iob1 else "BIO, BIOES, BMES or BILOU, such as O, B-PER or I-PER"
        raise line.error(f"{tag!r} is not a tag of {schemes}")
    if match[2] and _SEVERAL.search(match[2]):
        raise line.error(f"{tag!r} looks like several tags; separate them, and the tokens, by spaces or \\x02")
    return match[1], match[2]


def _tokens(line: Line, text: str, tags: list[str]) -> list[str]:
    """Return the tokens of a text, separated as the tags or by characters."""
    tokens = text.split(_PADDLE) if _PADDLE in text else _SPACES.split(text.strip(" "))
    if len(tokens) != len(tags) and len(text) == len(tags) and _PADDLE not in text:
        tokens = list(text)
    if len(tokens) != len(tags) or not all(tokens):
        raise line.error(f"{len(tokens)} tokens, but {len(tags)} tags; both are separated by spaces, or both by \\x02")
    return tokens


def _columns(line: Line, positions: bool) -> tuple[str, str]:
    """Return the token and the tag: the first and the last column; an empty token is a space."""
    text = line.text.rstrip(" \t")
    columns = text.split("\t" if "\t" in text else " ")  # not at other white space: U+3000 is a token
    if len(columns) == 1:
        raise line.error(f"a character and its tag are expected, this is only {text!r}")
    token = columns[0].strip(" ") or " "
    if positions:
        match = _POSITIONED.fullmatch(token)
        if match is None:
            raise line.error(f"{token!r} is not a character and its position, such as 口0; see the format conll")
        token = match[1]
    return token, columns[-1].strip(" ")


def _spaced(one: str, other: str) -> bool:
    """Return whether there is a space between two tokens."""
    if not one or not other or (len(one) == 1 and len(other) == 1):
        return False
    return all(_is_word(token) for token in (one, other)) and not _is_wide(one[-1]) and not _is_wide(other[0])


def _is_word(token: str) -> bool:
    """Return whether a token is separated by spaces: a letter, a digit, or several characters."""
    return not token.isspace() and (len(token) > 1 or token.isalnum())


def _is_wide(char: str) -> bool:
    """Return whether a character is Chinese or full-width."""
    return unicodedata.east_asian_width(char) in "WF" or not (char.isascii() or char.isalnum())


# --- writing ----------------------------------------------------------------------------------------------------------


def writer(scheme: str) -> Render:
    """Return a writer of one character and its tag per line, in the scheme `bio` or `bioes`."""

    def write(annotation: Annotation, sink: Sink) -> bytes:
        """Return a sentence; of overlapping entities the longest is kept and the others are counted.

        Raises:
            DataError: an empty text, or a character or label that cannot be a column.
        """
        text, line = annotation.text, annotation.line
        if not text:
            raise line.error("an empty text; conll cannot hold it")
        for char in text:
            if char in "\n\r\t\ufeff":
                raise line.error(f"the text has the character {char!r}, which conll cannot hold; take it out")
        for mark in annotation.entities or ():
            _check_label(line, mark.label)
        tags = ["O"] * len(text)
        for mark in _flat(annotation, sink):
            length = mark.end - mark.start
            prefixes = "B" + "I" * (length - 1)
            if scheme == "bioes":
                prefixes = "S" if length == 1 else f"B{'I' * (length - 2)}E"
            tags[mark.start : mark.end] = [f"{prefix}-{mark.label}" for prefix in prefixes]
        return "".join(f"{char}\t{tag}\n" for char, tag in zip(text, tags, strict=True)).encode() + b"\n"

    return write


def _flat(annotation: Annotation, sink: Sink) -> Iterable[Mark]:
    """Return entities without overlaps; preferred are the longest, then the first."""
    entities = sorted(annotation.entities or (), key=lambda mark: (mark.start - mark.end, mark.start, mark.label))
    taken = bytearray(len(annotation.text))
    kept = []
    for mark in entities:
        if not any(taken[mark.start : mark.end]):
            taken[mark.start : mark.end] = b"\x01" * (mark.end - mark.start)
            kept.append(mark)
    why = "tags cannot hold {them} beside a longer one that overlaps"
    sink.tally.drop("entity", why, annotation.line, len(entities) - len(kept))
    return kept


def _check_label(line: Line, label: Any) -> None:
    """Check that a reader gets the same label from the tag."""
    tag = f"B-{label}"
    as_line = Line(f"x\t{tag}", "", 0)
    fits = (
        _sentence_line(as_line) is None
        and _columns(as_line, False) == ("x", tag)
        and not set(label) & set("\n\r\ufeff")
    )
    if not fits or _SEVERAL.search(label):
        raise line.error(f"the label {label!r} has white space that tags cannot hold, or looks like tags; rename it")
