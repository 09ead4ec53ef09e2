"""Task of question answering over a knowledge graph."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

from typing_extensions import override

from nlpkit.core.io.records import ErrorPolicy
from nlpkit.core.model.calibration import Outcome
from nlpkit.core.model.loading import load_predictor
from nlpkit.core.onnx.weights import StoredWeights
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.errors import UsageError
from nlpkit.nn.configs import EncoderConfig
from nlpkit.tasks import default_model
from nlpkit.tasks.kgqa.data import FIELDS, Example, Reply, to_record
from nlpkit.tasks.kgqa.graph.graph import Graph
from nlpkit.tasks.kgqa.metric import is_right, scores
from nlpkit.tasks.kgqa.pipeline import GraphTask, KgqaPredictor
from nlpkit.tasks.kgqa.retrieval.candidates import NUM_FEATURES
from nlpkit.tasks.kgqa.rules import read_rules
from nlpkit.tasks.kgqa.settings import KgqaSettings, SearchMode

if TYPE_CHECKING:  # they import torch or onnxruntime
    import torch

    from nlpkit.nn.backbones import Backbone
    from nlpkit.nn.network import Network
    from nlpkit.tasks.kgqa.network.model import KgqaNetwork
    from nlpkit.tasks.kgqa.network.onnx_runner import OnnxKgqaRunner
    from nlpkit.tasks.kgqa.network.torch_runner import TorchKgqaRunner
    from nlpkit.tasks.kgqa.training.dataset import KeyDataset


class KgqaTask(GraphTask):
    """Question answering over a knowledge graph."""

    name: ClassVar[str] = "kgqa"
    settings_type: ClassVar[type] = KgqaSettings
    predictor_type: ClassVar[type] = KgqaPredictor
    metric: str = "score"
    output_fields: ClassVar[tuple[str, ...]] = FIELDS
    examples_noun: ClassVar[str] = "questions"
    calibrated_fields: ClassVar[tuple[str, ...]] = ("threshold", "mention", "absent", "temperature")

    @override
    @classmethod
    def from_examples(cls, examples: Sequence[Example], sources: Sequence[str], **settings: Any) -> Self:
        """Return the task over the `graph` among the settings; nothing of it depends on the training set."""
        graph: Graph = settings.pop("graph")
        return cls(KgqaSettings(**settings), graph)

    @override
    def to_fields(self, text: str, answer: Reply) -> dict[str, Any]:
        return to_record(text, answer, fields={})

    @override
    def network(self, backbone: "Backbone") -> "KgqaNetwork":
        from nlpkit.tasks.kgqa.network.model import KgqaNetwork

        s = self.settings
        return KgqaNetwork(backbone, NUM_FEATURES, (s.ranker, s.generator, s.tree, s.absence, s.borders))

    @override
    def torch_runner(self, network: "Network", device: "torch.device", dtype: "torch.dtype") -> "TorchKgqaRunner":
        from nlpkit.tasks.kgqa.network.torch_runner import TorchKgqaRunner

        return TorchKgqaRunner(network, device, dtype)

    @override
    def onnx_runner(
        self, config: EncoderConfig, weights: StoredWeights, parameters: int, *, int8: bool
    ) -> "OnnxKgqaRunner":
        from nlpkit.tasks.kgqa.network.onnx_runner import OnnxKgqaRunner

        return OnnxKgqaRunner(config, weights, NUM_FEATURES, parameters, int8=int8)

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
    ) -> "KeyDataset":
        """Return batches of questions with candidate keys; questions are never joined.

        Raises:
            ModelError: the graph was built with another tokenizer.
            UsageError: `join` is not 1.
        """
        from nlpkit.tasks.kgqa.training.dataset import KeyDataset

        if join != 1:
            raise UsageError("--join: questions cannot be joined; leave it out")
        self.graph.check_tokenizer(tokenizer)
        return KeyDataset(
            examples, self.graph, tokenizer, max_length, batch_size, seed, object_tokens=self.settings.object_tokens
        )

    @override
    def score(self, pairs: Iterable[tuple[Example, Reply]]) -> dict[str, Any]:
        """Return exact match and F1 of the best answers of any status; see `metric.scores`."""
        none = ("", "", "")
        return scores((gold.triple, reply.answers[0].triple if reply.answers else none) for gold, reply in pairs)

    @override
    def outcomes(self, pairs: Iterable[tuple[Example, Reply]]) -> dict[str, list[Outcome]]:
        """Return the scores of the best answers of any status, and whether they are right; rules have no score."""
        best = [(gold.triple, reply.answers[0]) for gold, reply in pairs if reply.answers and not reply.rule]
        return {"ece": [(answer.score, is_right(triple, answer.triple)) for triple, answer in best]}


def load(
    name: str | None = None,
    device: str = "auto",
    dtype: str = "auto",
    *,
    graph: str,
    runtime: str = "auto",
    rules: str | None = None,
    on_error: ErrorPolicy | None = None,
    threshold: float | None = None,
    search: SearchMode | None = None,
    beam: int | None = None,
    look_ahead: bool | None = None,
) -> KgqaPredictor:
    """Return the predictor of a kgqa model over a graph.

    Args:
        name: embedded model, folder or hub name (default: the embedded model of the task).
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps`.
        dtype: `auto`, `fp32`, `bf16`, `fp16`, `int8`; precision of the backbone.
        graph: folder of the graph.
        runtime: `auto`, `onnx` or `torch`; see `core.onnx.choice.onnx_dtype`.
        rules: path of a file of rules; see `rules.read_rules`.
        on_error: error policy for invalid rules (default: raise).
        threshold: minimum probability of an answer with the status `ok` (default: the model's own).
        search: see `KgqaSettings` (default: the model's own).
        beam: width of the beam (default: the model's own).
        look_ahead: see `KgqaSettings` (default: the model's own).

    Raises:
        DataError: there is no such graph, or a rule is invalid.
        ModelError: there is no such kgqa model, or its tokenizer is not that of the graph.
    """

    def make_task(settings: KgqaSettings, tokenizer: CharTokenizer) -> KgqaTask:
        opened = Graph.open(graph, tokenizer)
        return KgqaTask(settings, opened, read_rules(rules, opened, on_error) if rules else None)

    name = name or default_model("kgqa")
    predictor: KgqaPredictor = load_predictor(name, KgqaTask, device, dtype, runtime=runtime, make_task=make_task)
    changes = {"threshold": threshold, "search": search, "beam": beam, "look_ahead": look_ahead}
    return predictor.changed(**{name: value for name, value in changes.items() if value is not None})
