"""Settings of an NER model; torch is not needed."""

from dataclasses import dataclass
from typing import Annotated, Literal

from nlpkit.core.io.json_shapes import NotEmpty, Probability, Size
from nlpkit.core.model.calibration import UNCALIBRATED, Calibration
from nlpkit.core.training.option import Option


@dataclass(frozen=True, slots=True)
class NerSettings:
    """Settings of an NER model.

    Attributes:
        labels: entity types, in the order of the head.
        head: `efficient` or `global` pointer.
        head_size: of the pointer.
        nested: whether overlapping entities are all returned, or only the best of those that overlap.
        threshold: minimum score of an entity.
        calibration: of the scores.
    """

    labels: Annotated[tuple[str, ...], NotEmpty()]
    head: Annotated[
        Literal["efficient", "global"], Option("Head: efficient (Efficient GlobalPointer) or global (GlobalPointer).")
    ] = "efficient"
    head_size: Size = 64
    nested: Annotated[bool, Option("Whether entities may overlap.", names=("--nested/--flat",))] = False
    threshold: Probability = 0.5
    calibration: Calibration = UNCALIBRATED
