"""Sentence embeddings as the core sees them: what SimCSE and CoSENT train."""

from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, Self, cast, get_args

from typing_extensions import override

from nlpkit.core.model.manifest import MANIFEST, find, read_manifest
from nlpkit.core.model.predictor import Prediction, Predictor
from nlpkit.core.model.pretrained import RANDOM
from nlpkit.core.model.task import Task
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.errors import UsageError
from nlpkit.nn.backbones import Backbone
from nlpkit.tasks.embed.data import Pair
from nlpkit.tasks.embed.dataset import PairDataset
from nlpkit.tasks.embed.encoder.components import Components
from nlpkit.tasks.embed.encoder.encoder import BackboneEmbedder
from nlpkit.tasks.embed.encoder.postprocess import Postprocessor
from nlpkit.tasks.embed.encoder.tokenize import WindowTokenizer
from nlpkit.tasks.embed.metric import pair_scores
from nlpkit.tasks.embed.model import EmbedNetwork
from nlpkit.tasks.embed.pairs import cosines
from nlpkit.tasks.embed.settings import EmbedSettings, Pooling

TRAINED: tuple[str, ...] = get_args(Pooling)


class EmbedPredictor(Predictor[Task[EmbedSettings, Pair, float], Any]):
    """Predicts vectors [d] of unit length; an evaluation compares the cosines of pairs with their scores."""

    @override
    def predictions(self, texts: Sequence[str]) -> list[Prediction[Any]]:
        return [Prediction(vector) for vector in self._embedder().encode(texts)]

    @override
    def answers(self, examples: Sequence[Pair]) -> list[float]:
        return [float(cosine) for cosine in cosines(self._embedder().encode, examples)]

    def _embedder(self) -> BackboneEmbedder:
        backbone, pooling = self.network.backbone, self.task.settings.pooling
        components = Components(
            WindowTokenizer(self.tokenizer, self.max_length), backbone, (pooling,), width=backbone.hidden_size
        )
        self.network.eval()
        return BackboneEmbedder(components, "", "", self.device, Postprocessor())


class EmbedTask(Task[EmbedSettings, Pair, float]):
    """Trains an encoder on sentence pairs."""

    name: ClassVar[str] = "embed"
    settings_type: ClassVar[type] = EmbedSettings
    predictor_type: ClassVar[type] = EmbedPredictor
    metric: str = "mean"
    calibrated_fields: ClassVar[tuple[str, ...]] = ()
    output_fields: ClassVar[tuple[str, ...]] = ("embedding",)

    @override
    @classmethod
    def from_examples(cls, examples: Sequence[Pair], sources: Sequence[str], **settings: Any) -> Self:
        """Return the task; nothing of it depends on the training set."""
        return cls(EmbedSettings(**settings))

    @override
    def to_fields(self, text: str, answer: Any) -> dict[str, Any]:
        return {"embedding": [float(value) for value in answer]}

    @override
    def network(self, backbone: Backbone) -> EmbedNetwork:
        s = self.settings
        return EmbedNetwork(backbone, s.pooling, s.method, s.scale, s.contrast, s.r_drop)

    @override
    def dataset(
        self,
        examples: Sequence[Pair],
        tokenizer: CharTokenizer,
        *,
        max_length: int,
        batch_size: int,
        seed: int,
        join: int = 1,
    ) -> PairDataset:
        """Return batches of pairs; sentences are not joined, and only CoSENT keeps files apart."""
        separate = self.settings.method == "cosent"
        return PairDataset(examples, tokenizer, max_length, batch_size, seed, separate_files=separate)

    @override
    def score(self, pairs: Iterable[tuple[Pair, float]]) -> dict[str, Any]:
        return pair_scores(pairs)


def trained_pooling(name: str, model: str) -> Pooling:
    """Return the pooling to train: for `auto` that of the model, or `mean` where the model has none.

    Raises:
        UsageError: a pooling that cannot be trained, or a static model.
    """
    stored = _stored_pooling(model)
    if name == "auto":
        name = stored if stored in TRAINED else "mean"
    if name not in TRAINED:
        raise UsageError(f"--pooling {name}: to train one of {', '.join(TRAINED)}")
    return cast(Pooling, name)


def _stored_pooling(model: str) -> str:
    """Return the pooling that an nlpkit model was trained with; empty for other models."""
    if RANDOM.fullmatch(model):
        return ""
    folder = find(model)
    if not (folder / MANIFEST).exists():
        return ""
    manifest = read_manifest(folder)
    if manifest.backbone["type"] == "static":
        raise UsageError(f"--model {model}: a table of vectors, which these methods do not train; name an encoder")
    return str(manifest.config.get("pooling", ""))
