"""Training sets of texts in memory: windows with their gold, and batches of them as a pure function of the step."""

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import override

from nlpkit.core.model.batches import POOL as POOL
from nlpkit.core.model.batches import BatchesByLength
from nlpkit.core.text.document import Document
from nlpkit.core.text.padding import pad_windows
from nlpkit.core.text.tokenizer import CharTokenizer, Encoding
from nlpkit.core.text.windows import Window
from nlpkit.nn.network import Inputs

Example = TypeVar("Example")


class Encodes(Protocol):
    """The side of a task that a `WindowDataset` needs; see `core.model.text_task.TextTask`."""

    def target(self, example: Any, document: Document, window: Window) -> Any:
        """Return the gold inside a window."""

    def collate(self, targets: Sequence[Any], size: int) -> dict[str, NDArray[Any]]:
        """Return the labels of sequences padded to `size` positions."""

    def misaligned(self, example: Any, document: Document) -> int:
        """Return the number of gold items that are not made of whole tokens."""


def with_joined(
    examples: Sequence[Example], join: Callable[[Sequence[Example]], Example], max_texts: int, seed: int
) -> list[Example]:
    """Return the examples, and behind them the same ones once more in random groups of 2 to `max_texts`, each joined.

    A model that has been trained on single sentences only reads longer texts badly, also in windows: those cut and join
    sentences.

    Args:
        examples: of the training set.
        join: makes one example of several.
        max_texts: 1 for the examples alone.
        seed: of the groups.
    """
    random = np.random.default_rng([seed, max_texts])
    order = random.permutation(len(examples)).tolist()
    joined = []
    while max_texts > 1 and order:
        size = int(random.integers(2, max_texts + 1))
        joined.append(join([examples[index] for index in order[:size]]))
        order = order[size:]
    return [*examples, *joined]


class WindowDataset(BatchesByLength):
    """A training set of windows; see `core.model.task.Dataset`.

    Args:
        task: encodes the gold.
        examples: of the task's readers; each has a `text`.
        tokenizer: of the model.
        max_length: of a sequence, [CLS] and [SEP] included; longer texts are cut into windows.
        batch_size: sequences in a batch.
        seed: of the order.
    """

    def __init__(
        self,
        task: Encodes,
        examples: Sequence[Any],
        tokenizer: CharTokenizer,
        max_length: int,
        batch_size: int,
        seed: int,
    ):
        self.task, self.tokenizer = task, tokenizer
        self.windows: list[tuple[Encoding, Window, Any]] = []
        misaligned = 0
        for example in examples:
            document = Document.of(example.text, tokenizer, max_length)
            misaligned += task.misaligned(example, document)
            for window in document.windows:
                self.windows.append((document.encoding, window, task.target(example, document, window)))
        lengths = [len(window) for _, window, _ in self.windows]
        super().__init__(lengths, batch_size, seed)
        self.longest = max(lengths, default=0) + 2
        self.diagnostics = {"sequences": len(self.windows), "misaligned": misaligned}

    @override
    def collate(self, examples: Sequence[int], step: int) -> tuple[Inputs, dict[str, torch.Tensor]]:
        windows = [self.windows[index] for index in examples]
        inputs = Inputs.of(*pad_windows([(encoding, window) for encoding, window, _ in windows], self.tokenizer))
        targets = self.task.collate([target for _, _, target in windows], inputs.input_ids.shape[1])
        return inputs, {name: torch.from_numpy(values) for name, values in targets.items()}
