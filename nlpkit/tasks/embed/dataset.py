"""Training batches of sentence pairs."""

from collections.abc import Sequence

import torch
from torch import Tensor
from typing_extensions import override

from nlpkit.core.model.batches import BatchesByLength
from nlpkit.core.text.padding import pad_batch
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.nn.network import Inputs
from nlpkit.tasks.embed.data import Pair


class PairDataset(BatchesByLength):
    """A training set of sentence pairs; sequences 2i and 2i+1 of a batch are the sentences of pair i.

    Targets: `scores` [n]; `best` [n], True where no pair of the file has a higher score; `sentences` [2n], equal for
    sequences of the same text.

    Args:
        pairs: in any order.
        tokenizer: of the model.
        max_length: of a sequence, [CLS] and [SEP] included; longer sentences are truncated.
        batch_size: pairs in a batch.
        seed: of the order.
        separate_files: take all pairs of a batch from one file, as scores of different files cannot be compared.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        tokenizer: CharTokenizer,
        max_length: int,
        batch_size: int,
        seed: int,
        *,
        separate_files: bool,
    ):
        self.pad_id = tokenizer.pad_id
        self.sequences: list[tuple[list[int], list[int]]] = []
        self.scores = torch.tensor([pair.score for pair in pairs])
        numbers: dict[str, int] = {}
        self.sentences = torch.tensor(
            [[numbers.setdefault(text, len(numbers)) for text in (pair.first, pair.second)] for pair in pairs]
        )
        files: dict[str, list[int]] = {}
        truncated = 0
        for index, pair in enumerate(pairs):
            files.setdefault(pair.line.source if separate_files else "", []).append(index)
            first, second = (tokenizer.encode(text).ids for text in (pair.first, pair.second))
            truncated += (len(first) > max_length - 2) + (len(second) > max_length - 2)
            self.sequences.append((_truncate(first, tokenizer, max_length), _truncate(second, tokenizer, max_length)))
        self.best = torch.zeros(len(pairs), dtype=torch.bool)
        for indices in files.values():
            self.best[indices] = self.scores[indices] == self.scores[indices].max()
        lengths = [len(first) + len(second) for first, second in self.sequences]
        super().__init__(lengths, batch_size, seed, list(files.values()))
        # Not that of the pairs: they are short, and texts to embed need not be. A pretrained backbone reads these
        # better as one sequence than in windows: retrieval of CSL abstracts, recall@1 0.945 instead of 0.932.
        self.longest = max_length
        self.diagnostics = {"sequences": len(self.sequences), "cut": truncated}

    @override
    def collate(self, examples: Sequence[int], step: int) -> tuple[Inputs, dict[str, Tensor]]:
        sequences = [sequence for index in examples for sequence in self.sequences[index]]
        inputs = Inputs.of(*pad_batch(sequences, self.pad_id))
        targets = {"scores": self.scores[examples], "best": self.best[examples]}
        return inputs, targets | {"sentences": self.sentences[examples].flatten()}


def _truncate(ids: list[int], tokenizer: CharTokenizer, max_length: int) -> list[int]:
    """Return [CLS] tokens [SEP], at most `max_length` of them."""
    return [tokenizer.cls_id, *ids[: max_length - 2], tokenizer.sep_id]
