"""The Chinese of every text that the command line shows, looked up when it is shown.

The files in `zh/` map English to Chinese: help, messages, and in `frames.json` what is around a message. `{}` in both
stands for a value, such as a file name, which is copied. `{~}` stands for a value that is itself translated, such as
the message of `error: {}`. A number, as in `{1}` and `{1~}`, gives the value of another place, as Chinese often has
another order.
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from itertools import islice
from pathlib import Path

FOLDER = Path(__file__).parent / "zh"
FRAMES = "frames.json"
FILES = (FRAMES, "help.json", "messages.json")
PLACE = re.compile(r"\{(\d*)(~?)\}")
_MAX_PLACES, _MAX_CLAUSES = 3, 4  # of a message: `a.jsonl:7: task 3: `, and what is wrong; how to fix it
_LETTERS = re.compile(r"[A-Za-z]{2}")


@dataclass(frozen=True, slots=True)
class Template:
    """A message with values in it.

    Attributes:
        source: the English message.
        target: the Chinese message.
        literals: what is between the values of the English message.
    """

    source: str
    target: str
    literals: tuple[str, ...]

    def values(self, text: str) -> tuple[str, ...] | None:
        """Return the values of a text that is made from the English message, else None."""
        position = 0
        for literal in self.literals:  # cheap, so that few patterns have to be compiled
            position = text.find(literal, position)
            if position < 0:
                return None
            position += len(literal)
        match = re.fullmatch("(.*?)".join(map(re.escape, self.literals)), text, re.DOTALL)
        return match.groups() if match and self._are_whole(match.groups()) else None

    def _are_whole(self, values: tuple[str, ...]) -> bool:
        """Return whether the values hold no part of the message.

        False if the first one still has a place in it (`a.jsonl:7: `), or the last one a cure (`; …`): another template
        then splits the message more exactly.
        """
        copied = {int(number or index) for index, (number, mark) in enumerate(PLACE.findall(self.target)) if not mark}
        last = len(values) - 1
        has_place = not self.literals[0] and 0 in copied and ": " in values[0]
        return not has_place and not (not self.literals[-1] and last in copied and "; " in values[last])


@cache
def texts(*names: str) -> dict[str, str]:
    """Return the entries of files of the catalogue, by default of all: English to Chinese."""
    entries: dict[str, str] = {}
    for name in names or FILES:
        entries |= json.loads((FOLDER / name).read_text(encoding="utf-8"))
    return entries


@cache
def templates() -> list[Template]:
    """Return the entries with values: frames, then those with the most text first, as they are the most specific."""
    found = [
        Template(source, target, tuple(source.split("{}")))
        for source, target in texts().items()
        if "{}" in source and _LETTERS.search(source)
    ]
    frames = texts(FRAMES)
    return sorted(found, key=lambda each: (each.source not in frames, -sum(map(len, each.literals))))


def translate(text: str) -> str:
    """Return the Chinese of an English text; what the catalogue does not have stays English."""
    return _placed(text) or _clauses(text) or text


def _placed(text: str) -> str | None:
    """Return the translation of a text, also behind places, such as `a.jsonl:7: `, which are kept."""
    starts = [0, *(match.end() for match in islice(re.finditer(": ", text), _MAX_PLACES))]
    return next((text[:start] + found for start in starts if (found := _whole(text[start:]))), None)


def _clauses(text: str) -> str | None:
    """Return the translation of what is wrong and how to fix it where they are separate entries."""
    clauses = text.split("; ", _MAX_CLAUSES - 1)
    translated = [_placed(clauses[0]), *map(_whole, clauses[1:])]
    if len(clauses) == 1 or not any(translated):
        return None
    return "；".join(found or clause for found, clause in zip(translated, clauses, strict=True))


def _whole(text: str) -> str | None:
    """Return the translation of a text by an entry, or by a template."""
    if found := texts().get(text):
        return found
    for template in templates():
        values = template.values(text)
        if values is not None:
            return _filled(template.target, values)
    return None


def _filled(target: str, values: tuple[str, ...]) -> str:
    next_value = iter(values)

    def value(match: re.Match[str]) -> str:
        found = values[int(match[1])] if match[1] else next(next_value)
        return translate(found) if match[2] else found

    return PLACE.sub(value, target)
