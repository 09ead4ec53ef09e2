"""Fuzzy lookup of entity names: other brackets or case, a truncated name, or one substituted token.

The prefix tree is searched along the tokens of the question, from each of them. The tokenizer has already normalised
case, width and spaces. Brackets and quotation marks are ignored on both sides. One token may be substituted, after two
matching tokens, in a name of at least four tokens. A name of which the question contains only the beginning matches if
few names share this beginning.
"""

from bisect import bisect_left
from dataclasses import replace

from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.tasks.kgqa.codec import Question
from nlpkit.tasks.kgqa.graph.prefix_tree import NAME, PrefixTree
from nlpkit.tasks.kgqa.retrieval.candidates import MAX_KEYS, MAX_NAMES, Mention
from nlpkit.tasks.kgqa.retrieval.name_borders import is_whole

IGNORED = "《》〈〉「」『』【】“”‘’\"'·・-"
MIN_MATCHED = 2  # tokens before a substituted or missing one
MIN_TOKENS = 4  # of a name with a substituted token
MAX_BRANCHES = 64  # of a node; substitutions are not tried at nodes with more
MAX_COMPLETIONS = 8  # names with a common beginning that a truncated name may stand for


class FuzzyNameFinder:
    """Finds entity names in questions that differ from those of the graph.

    Args:
        tree: prefix tree of the graph.
        tokenizer: tokenizer of the graph.
        max_branches: number of children of a node above which no token is substituted there.
    """

    def __init__(self, tree: PrefixTree, tokenizer: CharTokenizer, max_branches: int = MAX_BRANCHES):
        self.tree, self.max_branches = tree, max_branches
        ids = (tokenizer.ids.get(character) for character in IGNORED)
        self.ignored = frozenset(token for token in ids if token is not None)
        self.rare = frozenset(tokenizer.rare_ids)  # each of these ids stands for many characters

    def mentions(self, question: Question, max_names: int = MAX_NAMES) -> list[Mention]:
        """Return the matching names: exact tokens before truncated or substituted ones, then the longest first."""
        tokens = question.tokens
        best: dict[int, tuple[bool, Mention]] = {}
        for start, token in enumerate(tokens):
            if token not in self.ignored:
                for inexact, name, end in self._matches(tokens, start):
                    mention = Mention(name, start, end)
                    known = best.get(name)
                    if known is None or _order(inexact, mention) < _order(*known):
                        best[name] = inexact, mention
        ordered = sorted(best.values(), key=lambda item: _order(*item))[:max_names]
        return [replace(m, literal=not inexact and self._is_whole(question, m)) for inexact, m in ordered]

    def _is_whole(self, question: Question, mention: Mention) -> bool:
        start, end = mention.start, mention.end
        known = self.rare.isdisjoint(question.tokens[start:end])
        return known and is_whole(question.text, *question.character_span(start, end))

    def _matches(self, tokens: list[int], start: int) -> list[tuple[bool, int, int]]:
        """Return the names that match from a token on: whether inexactly, the name, and the end of the match."""
        matches = []
        states = [(self.tree.root, start, 0, False)]  # node, next token, matched tokens, whether one was substituted
        seen = set(states)
        while states:
            node, index, length, substituted = states.pop()
            options, nodes = self.tree.next_tokens(node)
            allowed = options.tolist()
            following = [
                (int(nodes[child]), index, length, substituted)
                for child in (_find(allowed, token) for token in self.ignored)
                if child is not None
            ]
            child = _find(allowed, self.tree.sep_id)
            if child is not None and length >= (MIN_TOKENS if substituted else 1):
                name = self.tree.name_of(self.tree.keys(int(nodes[child]))[0])
                matches.append((substituted, name, index))
            if index < len(tokens):
                if tokens[index] in self.ignored:
                    following.append((node, index + 1, length, substituted))
                if (child := _find(allowed, tokens[index])) is not None:
                    following.append((int(nodes[child]), index + 1, length + 1, substituted))
                elif length >= MIN_MATCHED and not substituted:
                    matches += [(True, name, index) for name in self._completions(node)]
                if length >= MIN_MATCHED and not substituted and len(allowed) <= self.max_branches:
                    following += [
                        (int(child), index + 1, length + 1, True)
                        for token, child in zip(allowed, nodes, strict=True)
                        if token not in (tokens[index], self.tree.sep_id)
                    ]
            for state in following:
                if state not in seen:
                    seen.add(state)
                    states.append(state)
        return matches

    def _completions(self, node: int) -> range:
        """Return the names under a node; none if there are more than `MAX_COMPLETIONS`."""
        if self.tree.level(node) != NAME:
            return range(0)
        first, end = self.tree.keys(node)
        if end - first > MAX_COMPLETIONS * MAX_KEYS:
            return range(0)
        names = range(self.tree.name_of(first), self.tree.name_of(end - 1) + 1)
        return names if len(names) <= MAX_COMPLETIONS else range(0)


def _find(tokens: list[int], token: int) -> int | None:
    """Return the index of a token in an ascending list; None if it is not there."""
    index = bisect_left(tokens, token)
    return index if index < len(tokens) and tokens[index] == token else None


def _order(inexact: bool, mention: Mention) -> tuple[bool, int, int]:
    return inexact, mention.start - mention.end, mention.start
