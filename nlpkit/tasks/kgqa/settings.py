"""Settings of a kgqa model, and the graph that it answers from."""

from dataclasses import dataclass
from typing import Annotated, Literal

from typing_extensions import Self, override

from nlpkit.core.io.json_shapes import Probability, Within
from nlpkit.core.model.task import Task
from nlpkit.tasks.kgqa.data import Example, Reply
from nlpkit.tasks.kgqa.graph.graph import Graph
from nlpkit.tasks.kgqa.rules import Rules

SearchMode = Literal["both", "names", "beam"]


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
        ranker: weight of the ranking loss.
        generator: weight of the language-model loss.
        tree: weight of the tree-constrained language-model loss.
        absence: weight of the loss on unanswerable questions.
        borders: weight of the loss on the borders of the subject's name.
    """

    threshold: Probability = 0.5
    mention: Annotated[float, Within(0, 1)] = 0.0
    absent: Probability = 0.5
    temperature: Annotated[float, Within(0, open=True)] = 1.0
    search: SearchMode = "both"
    beam: Annotated[int, Within(1, 1000)] = 3
    look_ahead: bool = True
    ranker: float = 1.0
    generator: float = 0.1
    tree: float = 0.1
    absence: float = 0.5
    borders: float = 0.5


class GraphTask(Task[KgqaSettings, Example, Reply]):
    """A task over a knowledge graph.

    Args:
        settings: settings of the model.
        graph: graph that was built with the tokenizer of the model.
        rules: rules of the user (default: none).
    """

    def __init__(self, settings: KgqaSettings, graph: Graph, rules: Rules | None = None):
        super().__init__(settings)
        self.graph, self.rules = graph, rules or Rules()

    @override
    def with_settings(self, settings: KgqaSettings) -> Self:
        return type(self)(settings, self.graph, self.rules)
