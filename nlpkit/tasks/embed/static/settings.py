"""Settings of static vectors, `nlpkit train static`; torch is not needed."""

from dataclasses import dataclass
from typing import Annotated

from nlpkit.core.training.option import Option


@dataclass(frozen=True, slots=True)
class DistilSettings:
    """How static vectors are distilled from a model."""

    dim: Annotated[
        int | None,
        Option("Number of dimensions.", min=1, metavar="K", none="256, or all of a model that has fewer"),
    ] = None
    tokens: Annotated[int, Option("Maximum number of characters and words.", min=1000)] = 40_000
    lines: Annotated[int, Option("Number of lines to learn from, sampled at random; pairs are added.", min=100)] = (
        300_000
    )
    smoothing: Annotated[
        float, Option("Smoothing a of the initial weights a / (a + p), p the frequency.", min=1e-6)
    ] = 1e-3
    epochs: Annotated[int, Option("Number of passes over the sentences (0: keep the initial vectors).", min=0)] = 10
    lr: Annotated[
        float,
        Option("Peak learning rate, relative to the root mean square of the initial vectors.", min=0.0),
    ] = 0.2
    pair_weight: Annotated[
        float, Option("Weight of the scores of the pairs, relative to the model's vectors.", min=0.0)
    ] = 0.03
    similarity_weight: Annotated[
        float,
        Option("Weight of the model's cosines of pairs and of nearest neighbours, relative to its vectors.", min=0.0),
    ] = 6.0
    seed: Annotated[int, Option("Random seed.")] = 42
    min_count: int = 5  # tokens that are rarer are left out
    batch_size: int = 512  # sentences, and as many pairs
