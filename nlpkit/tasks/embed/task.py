"""The embedding slice as the core sees it: what SimCSE and CoSENT train."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast, get_args

from nlpkit.core.model.manifest import MANIFEST, find, read_manifest
from nlpkit.core.model.model import Model
from nlpkit.core.model.pretrained import RANDOM
from nlpkit.core.model.task import Prediction, Task
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.errors import UsageError
from nlpkit.nn.backbones import Backbone
from nlpkit.tasks.embed.data import Pair
from nlpkit.tasks.embed.dataset import PairRows
from nlpkit.tasks.embed.encoder.encoder import BackboneEmbedder
from nlpkit.tasks.embed.encoder.loading import Parts
from nlpkit.tasks.embed.encoder.postprocess import Finish
from nlpkit.tasks.embed.encoder.tokenize import CharUnits
from nlpkit.tasks.embed.metric import pair_scores
from nlpkit.tasks.embed.model import EmbedNetwork, Method, Pooling
from nlpkit.tasks.embed.pairs import cosines

TRAINED: tuple[str, ...] = get_args(Pooling)


@dataclass(frozen=True)
class EmbedTask(Task[Pair, float]):
    """Settings of an embedding model.

    Attributes:
        method: `simcse`, where a pair is a sentence twice or two wordings of one, or `cosent`.
        pooling: see `nn.pooling`.
        scale: λ of the loss, the inverse of its temperature.
        contrast: weight of SimCSE's loss beside that of CoSENT, on the pairs with the greatest score of their file:
            they should be closer than any two other sentences of the batch.
        r_drop: α of R-Drop: two passes under different dropout should find the same sentences of a batch alike.
    """

    name: ClassVar[str] = "embed"
    metric: ClassVar[str] = "mean"

    method: Method
    pooling: Pooling = "mean"
    scale: float = 20.0
    contrast: float = 0.0
    r_drop: float = 0.0

    def network(self, backbone: Backbone) -> EmbedNetwork:
        """See `Task`."""
        return EmbedNetwork(backbone, self.pooling, self.method, self.scale, self.contrast, self.r_drop)

    def dataset(
        self,
        examples: Sequence[Pair],
        tokenizer: CharTokenizer,
        *,
        max_length: int,
        batch_size: int,
        seed: int,
        join: int = 1,
    ) -> PairRows:
        """See `Task`; sentences are not joined, and only CoSENT must keep files apart."""
        return PairRows(examples, tokenizer, max_length, batch_size, seed, apart=self.method == "cosent")

    def predict(self, model: Model[Any], texts: Sequence[str]) -> list[Prediction[Any]]:
        """See `Task`; an answer is a vector [d] of unit length."""
        return [Prediction(vector) for vector in self._embedder(model).encode(texts)]

    def answers(self, model: Model[Any], examples: Sequence[Pair]) -> list[float]:
        """See `Task`; an answer is the cosine of a pair."""
        return [float(cosine) for cosine in cosines(self._embedder(model).encode, examples)]

    def score(self, pairs: Iterable[tuple[Pair, float]]) -> dict[str, Any]:
        """See `metric.pair_scores`."""
        return pair_scores(pairs)

    def _embedder(self, model: Model[Any]) -> BackboneEmbedder:
        backbone = model.network.backbone
        parts = Parts(
            CharUnits(model.tokenizer, model.max_length), backbone, (self.pooling,), width=backbone.hidden_size
        )
        model.network.eval()
        return BackboneEmbedder(parts, "", "", model.device, Finish())


def trained_pooling(name: str, model: str) -> Pooling:
    """The pooling to train: that of the model for `auto`, and `mean` where it says nothing.

    Raises:
        UsageError: a pooling that is no part of what is trained, or a table of vectors in place of a model.
    """
    said = _said(model)
    if name == "auto":
        name = said if said in TRAINED else "mean"
    if name not in TRAINED:
        raise UsageError(f"--pooling {name}: to train one of {', '.join(TRAINED)}")
    return cast(Pooling, name)


def _said(model: str) -> str:
    """The pooling that a model of ours was trained with."""
    if RANDOM.fullmatch(model):
        return ""
    folder = find(model)
    if not (folder / MANIFEST).exists():
        return ""
    manifest = read_manifest(folder)
    if manifest.backbone["type"] == "static":
        raise UsageError(f"--model {model}: a table of vectors, which these methods do not train; name an encoder")
    return str(manifest.config.get("pooling", ""))
