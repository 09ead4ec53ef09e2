"""Tasks that read texts window by window: batches, windows and thresholds, once for all of them.

text → tokenizer → Encoding → split → windows → sequences → network → outputs → decode → findings of each window
→ assemble → the answer, in character offsets
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from nlpkit.core.io.stream import CHUNK_SIZE
from nlpkit.core.model.calibration import Outcome
from nlpkit.core.model.predictor import Prediction, Predictor, SequenceRunner
from nlpkit.core.model.task import Answer, Example, Settings, Task
from nlpkit.core.text.document import Document
from nlpkit.core.text.padding import TokenBudget, pad_windows
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.core.text.windows import Window
from nlpkit.errors import UsageError

if TYPE_CHECKING:  # it imports torch
    from nlpkit.nn.network import Dataset

Target = TypeVar("Target")  # the gold of one window, in positions of its sequence
Finding = TypeVar("Finding")  # what `decode` finds in one sequence

LOGITS_PER_TOKEN = 8192  # numbers of s × s matrices that cost as much as a token
THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(2, 19))  # 0.10 … 0.90


class TextTask(Task[Settings, Example, Answer], Generic[Settings, Example, Target, Finding, Answer]):
    """A task whose network reads the windows of a text one by one; an example has a `text`.

    Attributes:
        matrices_per_sequence: number of s × s matrices that the heads compute for a sequence; it bounds the batches.
    """

    matrices_per_sequence: int = 0

    def document(self, text: Any, tokenizer: CharTokenizer, max_length: int) -> Document:
        """Return an input of the predictor as a document, in windows for sequences of `max_length` tokens."""
        return Document.of(text, tokenizer, max_length)

    @abstractmethod
    def target(self, example: Example, document: Document, window: Window) -> Target:
        """Return the gold inside a window."""

    @abstractmethod
    def collate(self, targets: Sequence[Target], size: int) -> dict[str, NDArray[Any]]:
        """Return the labels of sequences padded to `size` positions."""

    @abstractmethod
    def decode(self, outputs: Any, attention_mask: NDArray[np.bool_], min_score: float) -> list[Finding]:
        """Return what is found in each sequence with at least a probability.

        Args:
            outputs: of the network, with arrays of numpy for its tensors.
            attention_mask: [b, s], True at tokens.
            min_score: the probability.
        """

    @abstractmethod
    def assemble(self, document: Document, findings: Sequence[Finding], threshold: float) -> Answer:
        """Return the answer to a text from the findings in its windows."""

    @property
    def min_probability(self) -> float:
        """The threshold as a probability of the network, which `decode` and `assemble` take."""
        return self.settings.threshold  # type: ignore[attr-defined,no-any-return]

    def calibrated(self, answer: Answer) -> Answer:
        """Return an answer with scores in place of the probabilities of the network."""
        return answer

    def calibration_of(self, probability: float, outcomes: Mapping[str, Sequence[Outcome]]) -> dict[str, Any]:
        """Return the settings that make a probability the threshold, and calibrate the scores, as changes.

        Args:
            probability: of the network.
            outcomes: of `outcomes`, for answers that are not calibrated, at this threshold.
        """
        return {"threshold": probability}

    def misaligned(self, example: Example, document: Document) -> int:
        """Return the number of gold items that are not made of whole tokens, so that the model can never find them."""
        return 0

    def join(self, examples: Sequence[Example]) -> Example:
        """Return one example of several texts, concatenated.

        Raises:
            UsageError: texts of this task cannot be concatenated.
        """
        raise UsageError(f"--join: examples of `nlpkit {self.name}` cannot be joined; leave it out")

    @override
    def dataset(
        self,
        examples: Sequence[Example],
        tokenizer: CharTokenizer,
        *,
        max_length: int,
        batch_size: int,
        seed: int,
        join: int = 1,
    ) -> "Dataset":
        from nlpkit.core.model.dataset import WindowDataset, with_joined

        joined = with_joined(examples, self.join, join, seed)
        return WindowDataset(self, joined, tokenizer, max_length, batch_size, seed)

    def cost(self, size: int) -> int:
        """Return what a sequence takes of the budget of a batch: its tokens, or its matrices where they cost more."""
        return max(size, size * size * self.matrices_per_sequence // LOGITS_PER_TOKEN)


class TextPredictor(Predictor[TextTask[Any, Any, Any, Any, Answer], Answer], Generic[Answer]):
    """Predicts with a `TextTask`, in batches of windows of similar length."""

    runner: SequenceRunner
    budget = TokenBudget(cpu=2048, gpu=32768)

    def find(self, texts: Sequence[Any], min_score: float) -> Iterator[tuple[Document, list[Any]]]:
        """Yield each text as a document with the findings in its windows."""
        documents = [self.task.document(text, self.tokenizer, self.max_length) for text in texts]
        pieces = [(document, window) for document in documents for window in document.windows]
        findings: dict[int, Any] = {}
        costs = [self.task.cost(len(window) + 2) for _, window in pieces]
        for batch in self.budget.batches(costs, self.runner.device_type):
            sequences = [(pieces[index][0].encoding, pieces[index][1]) for index in batch]
            input_ids, attention_mask = pad_windows(sequences, self.tokenizer)
            decoded = self.task.decode(self.runner(input_ids, attention_mask), attention_mask, min_score)
            findings |= zip(batch, decoded, strict=True)
        remaining = iter(range(len(pieces)))
        for document in documents:
            yield document, [findings[next(remaining)] for _ in document.windows]

    @override
    def predictions(self, texts: Sequence[str]) -> list[Prediction[Answer]]:
        threshold = self.task.min_probability
        return [
            Prediction(self.task.calibrated(self.task.assemble(document, findings, threshold)), len(document.windows))
            for document, findings in self.find(texts, threshold)
        ]

    @override
    def diagnostics(self, examples: Sequence[Any]) -> dict[str, Any]:
        documents = ((e, Document.of(e.text, self.tokenizer, self.max_length)) for e in examples)
        return {"misaligned": sum(self.task.misaligned(example, document) for example, document in documents)}

    @override
    def calibrate(self, examples: Sequence[Any], keep_threshold: bool = False) -> dict[str, Any]:
        """Return the best of `THRESHOLDS` and the calibration of the scores; of equally good ones the nearest to 0.5.

        Args:
            examples: with gold annotation.
            keep_threshold: return what the model returns now, and calibrate the scores alone.
        """
        thresholds = (self.task.min_probability,) if keep_threshold else THRESHOLDS
        results: list[tuple[Document, list[Any]]] = []
        for start in range(0, len(examples), CHUNK_SIZE):
            texts = [example.text for example in examples[start : start + CHUNK_SIZE]]
            results += self.find(texts, min(thresholds))

        def pairs(threshold: float) -> Iterator[tuple[Any, Answer]]:
            answers = (self.task.assemble(document, findings, threshold) for document, findings in results)
            return zip(examples, answers, strict=True)

        def quality(threshold: float) -> tuple[float, float]:
            return self.task.score(pairs(threshold))[self.task.metric], -abs(threshold - 0.5)

        best = max(thresholds, key=quality)
        return self.task.calibration_of(best, self.task.outcomes(pairs(best)))
