"""Tasks that find spans in texts of any length: windows, batches, merging and thresholds, once for all of them.

text ─ tokenizer ─▶ Encoding ─ split ─▶ windows ─▶ rows ─ network ─▶ outputs ─ decode ─▶ findings of each window
─ assemble ─▶ the answer, in character offsets
"""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import torch
from torch import Tensor
from typing_extensions import Self

from nlpkit.core.io.stream import WINDOW, token_batches
from nlpkit.core.model.task import Answer, Dataset, Example, Inputs, Network, Prediction, Task
from nlpkit.core.text.tokenizer import CharTokenizer, Encoding
from nlpkit.core.text.windows import Window, split
from nlpkit.core.training.dataset import WindowRows, make_rows, with_joined
from nlpkit.nn.backbones import Backbone
from nlpkit.nn.layers.dropout import Dropout
from nlpkit.nn.layers.norm import Standardize

if TYPE_CHECKING:
    from nlpkit.core.model.model import Model

Target = TypeVar("Target")  # the gold of one window, in positions of its row
Finding = TypeVar("Finding")  # what decode finds in one row

CPU_BUDGET, GPU_BUDGET = 2048, 32768  # units in a batch, padding included
CELLS = 8192  # cells of the pointers' matrices that cost as much as a unit
THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(2, 19))  # 0.10 … 0.90


@dataclass(frozen=True, slots=True)
class Document:
    """A text with its units and windows."""

    text: str
    encoding: Encoding
    windows: list[Window]

    @classmethod
    def of(cls, text: str, tokenizer: CharTokenizer, max_length: int) -> "Document":
        """The units of a text and the windows that fit rows of `max_length` with [CLS] and [SEP]."""
        encoding = tokenizer.encode(text)
        return cls(text, encoding, split(text, encoding, max_length - 2))


class SpanNetwork(Network):
    """A backbone whose states, standardised, are read by pointers.

    Args:
        backbone: an encoder; see `nn.backbones`.
    """

    def __init__(self, backbone: Backbone):
        super().__init__()
        self.backbone = backbone
        self.standardize = Standardize(backbone.hidden_size)
        self.dropout = Dropout(0.1)

    def states(self, inputs: Inputs) -> Tensor:
        """What the pointers read, [b, s, d], in fp32 for a backbone of any precision."""
        hidden = self.backbone(inputs.input_ids, inputs.mask)
        with torch.autocast(hidden.device.type, enabled=False):
            return self.dropout(self.standardize(hidden.float()))  # type: ignore[no-any-return]

    @torch.no_grad()
    def measure(self, batches: Dataset) -> None:
        """See `Network`: the mean and deviation of the states of the first batch."""
        inputs = batches(0)[0].to(self.standardize.mean.device)
        self.standardize.calibrate(self.backbone(inputs.input_ids, inputs.mask)[inputs.mask])


class SpanTask(Task[Example, Answer], Generic[Example, Target, Finding, Answer]):
    """The slice's side of the contract, for spans; a dataclass with a field `threshold`."""

    threshold: float

    @property
    @abstractmethod
    def width(self) -> int:
        """How many s × s matrices the heads make of a row; it bounds the batches."""

    @abstractmethod
    def target(self, example: Example, document: Document, window: Window) -> Target:
        """The gold inside a window; row position = unit − window.begin + 1, as position 0 is [CLS]."""

    @abstractmethod
    def misaligned(self, example: Example, document: Document) -> int:
        """How many gold items do not fall on unit boundaries, so that the model can never find them."""

    @abstractmethod
    def join(self, examples: Sequence[Example]) -> Example:
        """One example of several texts, written one behind the other."""

    @abstractmethod
    def collate(self, targets: Sequence[Target], size: int) -> dict[str, Tensor]:
        """Label tensors for rows of `size` positions."""

    @abstractmethod
    def decode(self, outputs: Any, inputs: Inputs, floor: float) -> list[Finding]:
        """What is found in each row, in row positions, with a probability above the floor."""

    @abstractmethod
    def assemble(self, document: Document, found: Sequence[Finding], threshold: float) -> Answer:
        """The answer from what was found above a threshold in a document's windows, in character offsets."""

    def dataset(
        self,
        examples: Sequence[Example],
        tokenizer: CharTokenizer,
        *,
        max_length: int,
        batch_size: int,
        seed: int,
        join: int = 1,
    ) -> WindowRows:
        """See `Task`."""
        return WindowRows(self, with_joined(self, examples, join, seed), tokenizer, max_length, batch_size, seed)

    def find(self, model: "Model[Any]", texts: Sequence[str], floor: float) -> Iterator[tuple[Document, list[Finding]]]:
        """Each text as a document, with what its windows hold; these go through in batches of similar length."""
        documents = [Document.of(text, model.tokenizer, model.max_length) for text in texts]
        pieces = [(document, window) for document in documents for window in document.windows]
        found: dict[int, Finding] = {}
        budget = GPU_BUDGET if model.device.type == "cuda" else CPU_BUDGET
        model.network.eval()
        for batch in token_batches([self._cost(len(window) + 2) for _, window in pieces], budget):
            rows = [(pieces[index][0].encoding, pieces[index][1]) for index in batch]
            inputs = make_rows(rows, model.tokenizer).to(model.device)
            with torch.inference_mode():
                decoded = self.decode(model.network(inputs), inputs, floor)
            found |= zip(batch, decoded, strict=True)
        remaining = iter(range(len(pieces)))
        for document in documents:
            yield document, [found[next(remaining)] for _ in document.windows]

    def predict(self, model: "Model[Any]", texts: Sequence[str]) -> list[Prediction[Answer]]:
        """See `Task`."""
        return [
            Prediction(self.assemble(document, found, self.threshold), len(document.windows))
            for document, found in self.find(model, texts, self.threshold)
        ]

    def notes(self, model: "Model[Any]", examples: Sequence[Example]) -> dict[str, Any]:
        """See `Task`."""
        documents = ((e, Document.of(e.text, model.tokenizer, model.max_length)) for e in examples)  # type: ignore[attr-defined]
        return {"misaligned": sum(self.misaligned(example, document) for example, document in documents)}

    def at(self, threshold: float) -> Self:
        """See `Task`."""
        return replace(self, threshold=threshold)  # type: ignore[type-var]

    def tuned(self, model: "Model[Any]", examples: Sequence[Example]) -> Self:
        """See `Task`: the best of `THRESHOLDS`, of equally good ones the nearest to 0.5."""
        found: list[tuple[Document, list[Finding]]] = []
        for start in range(0, len(examples), WINDOW):
            texts = [example.text for example in examples[start : start + WINDOW]]  # type: ignore[attr-defined]
            found += self.find(model, texts, min(THRESHOLDS))

        def quality(threshold: float) -> tuple[float, float]:
            answers = (self.assemble(document, rows, threshold) for document, rows in found)
            return self.score(zip(examples, answers, strict=True))[self.metric], -abs(threshold - 0.5)

        return self.at(max(THRESHOLDS, key=quality))

    def _cost(self, size: int) -> int:
        """What a row takes of a batch's budget: its units, or its share of the heads' matrices where that is more."""
        return max(size, size * size * self.width // CELLS)
