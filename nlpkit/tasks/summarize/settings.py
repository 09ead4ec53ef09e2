"""Settings of the training of an extractor; torch is not needed."""

from dataclasses import dataclass
from typing import Annotated

from nlpkit.core.training.option import Option


@dataclass(frozen=True, slots=True)
class SummarizeSettings:
    """Settings of a training run."""

    epochs: Annotated[int, Option("Number of passes over the training set.", min=1)] = 8
    batch_size: Annotated[int, Option("Texts per batch.", min=1)] = 16
    lr: Annotated[float, Option("Learning rate.", min=0.0)] = 1e-3
    seed: Annotated[int, Option("Random seed (weights, order, dropout).")] = 42
    sentences: int | None = None  # of a summary of the dev set
