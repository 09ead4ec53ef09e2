"""Wrapping of Chinese text by cells: a Chinese character is two cells wide, and a line may end behind most of them."""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from unicodedata import category, east_asian_width

# the part of the line breaking rules (UAX 14) that Chinese text needs
_JOINER = "\u2060"  # Unicode's word joiner
_NOT_FIRST = frozenset(_JOINER + "，。；：、！？）》」』】〉”’…—,.;:!?)]}%")
_NOT_LAST = frozenset(_JOINER + "（《「『【〈“‘([{")
_PIECES = re.compile(r"(\s*)([^\s\u1100-\uffff]+|\S)")  # a Latin word with its punctuation, or one wide character

_SHELL_WORDS = re.compile(r"""(?:'[^']*'|"[^"]*"|[^\s'"])+""")
_OPERATORS = ("|", "&&")


def cells(text: str) -> int:
    """Return the number of terminal cells that a text occupies."""
    return sum(_cells(character) for character in text)


def wrap(text: str, width: int) -> list[str]:
    """Return the text as lines of at most `width` cells; words longer than a line are cut."""
    lines, used = [""], 0  # cells of the last line
    for space, word in _words(text):
        gap, size = " " if space and lines[-1] else "", cells(word)
        if lines[-1] and used + len(gap) + size > width:
            lines.append("")
            gap, used = "", 0
        lines[-1] += gap + word
        used += len(gap) + size
        while used > width:
            end = _prefix(lines[-1], width)
            lines[-1:] = [lines[-1][:end], lines[-1][end:]]
            used = cells(lines[-1])
    return [line.replace(_JOINER, "") for line in lines]


def unbroken(text: str) -> str:
    """Return the text for `wrap` with no place to break but its spaces."""
    return _JOINER.join(text)


def wrap_command(line: str, width: int) -> list[str]:
    r"""Return a shell command as lines of at most `width` cells that still are one command.

    It is broken behind `|` and `&&`, and where that is not enough before an option, with a backslash; never in quotes.
    """
    if cells(line) <= width:
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    lines: list[str] = []
    for stage in _grouped(_SHELL_WORDS.findall(line), lambda last, word: last not in _OPERATORS):
        for part in (
            [stage] if cells(f"{indent}  {stage}") <= width else _grouped(_SHELL_WORDS.findall(stage), _is_value)
        ):
            if lines and cells(f"{lines[-1]} {part}") <= width - 2:
                lines[-1] += f" {part}"
            else:
                if lines and not lines[-1].endswith(_OPERATORS):
                    lines[-1] += " \\"
                lines.append(f"{indent}  {part}" if lines else f"{indent}{part}")
    return lines


def _grouped(words: Iterable[str], belongs: Callable[[str, str], bool]) -> list[str]:
    """Return words joined by spaces where `belongs(last, word)`."""
    groups: list[list[str]] = []
    for word in words:
        if groups and belongs(groups[-1][-1], word):
            groups[-1].append(word)
        else:
            groups.append([word])
    return [" ".join(group) for group in groups]


def _is_value(last: str, word: str) -> bool:
    return last.startswith("-") and not word.startswith("-")


def _words(text: str) -> Iterator[tuple[bool, str]]:
    """Yield what a line may not break, with whether a space is before it."""
    space, word = False, ""
    for match in _PIECES.finditer(text):
        before, piece = bool(match[1]), match[2]
        if word and not before and (piece[0] in _NOT_FIRST or word[-1] in _NOT_LAST):
            word += piece
            continue
        if word:
            yield space, word
        space, word = before, piece
    if word:
        yield space, word


def _prefix(text: str, width: int) -> int:
    """Return the number of characters that fit into the width, at least one."""
    used = 0
    for index, character in enumerate(text):
        used += _cells(character)
        if used > width and index:
            return index
    return len(text)


@cache
def _cells(character: str) -> int:
    if category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if east_asian_width(character) in "WF" else 1
