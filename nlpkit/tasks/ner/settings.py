"""Settings of an NER model; torch is not needed."""

from dataclasses import dataclass
from typing import Annotated, Literal

from nlpkit.core.io.json_shapes import NotEmpty, Probability, Size
from nlpkit.core.model.calibration import UNCALIBRATED, Calibration
from nlpkit.core.training.option import Option
from nlpkit.errors import UsageError


@dataclass(frozen=True, slots=True)
class Group:
    """A label of training data that stands for any of several labels of the model.

    Attributes:
        name: of the label in the data.
        labels: of the model.
    """

    name: str
    labels: Annotated[tuple[str, ...], NotEmpty()]


def parse_group(text: str) -> Group:
    """Return the group written as `NAME=A,B…`.

    Raises:
        UsageError: it is not written so.
    """
    name, _, labels = text.partition("=")
    group = Group(name.strip(), tuple(dict.fromkeys(filter(None, map(str.strip, labels.split(","))))))
    if not (group.name and group.labels):
        raise UsageError(f"--group {text}: write it as NAME=LABEL,LABEL, e.g. ORG=company,government")
    return group


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
        groups: labels of the training data that stand for several labels of the model.
    """

    labels: Annotated[tuple[str, ...], NotEmpty()]
    head: Annotated[
        Literal["efficient", "global"], Option("Head: efficient (Efficient GlobalPointer) or global (GlobalPointer).")
    ] = "efficient"
    head_size: Size = 64
    nested: Annotated[bool, Option("Whether entities may overlap.", names=("--nested/--flat",))] = False
    threshold: Probability = 0.5
    calibration: Calibration = UNCALIBRATED
    groups: Annotated[
        tuple[Group, ...],
        Option(
            "Label of the training data that stands for any of several labels of the model, for data with coarser "
            "labels; may be repeated.",
            names=("--group",),
            metavar="NAME=A,B…",
            parse=parse_group,
        ),
    ] = ()
