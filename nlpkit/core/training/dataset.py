"""A training set of texts in memory: windows with their gold, and batches of them as a pure function of the step."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from nlpkit.core.model.task import Inputs
from nlpkit.core.text.tokenizer import CharTokenizer, Encoding
from nlpkit.core.text.windows import Window

if TYPE_CHECKING:
    from nlpkit.core.model.span_task import SpanTask

POOL = 50  # batches whose rows are sorted by length together: little padding, still a random order


def make_rows(rows: Sequence[tuple[Encoding, Window]], tokenizer: CharTokenizer) -> Inputs:
    """Padded rows [CLS] units [SEP] for windows of texts."""
    size = max(len(window) for _, window in rows) + 2
    input_ids = torch.full((len(rows), size), tokenizer.pad_id)
    mask = torch.zeros(len(rows), size, dtype=torch.bool)
    for index, (encoding, window) in enumerate(rows):
        ids = [tokenizer.cls_id, *encoding.ids[window.begin : window.end], tokenizer.sep_id]
        input_ids[index, : len(ids)] = torch.tensor(ids)
        mask[index, : len(ids)] = True
    return Inputs(input_ids, mask)


def with_joined(task: "SpanTask[Any, Any, Any, Any]", examples: Sequence[Any], most: int, seed: int) -> list[Any]:
    """The examples, and behind them the same ones once more in random groups of 2 to `most`, each joined to one text.

    A model that has seen only single sentences reads longer texts badly, also in windows: those cut and join sentences.
    """
    random = np.random.default_rng([seed, most])
    order = random.permutation(len(examples)).tolist()
    joined = []
    while most > 1 and order:
        size = int(random.integers(2, most + 1))
        joined.append(task.join([examples[index] for index in order[:size]]))
        order = order[size:]
    return [*examples, *joined]


def shuffled(lengths: Sequence[int], batch_size: int, random: np.random.Generator) -> list[list[int]]:
    """Batches of row indices: shuffled, sorted by length inside pools, and the batches shuffled again."""
    order = random.permutation(len(lengths))
    batches: list[list[int]] = []
    for start in range(0, len(order), POOL * batch_size):
        pool = sorted(order[start : start + POOL * batch_size].tolist(), key=lambda i: lengths[i])
        batches += [pool[i : i + batch_size] for i in range(0, len(pool), batch_size)]
    random.shuffle(batches)
    return batches


class WindowRows:
    """Rows of a training set, one a window; see `core.task.Dataset`.

    Args:
        task: encodes the gold.
        examples: what the task's readers give; each has `.text`.
        tokenizer: of the model.
        max_length: of a row, [CLS] and [SEP] included; longer texts are cut into windows.
        batch_size: rows in a batch.
        seed: of the order.
    """

    def __init__(
        self,
        task: "SpanTask[Any, Any, Any, Any]",
        examples: Sequence[Any],
        tokenizer: CharTokenizer,
        max_length: int,
        batch_size: int,
        seed: int,
    ):
        from nlpkit.core.model.span_task import Document

        self.task, self.tokenizer, self.batch_size, self.seed = task, tokenizer, batch_size, seed
        self.rows: list[tuple[Encoding, Window, Any]] = []
        misaligned = 0
        for example in examples:
            document = Document.of(example.text, tokenizer, max_length)
            misaligned += task.misaligned(example, document)
            for window in document.windows:
                self.rows.append((document.encoding, window, task.target(example, document, window)))
        self.longest = max((len(window) for _, window, _ in self.rows), default=0) + 2
        self.notes = {"rows": len(self.rows), "misaligned": misaligned}
        self.steps_per_epoch = -(-len(self.rows) // batch_size)
        self._epoch, self._order = -1, list[list[int]]()

    def __call__(self, step: int) -> tuple[Inputs, dict[str, Tensor]]:
        """The batch of a step."""
        epoch, index = divmod(step, self.steps_per_epoch)
        if epoch != self._epoch:
            random = np.random.default_rng([self.seed, epoch])
            self._epoch = epoch
            self._order = shuffled([len(window) for _, window, _ in self.rows], self.batch_size, random)
        rows = [self.rows[i] for i in self._order[index]]
        inputs = make_rows([(encoding, window) for encoding, window, _ in rows], self.tokenizer)
        return inputs, self.task.collate([target for _, _, target in rows], inputs.input_ids.shape[1])
