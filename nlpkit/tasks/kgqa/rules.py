"""What a user sets right without training: other names for things, and answers to particular questions.

A TSV file; lines that begin with # and empty ones are passed over.

    鲁智深<TAB>花和尚                        an alias, and the name in the graph
    谁写了石头记？<TAB>红楼梦<TAB>作者        a question, and the subject and predicate that answer it
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from nlpkit.core.io.records import Line, OnError, read_lines
from nlpkit.core.text.normalization import clean_name, normalize
from nlpkit.errors import DataError
from nlpkit.tasks.kgqa.graph.graph import Fact, Graph


class FixedAnswer(NamedTuple):
    """The facts that answer a question, and where the rule is: file:line."""

    facts: tuple[Fact, ...]
    place: str


@dataclass(frozen=True, slots=True)
class Rules:
    """Aliases in their normal form, longest first, and the answers to whole questions by their `plain` form."""

    aliases: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, FixedAnswer] = field(default_factory=dict)

    def renamed(self, question: str) -> str:
        """The question with every alias in it replaced, from the left, the longest at each place."""
        normal = normalize(question)
        if not any(alias in normal for alias in self.aliases):
            return question
        result, place = [], 0
        while place < len(question):
            alias = next((alias for alias in self.aliases if normal.startswith(alias, place)), None)
            name = self.aliases[alias] if alias else question[place]
            if alias and normal.startswith(normalize(name), place):  # 北京 for 北京市 leaves 北京市 as it is
                alias = name
            result.append(name)
            place += len(alias or name)
        return "".join(result)

    def fixed_for(self, question: str) -> FixedAnswer | None:
        """Return the answer to this very question; None where there is no rule for it."""
        return self.fixed.get(plain(question))


def plain(question: str) -> str:
    """Return the normal form of a question without white space and punctuation."""
    return "".join(c for c in normalize(question) if unicodedata.category(c)[0] not in "PZSC")


def read_rules(path: str, graph: Graph, on_error: OnError | None = None) -> Rules:
    """Read the rules of a file.

    Args:
        path: of a TSV file.
        graph: that the rules are about.
        on_error: what to do with a line that is no rule, or one about what the graph does not have; raises by default.

    Raises:
        DataError: such a line, unless `on_error` skips it.
    """
    on_error = on_error or OnError()
    aliases: dict[str, str] = {}
    fixed: dict[str, FixedAnswer] = {}
    for line in read_lines([path], on_error=on_error):
        if not line.text.strip() or line.text.startswith("#"):
            continue
        try:
            _add(line, graph, aliases, fixed)
        except DataError as error:
            on_error(error)
    return Rules(dict(sorted(aliases.items(), key=lambda item: -len(item[0]))), fixed)


def _add(line: Line, graph: Graph, aliases: dict[str, str], fixed: dict[str, FixedAnswer]) -> None:
    parts = [clean_name(part) for part in line.text.split("\t")]
    if not all(parts) or len(parts) not in (2, 3):
        raise line.error("alias<TAB>name or question<TAB>subject<TAB>predicate is expected")
    if len(parts) == 2:
        spellings = graph.names_matching(parts[1])
        if not spellings:
            raise line.error(f"the graph has no name {parts[1]!r}; the second column is the name in the graph")
        aliases[normalize(parts[0])] = graph.names.text(spellings[0])
        return
    if not plain(parts[0]):
        raise line.error("the question has no letter, character or digit, so that no question could be told by it")
    facts = tuple(graph.find(parts[1], parts[2]))
    if not facts:
        raise line.error(f"the graph has no {parts[2]!r} of {parts[1]!r}; see: nlpkit graph get")
    fixed[plain(parts[0])] = FixedAnswer(facts, f"{line.source}:{line.number}")
