"""Names that stand in a question almost as in the graph: in other brackets or case, cut short, or with one slip.

The tree is walked over the units of the question, from each of them; the tokenizer has already evened out case, width
and spaces. Brackets and quotation marks count on neither side. One unit may be another one, once two have been right
and if the name has at least four. A name of which only the beginning stands there counts if few others begin so.
"""

from bisect import bisect_left
from dataclasses import replace

from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.tasks.kgqa.codec import Question
from nlpkit.tasks.kgqa.graph.prefix_tree import NAME, PrefixTree
from nlpkit.tasks.kgqa.retrieval.candidates import KEYS, Mention
from nlpkit.tasks.kgqa.retrieval.name_borders import is_whole

IGNORED = "《》〈〉「」『』【】“”‘’\"'·・-"
SURE, LEAST = 2, 4  # units that must be right before a slip, and units of a name that may have one
BRANCHES = 64  # of a node, beyond which no slip is looked for there
SHORT = 8  # names that may be meant by their common beginning


class LooseNames:
    """Finds names in questions.

    Args:
        tree: of the graph.
        tokenizer: of the graph.
    """

    def __init__(self, tree: PrefixTree, tokenizer: CharTokenizer):
        self.tree = tree
        ids = (tokenizer.ids.get(character) for character in IGNORED)
        self.ignored = frozenset(token for token in ids if token is not None)
        self.rare = frozenset(tokenizer.rare_ids)  # each stands for many characters

    def mentions(self, question: Question, most: int) -> list[Mention]:
        """The longest of them; whole ones before those that are cut short or have a slip."""
        units = question.units
        found: dict[int, tuple[bool, Mention]] = {}
        for start, token in enumerate(units):
            if token not in self.ignored:
                for slipped, name, end in self._from(units, start):
                    mention = Mention(name, start, end)
                    known = found.get(mention.name)
                    if known is None or _worth(slipped, mention) < _worth(*known):
                        found[mention.name] = slipped, mention
        ordered = sorted(found.values(), key=lambda item: _worth(*item))[:most]
        return [replace(m, literal=not slipped and self._is_whole(question, m)) for slipped, m in ordered]

    def _is_whole(self, question: Question, mention: Mention) -> bool:
        start, end = mention.start, mention.end
        known = self.rare.isdisjoint(question.units[start:end])
        return known and is_whole(question.text, *question.characters(start, end))

    def _from(self, units: list[int], start: int) -> list[tuple[bool, int, int]]:
        """Return the names that begin at a token: whether it has a slip, the name, and its end."""
        found = []
        states = [(self.tree.root, start, 0, False)]  # node, next unit, units of the name, whether one was wrong
        seen = set(states)
        while states:
            node, place, length, slipped = states.pop()
            options, nodes = self.tree.next_tokens(node)
            tokens = options.tolist()
            following = [
                (int(nodes[child]), place, length, slipped)
                for child in (_child(tokens, token) for token in self.ignored)
                if child is not None
            ]
            child = _child(tokens, self.tree.sep_id)
            if child is not None and length >= (LEAST if slipped else 1):
                name = self.tree.name_of(self.tree.keys(int(nodes[child]))[0])
                found.append((slipped, name, place))
            if place < len(units):
                if units[place] in self.ignored:
                    following.append((node, place + 1, length, slipped))
                if (child := _child(tokens, units[place])) is not None:
                    following.append((int(nodes[child]), place + 1, length + 1, slipped))
                elif length >= SURE and not slipped:
                    found += [(True, name, place) for name in self._under(node)]
                if length >= SURE and not slipped and len(tokens) <= BRANCHES:
                    following += [
                        (int(child), place + 1, length + 1, True)
                        for token, child in zip(tokens, nodes, strict=True)
                        if token not in (units[place], self.tree.sep_id)
                    ]
            for state in following:
                if state not in seen:
                    seen.add(state)
                    states.append(state)
        return found

    def _under(self, node: int) -> range:
        """The names that begin as a node does, if they are few."""
        if self.tree.level(node) != NAME:
            return range(0)
        first, behind = self.tree.keys(node)
        if behind - first > SHORT * KEYS:
            return range(0)
        names = range(self.tree.name_of(first), self.tree.name_of(behind - 1) + 1)
        return names if len(names) <= SHORT else range(0)


def _child(tokens: list[int], token: int) -> int | None:
    place = bisect_left(tokens, token)
    return place if place < len(tokens) and tokens[place] == token else None


def _worth(slipped: bool, mention: Mention) -> tuple[bool, int, int]:
    return slipped, mention.start - mention.end, mention.start
