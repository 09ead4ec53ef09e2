"""Training batches of labelled texts, and of unlabelled ones between them."""

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from typing_extensions import override

from nlpkit.core.model.batches import BatchesByLength
from nlpkit.core.text.document import Document
from nlpkit.core.text.padding import pad_windows
from nlpkit.core.text.tokenizer import MASK, SPECIALS, CharTokenizer
from nlpkit.core.training.masking import MaskSettings, choose_masked, corrupt
from nlpkit.errors import ModelError
from nlpkit.nn.network import Inputs
from nlpkit.tasks.classify.data import Example, Input
from nlpkit.tasks.classify.network.ids import label_token
from nlpkit.tasks.classify.settings import ClassifySettings


class Encodes(Protocol):
    """The side of `ClassifyTask` that a dataset needs."""

    settings: ClassifySettings
    unlabelled: Sequence[Input]

    def document(self, text: Any, tokenizer: CharTokenizer, max_length: int) -> Document:
        """Return a text, or a pair of texts, as a document."""

    def label_indices(self, examples: Sequence[Example]) -> NDArray[np.int64]:
        """Return the label indices of examples [n, p], padded with −1."""


class ClassifyDataset:
    """A training set; see `core.model.task.Dataset`.

    A text that is longer than a sequence is read in one random window of it in every epoch: a window without a hint to
    the label would be noise. With unlabelled texts, every second batch is of them (kexue.fm 8496); an epoch is a pass
    over the labelled texts.

    Args:
        task: encodes the labels.
        examples: of the training set.
        tokenizer: of the model.
        max_length: of a sequence, [CLS] and [SEP] included.
        batch_size: texts in a batch.
        seed: of order, windows and masks.

    Raises:
        ModelError: tokens are to be masked, and the vocabulary has no [MASK].
    """

    def __init__(
        self,
        task: Encodes,
        examples: Sequence[Example],
        tokenizer: CharTokenizer,
        max_length: int,
        batch_size: int,
        seed: int,
    ):
        excluded = [label_token(i) for i in range(len(task.settings.labels))] if task.settings.ids else []
        masking = Masking(tokenizer, task.settings.mlm, excluded) if task.settings.mlm else None
        labels = task.label_indices(examples)
        documents = [task.document(example.input, tokenizer, max_length) for example in examples]
        self.labelled = _TextBatches(documents, labels, tokenizer, batch_size, seed, masking)
        self.unlabelled: _TextBatches | None = None
        if task.unlabelled:
            documents = [task.document(text, tokenizer, max_length) for text in task.unlabelled]
            self.unlabelled = _TextBatches(documents, None, tokenizer, batch_size, seed, masking)
        kinds = [self.labelled, *([self.unlabelled] if self.unlabelled else [])]
        self.steps_per_epoch = self.labelled.steps_per_epoch * len(kinds)
        self.longest = max(max(batches.lengths) for batches in kinds) + 2
        self.diagnostics = {"texts": len(examples), "unlabelled": len(task.unlabelled)}

    def __call__(self, step: int) -> tuple[Inputs, dict[str, Tensor]]:
        """Return inputs and targets of a step, counted from 0; a batch of unlabelled texts has no `labels`."""
        if self.unlabelled is None:
            return self.labelled(step)
        return (self.unlabelled if step % 2 else self.labelled)(step // 2)


class _TextBatches(BatchesByLength):
    def __init__(
        self,
        documents: Sequence[Document],
        labels: NDArray[np.int64] | None,
        tokenizer: CharTokenizer,
        batch_size: int,
        seed: int,
        masking: "Masking | None",
    ):
        lengths = [max(map(len, document.windows)) for document in documents]
        super().__init__(lengths, batch_size, seed)
        self.documents, self.labels, self.tokenizer, self.masking = documents, labels, tokenizer, masking

    @override
    def collate(self, examples: Sequence[int], step: int) -> tuple[Inputs, dict[str, Tensor]]:
        random = np.random.default_rng([self.seed, 3, step])
        chosen = [self.documents[index] for index in examples]
        windows = [(document.encoding, document.windows[random.integers(len(document.windows))]) for document in chosen]
        input_ids, attention_mask = pad_windows(windows, self.tokenizer)
        targets: dict[str, Any] = {}
        if self.masking is not None:
            targets |= self.masking(input_ids, random)
        if self.labels is not None:
            targets["labels"] = self.labels[list(examples)]
        return Inputs.of(input_ids, attention_mask), {name: torch.from_numpy(v) for name, v in targets.items()}


class Masking:
    """Masks tokens of a batch: mostly by [MASK], some by random tokens, some unchanged.

    Args:
        tokenizer: of the model.
        fraction: of the tokens to mask.
        excluded: tokens that are no input, and so are never drawn, besides the special ones.

    Raises:
        ModelError: the vocabulary has no [MASK].
    """

    def __init__(self, tokenizer: CharTokenizer, fraction: float, excluded: Sequence[str] = ()):
        if MASK not in tokenizer.ids:
            raise ModelError(f"the vocabulary has no {MASK}, so no token can be masked; leave out --mlm")
        self.mask_id, self.fraction = tokenizer.ids[MASK], fraction
        self.is_special = np.array([token in SPECIALS or token in excluded for token in tokenizer.tokens])  # [v]
        self.ordinary_ids = np.flatnonzero(~self.is_special)

    def __call__(self, input_ids: NDArray[np.int64], random: np.random.Generator) -> dict[str, NDArray[np.int64]]:
        """Mask tokens of input_ids [b, s] in place; return flat `positions` [m] and the true `ids` [m]."""
        maskable = ~self.is_special[input_ids]
        settings = MaskSettings(self.fraction * maskable.mean(), whole_word=False)
        positions = choose_masked(np.ones_like(maskable), maskable, settings, random)
        flat = input_ids.reshape(-1)
        ids = flat[positions]
        flat[positions] = corrupt(ids, self.mask_id, self.ordinary_ids, random)
        return {"positions": positions, "ids": ids}
