"""Settings of a kgqa model; torch is not needed."""

from dataclasses import dataclass
from typing import Annotated, Literal

from nlpkit.core.io.json_shapes import Probability, Within
from nlpkit.core.training.option import Option

SearchMode = Literal["both", "names", "beam"]
MAX_OBJECT_TOKENS = 64  # the positions of a backbone are limited


@dataclass(frozen=True, slots=True)
class KgqaSettings:
    """Settings of a kgqa model.

    Attributes:
        threshold: minimum score of the best answer for the status `ok`; see `replies`.
        mention: minimum probability that the name of the best answer is the subject of the question, for the status
            `ok`. It is computed from the question alone, not from the graph.
        absent: minimum `p_unanswerable` for the status `not_in_graph`.
        temperature: temperature of the probabilities.
        search: `names` ranks the keys of the names in the question; `beam` generates keys, as published; `both` ranks,
            and adds fuzzy matches or generated keys if the question seems unanswerable.
        beam: beam width.
        look_ahead: whether beam search applies look-ahead; see `decoding.look_ahead`.
        borders: weight of the loss on the borders of the subject's name.
        object_tokens: number of tokens of a key's first object that the ranker reads; 0 if a manifest lacks it.
    """

    threshold: Probability = 0.5
    mention: Annotated[float, Within(0, 1)] = 0.0
    absent: Probability = 0.5
    temperature: Annotated[float, Within(0, open=True)] = 1.0
    search: SearchMode = "both"
    beam: Annotated[int, Within(1, 1000)] = 3
    look_ahead: bool = True
    ranker: Annotated[float, Option("Weight of the ranking loss.", min=0.0)] = 1.0
    generator: Annotated[float, Option("Weight of the language-model loss.", min=0.0)] = 0.1
    tree: Annotated[float, Option("Weight of the tree-constrained language-model loss.", min=0.0)] = 0.1
    absence: Annotated[float, Option("Weight of the loss on unanswerable questions.", min=0.0)] = 0.2
    borders: float = 0.5
    object_tokens: Annotated[
        int,
        Within(0, MAX_OBJECT_TOKENS),
        Option("Number of tokens of a fact's object that the ranking reads.", min=0, max=MAX_OBJECT_TOKENS),
    ] = 0
