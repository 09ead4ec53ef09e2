"""Settings of a classification model; torch is not needed."""

from dataclasses import dataclass
from typing import Annotated

from nlpkit.core.io.json_shapes import Count, NotEmpty, Within
from nlpkit.core.model.calibration import UNCALIBRATED, Calibration
from nlpkit.core.training.option import Option

Fraction = Annotated[float, Within(0, 1)]


@dataclass(frozen=True, slots=True)
class ClassifySettings:
    """Settings of a classification model.

    Attributes:
        labels: in the order of the head.
        counts: number of training examples with each label.
        multiple: whether a text has any number of labels.
        pairs: whether the model reads pairs of texts.
        may_be_empty: with `multiple`, whether a text may have no label: some training examples have none.
        threshold: minimum score of a label. Of one label: below it the answer is no label.
        calibration: of the scores; with one label, only its temperature.
        r_drop: α of R-Drop in training.
        mlm: fraction of tokens masked in training.
        ids: whether texts are ids of unknown tokens; see `ids`.
    """

    labels: Annotated[tuple[str, ...], NotEmpty()]
    counts: tuple[Count, ...] = ()
    multiple: bool = False
    pairs: bool = False
    may_be_empty: bool = False
    threshold: Fraction = 0.0
    calibration: Calibration = UNCALIBRATED
    r_drop: Annotated[
        float,
        Option(
            "Weight α of R-Drop: the network reads every text twice with different dropout masks, and is trained to "
            "answer the same (0: off; 4 is usual; needs --dropout; doubles the cost).",
            min=0.0,
            max=100.0,
        ),
    ] = 0.0
    mlm: Annotated[
        float,
        Option(
            "Fraction of tokens to mask in training; the network also learns to predict them (0: off; 0.15 is usual).",
            min=0.0,
            max=0.5,
        ),
    ] = 0.0
    ids: Annotated[
        bool,
        Option(
            "Read texts as ids of unknown tokens, separated by spaces (desensitized data). The vocabulary is that of "
            "the training texts; its embeddings start from those of the backbone, by rank of frequency."
        ),
    ] = False
