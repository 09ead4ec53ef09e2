"""Tasks that find spans in texts: what they share."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, ClassVar, Generic

from typing_extensions import override

from nlpkit.core.model import calibration
from nlpkit.core.model.calibration import Outcome
from nlpkit.core.model.task import Answer, Example, Settings
from nlpkit.core.model.text_task import Finding, Target, TextTask
from nlpkit.core.text.document import Document


class SpanTask(
    TextTask[Settings, Example, Target, Finding, Answer], Generic[Settings, Example, Target, Finding, Answer]
):
    """A task whose gold items are spans of a text.

    Targets and findings are in positions of a sequence: token − window.begin + 1, as position 0 is [CLS]. Their
    probabilities are those of the network. The threshold and the scores of answers are calibrated.

    Attributes:
        calibrations: names of the settings with a `Calibration`, by the names in `outcomes`; `calibration`, which
            is also that of the threshold, is among them.
    """

    calibrated_fields: ClassVar[tuple[str, ...]] = ("threshold", "calibration")
    calibrations: ClassVar[dict[str, str]] = {"ece": "calibration"}

    @property
    @override
    def min_probability(self) -> float:
        settings: Any = self.settings
        return settings.calibration.probability(settings.threshold)  # type: ignore[no-any-return]

    @override
    def calibration_of(self, probability: float, outcomes: Mapping[str, Sequence[Outcome]]) -> dict[str, Any]:
        fitted = {self.calibrations[name]: calibration.fit(found) for name, found in outcomes.items()}
        return {"threshold": fitted["calibration"].score(probability), **fitted}

    @override
    @abstractmethod
    def calibrated(self, answer: Answer) -> Answer: ...

    @override
    @abstractmethod
    def outcomes(self, pairs: Iterable[tuple[Example, Answer]]) -> dict[str, list[Outcome]]: ...

    @override
    @abstractmethod
    def misaligned(self, example: Example, document: Document) -> int: ...

    @override
    @abstractmethod
    def join(self, examples: Sequence[Example]) -> Example: ...
