"""Training of a table of static vectors on the vectors of an encoder.

The loss of a batch of sentences is 1 − cos(mean, encoder), where the mean is that of the vectors of the tokens. It does
not separate sentences that have words in common. Two losses of pairs are therefore added:

- the mean squared difference between the cosine of two means and that of the encoder's vectors, of given pairs, and of
  each sentence and its nearest neighbour by the table, which is searched before each epoch except the first;
- the CoSENT loss (kexue.fm 8847) of the scores of given pairs.

Shapes: n sentences, d dimensions, v tokens.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from nlpkit.core.io.progress import Progress
from nlpkit.nn.losses import cosent_loss
from nlpkit.tasks.embed.data import Pair
from nlpkit.tasks.embed.static.lexicon import Lexicon
from nlpkit.tasks.embed.static.settings import DistilSettings
from nlpkit.tasks.embed.static.static import BLOCK

HELD_OUT = 50  # one sentence in so many is held out
NEIGHBOURHOOD = 16_384  # sentences among which a nearest neighbour is searched


@dataclass
class Tuning:
    """Training of the table.

    Args:
        lexicon: of the tokens.
        table: [v, d] initial vectors, which are trained in place.
        texts: distinct sentences; the first ones are held out.
        targets: [n, d] unit vectors of the encoder.
        groups: pairs of sentences; only scores of the same group are compared.
        settings: of the distillation.
    """

    lexicon: Lexicon
    table: Tensor
    texts: Sequence[str]
    targets: Tensor
    groups: Sequence[Sequence[Pair]]
    settings: DistilSettings

    def __post_init__(self) -> None:
        self._rows = {text: row for row, text in enumerate(self.texts)}
        self._training = np.arange(max(1, len(self.texts) // HELD_OUT), len(self.texts))

    def cosine(self) -> float:
        """Return the mean cosine to the encoder on the held-out sentences."""
        held_out = np.arange(len(self.texts) - len(self._training))
        return float(F.cosine_similarity(self._unit_means(held_out), self.targets[held_out]).mean())

    def run(self, progress: Progress) -> None:
        """Train the table; `progress` is called with the steps done."""
        size = self.settings.batch_size
        steps_per_epoch = -(-len(self._training) // size)
        total = self.settings.epochs * steps_per_epoch
        lr = self.settings.lr * float(self.table.square().mean().sqrt())
        self.table.requires_grad_()
        optimizer = torch.optim.SparseAdam([self.table], lr=lr)
        weighted = self.settings.pair_weight or self.settings.similarity_weight
        pairs = self._pair_batches() if self.groups and weighted else None
        nearest: NDArray[np.intp] | None = None
        for step in range(total):
            epoch, place = divmod(step, steps_per_epoch)
            if not place:
                random = np.random.default_rng([self.settings.seed, 2, epoch])
                order = random.permutation(len(self._training))
                if epoch and self.settings.similarity_weight:
                    nearest = self._nearest(random)
            batch = order[place * size : (place + 1) * size]
            loss = self._sentence_loss(self._training[batch], None if nearest is None else nearest[batch])
            if pairs is not None:
                loss = loss + self._pair_loss(next(pairs))
            optimizer.param_groups[0]["lr"] = lr * (1 - step / total)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()  # type: ignore[no-untyped-call]
            if step % 20 == 19 or step == total - 1:
                progress("tuning", step + 1, total)

    def _sentence_loss(self, rows: NDArray[np.intp], nearest: NDArray[np.intp] | None) -> Tensor:
        """Return the loss of sentences, and of the pairs of each sentence and its nearest neighbour."""
        ends = rows if nearest is None else np.concatenate([rows, nearest])
        means = self._means(ends)
        loss = (1 - F.cosine_similarity(means[: len(rows)], self.targets[rows])).mean()
        if nearest is not None:
            loss = loss + self._similarity_loss(_cosines(means), ends)
        return loss

    def _pair_loss(self, pairs: Sequence[Pair]) -> Tensor:
        """Return the loss of given pairs."""
        ends = np.array([self._rows[pair.first] for pair in pairs] + [self._rows[pair.second] for pair in pairs])
        cosines = _cosines(self._means(ends))
        scores = torch.tensor([pair.score for pair in pairs])
        return self._similarity_loss(cosines, ends) + self.settings.pair_weight * cosent_loss(cosines, scores)

    def _similarity_loss(self, cosines: Tensor, ends: NDArray[np.intp]) -> Tensor:
        """Return the loss of the cosines [n] of pairs, whose sentences are the rows i and n + i of [2n]."""
        return self.settings.similarity_weight * F.mse_loss(cosines, _cosines(self.targets[ends]))

    def _pair_batches(self) -> Iterator[Sequence[Pair]]:
        """Yield batches of pairs of one group each, every pair equally often, without end."""
        size = self.settings.batch_size
        random = np.random.default_rng([self.settings.seed, 3])
        while True:
            batches = []
            for group in self.groups:
                order = random.permutation(len(group)).tolist()
                batches += [[group[i] for i in order[start : start + size]] for start in range(0, len(order), size)]
            yield from (batches[i] for i in random.permutation(len(batches)))

    def _nearest(self, random: np.random.Generator) -> NDArray[np.intp]:
        """Return the nearest neighbour of each training sentence by the table, among `NEIGHBOURHOOD` random ones.

        A comparison of all sentences would take quadratic time.
        """
        vectors = self._unit_means(self._training)
        nearest = np.arange(len(vectors))  # a sentence alone is its own neighbour
        order = random.permutation(len(vectors))
        for start in range(0, len(order), NEIGHBOURHOOD):
            group = order[start : start + NEIGHBOURHOOD]
            candidates = vectors[group]
            for first in range(0, len(group), BLOCK):
                block = candidates[first : first + BLOCK] @ candidates.T
                block.diagonal(first).fill_(-2)
                if len(group) > 1:
                    nearest[group[first : first + BLOCK]] = group[block.argmax(1).numpy()]
        return self._training[nearest]

    def _unit_means(self, rows: NDArray[np.intp]) -> Tensor:
        """Return unit vectors [n, d] of sentences, without gradients."""
        with torch.inference_mode():
            blocks = (rows[start : start + BLOCK] for start in range(0, len(rows), BLOCK))
            return torch.cat([F.normalize(self._means(block), dim=1) for block in blocks])

    def _means(self, rows: NDArray[np.intp]) -> Tensor:
        """Return vectors [n, d] in the direction of the means; their gradients by the table are sparse."""
        total = torch.zeros(len(rows), self.table.shape[1])
        sparse = self.table.requires_grad and torch.is_grad_enabled()
        for ids, starts in self.lexicon.find([self.texts[row] for row in rows.tolist()]):
            places = torch.from_numpy(ids.astype(np.int64)), torch.from_numpy(starts)
            total = total + F.embedding_bag(places[0], self.table, places[1], mode="sum", sparse=sparse)
        return total


def _cosines(vectors: Tensor) -> Tensor:
    """Return the cosines [n] of the vectors i and n + i of [2n, d]."""
    one, other = vectors.chunk(2)
    return F.cosine_similarity(one, other)
