"""User rules that need no training: aliases of entity names, and fixed answers to questions.

A TSV file; empty lines and lines that begin with # are skipped.

    鲁智深<TAB>花和尚                        alias, and the name in the graph
    谁写了石头记？<TAB>红楼梦<TAB>作者        question, and the subject and predicate that answer it
"""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from nlpkit.core.io.records import ErrorPolicy, Line, read_lines
from nlpkit.core.text.normalization import clean_name, normalize
from nlpkit.errors import DataError
from nlpkit.tasks.kgqa.graph.graph import Fact, Graph


class FixedAnswer(NamedTuple):
    """Fixed answer to a question.

    Attributes:
        facts: facts that answer the question.
        location: location of the rule, as file:line.
    """

    facts: tuple[Fact, ...]
    location: str


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules of a user.

    Attributes:
        aliases: name in the graph by normalised alias, longest alias first.
        fixed: fixed answer by question, normalised with `strip_punctuation`.
    """

    aliases: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, FixedAnswer] = field(default_factory=dict)

    def replace_aliases(self, question: str) -> str:
        """Return the question with all aliases replaced, from left to right, the longest alias at each position."""
        normalized = normalize(question)
        if not any(alias in normalized for alias in self.aliases):
            return question
        pieces, start = [], 0
        while start < len(question):
            alias = next((alias for alias in self.aliases if normalized.startswith(alias, start)), None)
            piece = self.aliases[alias] if alias else question[start]
            if alias and normalized.startswith(normalize(piece), start):  # alias 北京 of 北京市: keep 北京市 unchanged
                alias = piece
            pieces.append(piece)
            start += len(alias or piece)
        return "".join(pieces)

    def fixed_answer(self, question: str) -> FixedAnswer | None:
        """Return the fixed answer to a question; None if no rule has this question."""
        return self.fixed.get(strip_punctuation(question))


def strip_punctuation(question: str) -> str:
    """Return the normalised question without white space and punctuation."""
    return "".join(c for c in normalize(question) if unicodedata.category(c)[0] not in "PZSC")


def read_rules(path: str, graph: Graph, on_error: ErrorPolicy | None = None) -> Rules:
    """Read a file of rules.

    Args:
        path: path of the TSV file.
        graph: graph that the rules refer to.
        on_error: error policy for invalid lines and for names or facts that the graph does not have; raises by default.

    Raises:
        DataError: a line is invalid, unless `on_error` skips it.
    """
    on_error = on_error or ErrorPolicy()
    aliases: dict[str, str] = {}
    fixed: dict[str, FixedAnswer] = {}
    for line in read_lines([path], on_error=on_error):
        if not line.text.strip() or line.text.startswith("#"):
            continue
        try:
            _add_rule(line, graph, aliases, fixed)
        except DataError as error:
            on_error(error)
    return Rules(dict(sorted(aliases.items(), key=lambda item: -len(item[0]))), fixed)


def _add_rule(line: Line, graph: Graph, aliases: dict[str, str], fixed: dict[str, FixedAnswer]) -> None:
    columns = [clean_name(column) for column in line.text.split("\t")]
    if not all(columns) or len(columns) not in (2, 3):
        raise line.error("alias<TAB>name or question<TAB>subject<TAB>predicate is expected")
    if len(columns) == 2:
        alias, name = columns
        matches = graph.names_matching(name)
        if not matches:
            raise line.error(f"the graph has no name {name!r}; the second column must be a name in the graph")
        aliases[normalize(alias)] = graph.names.text(matches[0])
        return
    question, subject, predicate = columns
    if not strip_punctuation(question):
        raise line.error("the question has no letter, character or digit; write the words of the question")
    facts = tuple(graph.find(subject, predicate))
    if not facts:
        raise line.error(f"the graph has no {predicate!r} of {subject!r}; see: nlpkit graph get")
    fixed[strip_punctuation(question)] = FixedAnswer(facts, f"{line.source}:{line.number}")
