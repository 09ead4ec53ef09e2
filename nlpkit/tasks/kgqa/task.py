"""The KGQA slice as the core sees it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Any, ClassVar, Literal

from typing_extensions import Self

from nlpkit.core.io.json_shapes import Probability, Within
from nlpkit.core.io.records import OnError
from nlpkit.core.model.model import Model
from nlpkit.core.model.model import load as load_model
from nlpkit.core.model.task import Prediction, Task
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.errors import ModelError, UsageError
from nlpkit.nn.backbones import Backbone
from nlpkit.tasks.kgqa.data import Example, Reply
from nlpkit.tasks.kgqa.graph.graph import DEFAULT_MODEL, Graph
from nlpkit.tasks.kgqa.metric import scores
from nlpkit.tasks.kgqa.model import KgqaNetwork
from nlpkit.tasks.kgqa.pipeline import Answerer
from nlpkit.tasks.kgqa.retrieval.candidates import FEATURES
from nlpkit.tasks.kgqa.rules import Rules
from nlpkit.tasks.kgqa.training.calibrate import calibrate
from nlpkit.tasks.kgqa.training.dataset import KeyRows, find_key

SearchMode = Literal["both", "names", "beam"]


@dataclass(frozen=True)
class KgqaTask(Task[Example, Reply]):
    """Settings of a KGQA model. The graph is none of them: it is given with `on`.

    Attributes:
        threshold: probability from which the best answer is `ok`, if the question contains its name.
        mention: probability from which a name is taken as the subject of the question; an answer about a name below it
            is never `ok`. It is the model's reading of the question alone, whatever the graph holds.
        absent: probability of "none of them" from which the answer is `not_in_graph`.
        temperature: of the probabilities.
        search: `names` ranks the keys of the names in the question; `beam` generates, as published; `both` ranks, and
            generates where the names lead to nothing.
        beam: width of the beam.
        look_ahead: see `search`.
        ranker, generator, tree, absence, borders: weights of the losses; see `model.KgqaNetwork`.
    """

    name: ClassVar[str] = "kgqa"
    metric: ClassVar[str] = "score"
    fitted: ClassVar[tuple[str, ...]] = ("threshold", "mention", "absent", "temperature")

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

    @property
    def graph(self) -> Graph:
        """The one that it answers from.

        Raises:
            UsageError: none was given.
        """
        graph: Graph | None = self.__dict__.get("_graph")
        if graph is None:
            raise UsageError("no graph to answer from; name one with --graph")
        return graph

    def on(self, graph: Graph | None, rules: Rules | None = None) -> Self:
        """The same task over a graph."""
        task = replace(self)
        task.__dict__.update(_graph=graph, _rules=rules or Rules())
        return task

    def changed(self, **changes: Any) -> Self:
        """The same task over the same graph, with other settings."""
        return replace(self, **changes).on(self.__dict__.get("_graph"), self.__dict__.get("_rules"))

    def network(self, backbone: Backbone) -> KgqaNetwork:
        """See `Task`."""
        weights = (self.ranker, self.generator, self.tree, self.absence, self.borders)
        return KgqaNetwork(backbone, FEATURES, weights)

    def dataset(
        self,
        examples: Sequence[Example],
        tokenizer: CharTokenizer,
        *,
        max_length: int,
        batch_size: int,
        seed: int,
        join: int = 1,
    ) -> KeyRows:
        """See `Task`; questions are never joined.

        Raises:
            ModelError: the graph was built with another tokenizer.
        """
        if join != 1:
            raise UsageError("--join: questions cannot be joined; leave it out")
        fitting(self.graph, tokenizer)
        return KeyRows(examples, self.graph, tokenizer, max_length, batch_size, seed)

    def answerer(self, model: Model[Any]) -> Answerer:
        """What answers questions with this model."""
        found: Answerer | None = self.__dict__.get("_answerer")
        if found is None or found.model is not model:
            found = self.__dict__["_answerer"] = Answerer(model, self.graph, self.__dict__["_rules"])
        return found

    def predict(self, model: Model[Any], texts: Sequence[str]) -> list[Prediction[Reply]]:
        """See `Task`."""
        return [Prediction(reply) for reply in self.answerer(model).answer(texts)]

    def explain(self, model: Model[Any], text: str, reply: Reply) -> list[dict[str, Any]]:
        """Return the choices on the way to the best answer, see `explain.steps`; none where a rule answered."""
        if reply.rule or not reply.answers:
            return []
        return self.answerer(model).explain(text, reply.answers[0])

    def score(self, pairs: Iterable[tuple[Example, Reply]]) -> dict[str, Any]:
        """See `metric.scores`; the best answer counts, whatever its status."""
        none = ("", "", "")
        return scores((gold.triple, reply.answers[0].triple if reply.answers else none) for gold, reply in pairs)

    def notes(self, model: Model[Any], examples: Sequence[Example]) -> dict[str, Any]:
        """How many of the gold triples the graph holds."""
        return {"in_graph": sum(find_key(self.graph, example) is not None for example in examples)}

    def at(self, threshold: float) -> Self:
        """See `Task`."""
        return self.changed(threshold=threshold)

    def tuned(self, model: Model[Any], examples: Sequence[Example]) -> Self:
        """See `Task`: temperature, and the thresholds of the statuses."""
        return self.changed(**calibrate(self.answerer(model), examples))


def fitting(graph: Graph, tokenizer: CharTokenizer) -> None:
    """Whether a graph was built with a tokenizer.

    Raises:
        ModelError: it was not.
    """
    if tokenizer.fingerprint != graph.manifest.tokenizer["fingerprint"]:
        cure = "build it again with --model naming this one"
        raise ModelError(f"{graph.folder}: was built with the tokenizer of another model; {cure}")


def load(
    name: str | None,
    graph: str,
    device: str = "auto",
    dtype: str = "auto",
    *,
    rules: str | None = None,
    on_error: OnError | None = None,
    **changes: Any,
) -> Model[KgqaTask]:
    """A trained model over a graph.

    Args:
        name: the embedded model when None.
        graph: the folder.
        device: where to run.
        dtype: in which precision.
        rules: a file; see `rules.read_rules`.
        on_error: what to do with a bad line of it; raises by default.
        changes: settings in place of the model's own; None leaves them.

    Raises:
        DataError: no such graph, or a bad line in the rules.
        ModelError: no such model, not one for KGQA, or one with another tokenizer than the graph's.
    """
    from nlpkit.tasks.kgqa.rules import read_rules

    model = load_model(name or DEFAULT_MODEL, KgqaTask, device, dtype)
    opened = Graph.open(graph, model.tokenizer)
    wanted = {field: value for field, value in changes.items() if value is not None}
    known_rules = read_rules(rules, opened, on_error) if rules else None
    model.task = model.task.on(opened, known_rules).changed(**wanted)
    return model
