"""Texts with labels: the records of nlpkit's own format, and the examples that all readers return.

    {"text": "房间很干净", "label": "positive"}               one label
    {"text": "公司裁员后被起诉", "labels": ["裁员", "起诉"]}    any number of labels
    {"question": "花呗怎么还款", "candidate": "花呗还款方式", "label": "1"}     a pair, with --field and --pair

A set in which any record has a list is multi-label. A label is a string; a whole number stands for its digits.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nlpkit.core.io.records import Line
from nlpkit.errors import DataError

if TYPE_CHECKING:  # help pages load this module, and have to be fast
    import numpy as np
    from numpy.typing import NDArray

Input = str | tuple[str, str]  # a text, or a pair of texts


@dataclass(frozen=True, slots=True)
class Example:
    """A text, or a pair of texts, with its gold labels, and its line in a file.

    Attributes:
        text: the text, or the first one of a pair.
        labels: without duplicates; one of them unless `multiple`.
        line: of the record.
        second: the second text of a pair.
        multiple: whether the record has a list of labels.
    """

    text: str
    labels: tuple[str, ...]
    line: Line
    second: str | None = None
    multiple: bool = False

    @property
    def input(self) -> Input:
        """What a predictor reads."""
        return self.text if self.second is None else (self.text, self.second)


@dataclass(frozen=True, slots=True)
class Answer:
    """The labels of a text.

    Attributes:
        scores: [c], of all labels of the model in their order.
        labels: of the text, the best one first; one at most unless the model gives several.
        truncated: whether a pair was too long for the model and lost tokens at the end of its texts.
    """

    scores: "NDArray[np.float64]"
    labels: tuple[str, ...] = ()
    truncated: bool = False


def make_example(line: Line, text: Any, labels: Any, second: Any = None, *, pair: bool = False) -> Example:
    """Check the texts and labels of a record, in any format, and return the example.

    Args:
        line: of the record.
        text: the text.
        labels: a label, or a list of labels.
        second: the second text of a pair.
        pair: whether the record is a pair.

    Raises:
        DataError: a text is missing, or a label is missing, empty or of another type.
    """
    if not isinstance(text, str):
        raise line.error("the record has no text, or it is not a string; name the field that holds it with --field")
    if pair and not isinstance(second, str):
        raise line.error("the record has no second text, or it is not a string; name its field with --pair")
    multiple = isinstance(labels, (list, tuple))
    checked = tuple(dict.fromkeys(_label(line, label) for label in (labels if multiple else [labels])))
    return Example(text, checked, line, second if pair else None, multiple)


def to_record(example: Example) -> dict[str, Any]:
    """Return the record of an example in nlpkit's own format; the second text of a pair is in the field `second`."""
    texts = {"text": example.text} | ({} if example.second is None else {"second": example.second})
    return texts | ({"labels": list(example.labels)} if example.multiple else {"label": example.labels[0]})


def _label(line: Line, label: Any) -> str:
    if isinstance(label, dict):  # as in the output of the command
        label = label.get("label")
    if type(label) is int:
        label = str(label)
    if label is None:
        raise line.error("the label is null; name one, or leave the record out")
    if not isinstance(label, str):
        raise line.error(f"a label must be a string, this is {label!r}")
    if not label.strip():
        raise line.error("the label is empty; name one, or leave the record out")
    return label.strip()


def labels_of(examples: Sequence[Example], files: Sequence[str]) -> dict[str, int]:
    """Return the labels of a training set in alphabetical order, with the number of examples of each.

    Raises:
        DataError: there are fewer than two.
    """
    counts = Counter(label for example in examples for label in example.labels)
    if len(counts) < 2:
        only = f"all examples have the label {next(iter(counts))!r}" if counts else "no example has a label"
        raise DataError(f"{only}; a classifier needs two labels or more", ", ".join(files))
    return dict(sorted(counts.items()))
