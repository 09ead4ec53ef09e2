"""Training set of kgqa: each question with its gold key among other keys of the graph."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor
from typing_extensions import override

from nlpkit.core.model.batches import BatchesByLength
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.nn.network import Inputs
from nlpkit.tasks.kgqa.codec import KeyTrie, Question
from nlpkit.tasks.kgqa.data import Example
from nlpkit.tasks.kgqa.graph.graph import Graph
from nlpkit.tasks.kgqa.retrieval.candidates import NUM_FEATURES, Candidate, CandidateFinder, Mention
from nlpkit.tasks.kgqa.training.hard_negatives import hard_negative
from nlpkit.tasks.kgqa.training.key_batch import collate

MAX_OTHER_NAMES = 2  # names of a question, besides the gold one, whose keys are negatives
MAX_GOLD_KEYS, MAX_OTHER_KEYS = 6, 2  # sampled keys of the gold name and of each other name
GENERATOR_EVERY = 2  # every so many questions also train the generator, whose output projection is expensive
MIN_MAX_LENGTH = 64  # a model always accepts questions of this many tokens


@dataclass(slots=True)
class KeyExample:
    """A question prepared for training; n keys.

    Attributes:
        question: tokenised question.
        trie: trie of its keys.
        features: string features [n, NUM_FEATURES].
        log_weights: [n] logarithm of the number of keys that each sampled key stands for.
        masked: [n] whether the key is removed to make the question unanswerable.
        mention_columns: [n, 2] columns of the names' first and last tokens; -1 if they are not in the question.
        subject_columns: columns of the subject name's first and last token; -1 if it is not in the question.
        gold: index of the gold key; −1 if its triple is only a partial answer.
        gold_tokens: tokens of the gold key; empty if its triple is only a partial answer.
    """

    question: Question
    trie: KeyTrie
    features: np.ndarray[Any, np.dtype[np.float32]]
    log_weights: list[float]
    masked: list[bool]
    mention_columns: list[tuple[int, int]]
    subject_columns: tuple[int, int]
    gold: int
    gold_tokens: list[int]


class KeyDataset(BatchesByLength):
    """Training batches; see `core.model.task.Dataset`. Examples whose triple is not in the graph are skipped.

    Args:
        examples: questions with their triples.
        graph: graph with the triples.
        tokenizer: tokenizer of the graph and the model.
        max_length: maximum number of tokens of a question.
        batch_size: questions per batch.
        seed: random seed of the order and of the sampled keys.
        max_gold_keys: number of sampled keys of the gold name.
        object_tokens: see `KgqaSettings`.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        graph: Graph,
        tokenizer: CharTokenizer,
        max_length: int,
        batch_size: int,
        seed: int,
        max_gold_keys: int = MAX_GOLD_KEYS,
        object_tokens: int = 0,
    ):
        self.graph, self.tokenizer, self.max_gold_keys = graph, tokenizer, max_gold_keys
        self.finder = CandidateFinder(graph, object_tokens)
        random = np.random.default_rng([seed, len(examples)])
        encoded = (self._encode(Question.encode(e.text, tokenizer, max_length), e, random) for e in examples)
        self.examples = [example for example in encoded if example is not None]
        # Of the questions alone: position ids of keys are depths after the question, and all of them occur in training.
        self.longest = min(max_length, max([MIN_MAX_LENGTH, *(len(e.question.ids) for e in self.examples)]))
        self.diagnostics = {"sequences": len(self.examples), "not_in_graph": len(examples) - len(self.examples)}
        super().__init__([len(e.question.ids) + len(e.trie.tokens) for e in self.examples], batch_size, seed)

    @override
    def collate(self, examples: Sequence[int], step: int) -> tuple[Inputs, dict[str, Tensor]]:
        return self.batch([self.examples[index] for index in examples])

    def batch(self, examples: Sequence[KeyExample]) -> tuple[Inputs, dict[str, Tensor]]:
        """Return inputs and targets of some examples; see the losses of `model` for the targets."""
        batch = collate([e.question for e in examples], [e.trie for e in examples], self.tokenizer.pad_id)
        leaves = [batch.index_of(index, leaf) for index, e in enumerate(examples) for leaf in e.trie.leaves]
        counts = [len(e.trie.leaves) for e in examples]
        path: list[int] = []
        next_tokens: list[int] = []
        choices: list[int] = []  # steps with several allowed tokens
        allowed: list[np.ndarray[Any, Any]] = []
        for index, example in list(enumerate(examples))[::GENERATOR_EVERY]:
            node = self.graph.tree.root
            nodes = [-1, *example.trie.path(example.gold_tokens)]
            for trie_node, token in zip(nodes, example.gold_tokens, strict=False):
                options, _ = self.graph.tree.next_tokens(node)
                if len(options) > 1:
                    allowed.append(options)
                    choices.append(len(path))
                path.append(batch.index_of(index, trie_node))
                next_tokens.append(token)
                node = self.graph.tree.advance(node, token)
        sizes = [len(options) for options in allowed]
        targets = {
            "leaves": torch.tensor(leaves),
            "features": torch.from_numpy(np.concatenate([e.features for e in examples])),
            "log_weights": torch.tensor([weight for e in examples for weight in e.log_weights]),
            "masked": torch.tensor([value for e in examples for value in e.masked]),
            "question_ids": torch.repeat_interleave(torch.arange(len(examples)), torch.tensor(counts)),
            "key_ids": torch.cat([torch.arange(count) for count in counts]),
            "gold": torch.tensor([e.gold for e in examples]),
            "lengths": torch.tensor([len(e.question.ids) for e in examples]),
            "mention_columns": torch.tensor([columns for e in examples for columns in e.mention_columns]),
            "subject_columns": torch.tensor([e.subject_columns for e in examples]),
            "path": _long(path),
            "next_tokens": _long(next_tokens),
            "allowed": torch.from_numpy(np.concatenate([np.empty(0, np.int32), *allowed]).astype(np.int64)),
            "allowed_steps": torch.repeat_interleave(_long(choices), _long(sizes)),
            "questions": torch.tensor(-(-len(examples) // GENERATOR_EVERY)),
        }
        return batch.inputs, targets

    def _encode(self, question: Question, example: Example, random: np.random.Generator) -> KeyExample | None:
        key = example.find_key(self.graph)
        if key is None:
            return None
        name = self.graph.tree.name_of(key)
        mentions = self.finder.mentions(question)
        subject = next((mention for mention in mentions if mention.name == name), Mention(name))
        others = [mention for mention in mentions if mention.name != name][:MAX_OTHER_NAMES]
        candidates: list[Candidate] = []
        weights: list[float] = []
        for mention, max_keys in ((subject, self.max_gold_keys), *((other, MAX_OTHER_KEYS) for other in others)):
            keys = range(*self.graph.tree.keys(self.graph.tree.subject(mention.name)))
            sampled = _sample(keys, max_keys, key, random)
            weight = np.log(max(1, len(keys) - (key in keys)) / max(1, len(sampled) - (key in keys)))
            candidates += self.finder.from_keys(question, mention, sampled)
            weights += [0.0 if k == key else float(weight) for k in sampled]
        negative = hard_negative(self.graph, question, subject, random) if subject.literal else None
        if negative is not None:
            candidates += self.finder.from_keys(question, negative, [key])
            weights.append(0.0)
        gold = next(i for i, candidate in enumerate(candidates) if candidate.key == key)  # the gold name comes first
        return KeyExample(
            question,
            self.finder.trie(candidates, [key]),
            np.array([candidate.features for candidate in candidates], dtype=np.float32).reshape(-1, NUM_FEATURES),
            weights,
            _masked(candidates, candidates[gold], whole_name=bool(random.integers(2))),
            [candidate.mention.columns for candidate in candidates],
            subject.columns,
            -1 if example.needs_second_hop else gold,
            [] if example.needs_second_hop else self.graph.tree.tokens(key).tolist(),
        )


def _masked(candidates: Sequence[Candidate], gold: Candidate, whole_name: bool) -> list[bool]:
    """Return which keys to remove to make the question unanswerable: those of the gold name, or of its predicate."""
    return [
        candidate.mention == gold.mention and (whole_name or candidate.predicate == gold.predicate)
        for candidate in candidates
    ]


def _sample(keys: range, max_keys: int, gold: int, random: np.random.Generator) -> list[int]:
    """Return at most `max_keys` of the keys, in ascending order; the gold key is always kept."""
    if len(keys) <= max_keys:
        return list(keys)
    sampled = set(random.choice(np.arange(keys.start, keys.stop), max_keys, replace=False).tolist())
    if gold in keys and gold not in sampled:
        sampled.pop()
        sampled.add(gold)
    return sorted(sampled)


def _long(values: list[int]) -> Tensor:
    """Return a tensor of integers, also for an empty list."""
    return torch.tensor(values, dtype=torch.long)
