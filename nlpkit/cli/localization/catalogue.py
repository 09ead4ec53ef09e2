r"""The Chinese of every text that the command line shows, looked up when it is shown.

`zh/help.json` and `zh/messages.json` map English to Chinese. `{}` in both stands for a value, such as a file name,
which is copied. `{~}` stands for a value that is itself translated, such as the message of `error: {}`. A number, as in
`{1}` and `{1~}`, gives the value of another place, as Chinese often has another order.
"""

import json
import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "zh"
FILES = ("help.json", "messages.json")
PLACE = re.compile(r"\{(\d*)(~?)\}")
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
        return match.groups() if match else None


@cache
def texts() -> dict[str, str]:
    """Return the catalogue: English to Chinese."""
    return {
        source: target
        for name in FILES
        for source, target in json.loads((FOLDER / name).read_text(encoding="utf-8")).items()
    }


@cache
def templates() -> list[Template]:
    """Return the messages with values, those with the most text first, as they are the most specific."""
    found = [
        Template(source, target, tuple(source.split("{}")))
        for source, target in texts().items()
        if "{}" in source and _LETTERS.search(source)
    ]
    return sorted(found, key=lambda template: -sum(map(len, template.literals)))


def translate(text: str) -> str:
    """Return the Chinese of an English text; what the catalogue does not have stays English."""
    return _whole(text) or _prefixed(text) or _clauses(text) or text


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


def _prefixed(text: str) -> str | None:
    """Return the translation of a message behind places, such as `a.jsonl:7: `, which are kept."""
    for match in re.finditer(": ", text):
        rest = text[match.end() :]
        if found := _whole(rest) or _clauses(rest):
            return text[: match.end()] + found
    return None


def _clauses(text: str) -> str | None:
    """Return the translation of what is wrong and how to fix it where they are separate entries."""
    clauses = text.split("; ")
    translated = [_whole(clause) for clause in clauses]
    if len(clauses) == 1 or not any(translated):
        return None
    return "；".join(found or clause for found, clause in zip(translated, clauses, strict=True))
