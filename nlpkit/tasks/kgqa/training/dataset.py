"""Training rows: each question with its right key among the other keys of the same names in the graph."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from nlpkit.core.model.dataset import POOL
from nlpkit.core.model.task import Inputs
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.tasks.kgqa.codec import Forest, Question, collate
from nlpkit.tasks.kgqa.data import Example
from nlpkit.tasks.kgqa.graph.graph import Graph
from nlpkit.tasks.kgqa.retrieval.candidates import FEATURES, Candidate, Candidates, Mention, columns
from nlpkit.tasks.kgqa.training.near_names import near_mention

OTHER_NAMES = 2  # whose keys stand beside those of the right name
GENERATED = 2  # one question in so many also trains the generator, whose vocabulary makes it dear
USUAL_LENGTH = 64  # of a question's row that a model should always take
RIGHT_KEYS, OTHER_KEYS = 6, 2  # of each at the most; what is drawn of more counts for all


@dataclass(slots=True)
class KeyRow:
    """A question ready to be read; n keys.

    Attributes:
        question: as the network reads it.
        forest: of its keys.
        features: [n, FEATURES].
        log_weights: [n] of how many keys each is a sample.
        hidden: [n] what is taken away so that the graph does not hold the answer.
        mentions: [n, 2] columns of the names' first and last tokens; -1 where they are not in the question.
        span: columns of the first and the last token of the subject's name; -1 where the question does not contain it.
        gold: the place of the right key; −1 where it answers but half of the question.
        tokens: of the right key; none where it does.
    """

    question: Question
    forest: Forest
    features: np.ndarray[Any, np.dtype[np.float32]]
    log_weights: list[float]
    hidden: list[bool]
    mentions: list[tuple[int, int]]
    span: tuple[int, int]
    gold: int
    tokens: list[int]


class KeyRows:
    """A training set; see `core.task.Dataset`. Examples whose triple is not in the graph are left out and counted.

    Args:
        examples: questions with their triples.
        graph: that holds them.
        tokenizer: of the graph and the model.
        max_length: of a question's row.
        batch_size: questions in a batch.
        seed: of the order and of the drawn keys.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        graph: Graph,
        tokenizer: CharTokenizer,
        max_length: int,
        batch_size: int,
        seed: int,
    ):
        self.graph, self.tokenizer, self.batch_size, self.seed = graph, tokenizer, batch_size, seed
        self.finder = Candidates(graph)
        random = np.random.default_rng([seed, len(examples)])
        rows = (self._row(Question.of(e.text, tokenizer, max_length), e, random) for e in examples)
        self.rows = [row for row in rows if row is not None]
        # Of the questions: what stands behind them is told apart by its depth, and has been seen in all of these.
        self.longest = min(max_length, max([USUAL_LENGTH, *(len(row.question.ids) for row in self.rows)]))
        self.notes = {"rows": len(self.rows), "not_in_graph": len(examples) - len(self.rows)}
        self.steps_per_epoch = -(-len(self.rows) // batch_size)
        self._epoch, self._order = -1, list[list[int]]()

    def __call__(self, step: int) -> tuple[Inputs, dict[str, Tensor]]:
        """The batch of a step."""
        epoch, index = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._shuffled(epoch)
        return self.batch([self.rows[i] for i in self._order[index]])

    def batch(self, rows: Sequence[KeyRow]) -> tuple[Inputs, dict[str, Tensor]]:
        """Inputs and targets of some rows."""
        batch = collate([row.question for row in rows], [row.forest for row in rows], self.tokenizer.pad_id)
        leaves = [batch.at(index, leaf) for index, row in enumerate(rows) for leaf in row.forest.leaves]
        counts = [len(row.forest.leaves) for row in rows]
        path: list[int] = []
        following: list[int] = []
        places: list[int] = []
        allowed: list[np.ndarray[Any, Any]] = []
        for index, row in list(enumerate(rows))[::GENERATED]:
            node = self.graph.tree.root
            for unit, token in zip([-1, *row.forest.path(row.tokens)], row.tokens, strict=False):
                options, _ = self.graph.tree.next_tokens(node)
                if len(options) > 1:
                    allowed.append(options)
                    places.append(len(path))
                path.append(batch.at(index, unit))
                following.append(token)
                node = self.graph.tree.advance(node, token)
        sizes = [len(options) for options in allowed]
        targets = {
            "leaves": torch.tensor(leaves),
            "features": torch.from_numpy(np.concatenate([row.features for row in rows])),
            "log_weights": torch.tensor([weight for row in rows for weight in row.log_weights]),
            "hidden": torch.tensor([value for row in rows for value in row.hidden]),
            "rows": torch.repeat_interleave(torch.arange(len(rows)), torch.tensor(counts)),
            "slots": torch.cat([torch.arange(count) for count in counts]),
            "gold": torch.tensor([row.gold for row in rows]),
            "lengths": torch.tensor([len(row.question.ids) for row in rows]),
            "mentions": torch.tensor([mention for row in rows for mention in row.mentions]),
            "spans": torch.tensor([row.span for row in rows]),
            "path": _long(path),
            "next": _long(following),
            "allowed": torch.from_numpy(np.concatenate([np.empty(0, np.int32), *allowed]).astype(np.int64)),
            "allowed_rows": torch.repeat_interleave(_long(places), _long(sizes)),
            "questions": torch.tensor(-(-len(rows) // GENERATED)),
        }
        return batch.inputs, targets

    def _row(self, question: Question, example: Example, random: np.random.Generator) -> KeyRow | None:
        key = find_key(self.graph, example)
        if key is None:
            return None
        name = self.graph.tree.name_of(key)
        mentions = self.finder.mentions(question)
        right = next((mention for mention in mentions if mention.name == name), Mention(name))
        others = [mention for mention in mentions if mention.name != name][:OTHER_NAMES]
        chosen: list[Candidate] = []
        weights: list[float] = []
        for mention, most in ((right, RIGHT_KEYS), *((other, OTHER_KEYS) for other in others)):
            keys = range(*self.graph.tree.keys(self.graph.tree.subject(mention.name)))
            drawn = _draw(keys, most, key, random)
            weight = np.log(max(1, len(keys) - (key in keys)) / max(1, len(drawn) - (key in keys)))
            chosen += self.finder.scored(question, mention, drawn)
            weights += [0.0 if k == key else float(weight) for k in drawn]
        near = near_mention(self.graph, question, right, random) if right.literal else None
        if near is not None:
            chosen += self.finder.scored(question, near, [key])
            weights.append(0.0)
        gold = next(index for index, candidate in enumerate(chosen) if candidate.key == key)  # the right name is first
        return KeyRow(
            question,
            self.finder.forest(chosen, [key]),
            np.array([candidate.features for candidate in chosen], dtype=np.float32).reshape(-1, FEATURES),
            weights,
            self._hidden(chosen, chosen[gold], whole=bool(random.integers(2))),
            [columns(candidate.mention) for candidate in chosen],
            columns(right),
            -1 if example.goes_on else gold,
            [] if example.goes_on else self.graph.tree.tokens(key).tolist(),
        )

    def _hidden(self, candidates: Sequence[Candidate], gold: Candidate, whole: bool) -> list[bool]:
        """What to take away so that the answer is gone: all keys of the name, or those of the predicate, too."""
        return [
            candidate.mention == gold.mention and (whole or candidate.predicate == gold.predicate)
            for candidate in candidates
        ]

    def _shuffled(self, epoch: int) -> list[list[int]]:
        """Batches of row indices: shuffled, sorted by size inside pools, and the batches shuffled again."""
        random = np.random.default_rng([self.seed, epoch])
        order = random.permutation(len(self.rows))
        batches: list[list[int]] = []
        for start in range(0, len(order), POOL * self.batch_size):
            pool = sorted(order[start : start + POOL * self.batch_size].tolist(), key=self._size)
            batches += [pool[i : i + self.batch_size] for i in range(0, len(pool), self.batch_size)]
        random.shuffle(batches)
        return batches

    def _size(self, index: int) -> int:
        row = self.rows[index]
        return len(row.question.ids) + len(row.forest.tokens)


def _long(values: list[int]) -> Tensor:
    """Integers, even where there are none."""
    return torch.tensor(values, dtype=torch.long)


def find_key(graph: Graph, example: Example) -> int | None:
    """The key of an example's triple, where the graph has it."""
    parts = zip(graph.tables, (example.name, example.predicate, example.sense), strict=True)
    forms = []
    for part, text in parts:
        spelling = part.find(text)
        if spelling is None:
            return None
        forms.append(part.form_of(spelling))
    return graph.tree.rank(*forms)


def _draw(keys: range, most: int, right: int, random: np.random.Generator) -> list[int]:
    """At most so many of the keys, in their order, the right one among them if it is one."""
    if len(keys) <= most:
        return list(keys)
    drawn = set(random.choice(np.arange(keys.start, keys.stop), most, replace=False).tolist())
    if right in keys and right not in drawn:
        drawn.pop()
        drawn.add(right)
    return sorted(drawn)
