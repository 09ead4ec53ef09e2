"""Training batches of sentence pairs."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from nlpkit.core.model.dataset import shuffled
from nlpkit.core.model.task import Inputs
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.tasks.embed.data import Pair


class PairRows:
    """Rows 2i and 2i+1 of a batch are the sentences of pair i; see `core.task.Dataset`.

    All pairs of a batch are from one file, as scores of different files cannot be compared. Targets: `scores` [n];
    `best` [n], True where no pair of the file scores higher; `sentences` [2n], equal for rows of the same text.

    Args:
        pairs: in any order.
        tokenizer: of the model.
        max_length: of a row, [CLS] and [SEP] included; longer sentences are cut.
        batch_size: pairs in a batch.
        seed: of the order.
        apart: whether files must not be mixed.
    """

    def __init__(
        self, pairs: Sequence[Pair], tokenizer: CharTokenizer, max_length: int, batch_size: int, seed: int, apart: bool
    ):
        self.tokenizer, self.batch_size, self.seed = tokenizer, batch_size, seed
        self.rows: list[tuple[list[int], list[int]]] = []
        self.scores = torch.tensor([pair.score for pair in pairs])
        names: dict[str, int] = {}
        self.sentences = torch.tensor(
            [[names.setdefault(text, len(names)) for text in (pair.first, pair.second)] for pair in pairs]
        )
        files: dict[str, list[int]] = {}
        cut = 0
        for index, pair in enumerate(pairs):
            files.setdefault(pair.line.source if apart else "", []).append(index)
            first, second = (tokenizer.encode(text).ids for text in (pair.first, pair.second))
            cut += (len(first) > max_length - 2) + (len(second) > max_length - 2)
            self.rows.append((self._row(first, max_length), self._row(second, max_length)))
        self.files = list(files.values())
        self.best = torch.zeros(len(pairs), dtype=torch.bool)
        for members in self.files:
            self.best[members] = self.scores[members] == self.scores[members].max()
        self.longest = max((max(len(first), len(second)) for first, second in self.rows), default=0)
        self.notes = {"rows": len(self.rows), "cut": cut}
        self.steps_per_epoch = sum(-(-len(members) // batch_size) for members in self.files)
        self._epoch, self._order = -1, list[list[int]]()

    def __call__(self, step: int) -> tuple[Inputs, dict[str, Tensor]]:
        """The batch of a step."""
        epoch, index = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._shuffled(epoch)
        chosen = self._order[index]
        rows = [row for i in chosen for row in self.rows[i]]
        input_ids = torch.full((len(rows), max(map(len, rows))), self.tokenizer.pad_id)
        mask = torch.zeros(input_ids.shape, dtype=torch.bool)
        for place, row in enumerate(rows):
            input_ids[place, : len(row)] = torch.tensor(row)
            mask[place, : len(row)] = True
        targets = {"scores": self.scores[chosen], "best": self.best[chosen]}
        return Inputs(input_ids, mask), targets | {"sentences": self.sentences[chosen].flatten()}

    def _row(self, ids: list[int], max_length: int) -> list[int]:
        return [self.tokenizer.cls_id, *ids[: max_length - 2], self.tokenizer.sep_id]

    def _shuffled(self, epoch: int) -> list[list[int]]:
        """Batches of pair indices, of similar length and from one file each, in random order."""
        random = np.random.default_rng([self.seed, epoch])
        batches: list[list[int]] = []
        for members in self.files:
            lengths = [sum(map(len, self.rows[index])) for index in members]
            batches += [[members[i] for i in batch] for batch in shuffled(lengths, self.batch_size, random)]
        random.shuffle(batches)
        return batches
