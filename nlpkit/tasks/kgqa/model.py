"""The network: a backbone read as UniLM, with two heads on it.

The *generator* is the language-model head over the vocabulary; its output matrix is the embedding's, and it goes on
with the weights of the masked language model where the backbone's checkpoint has them. The *ranker* reads the state in
which a key is complete, and what the strings say (`candidates`): a wide part sees only these, and a deep part, which
begins at 0, sees both. Their sum and the score of the name's borders are a logit; "none of them" has the logit 0.

The *borders* are where the subject's name begins and ends in the question, whatever the graph holds: two distributions
over the question's tokens. They tell a name from one that is only a part of the name in the question, however few other
names the graph has.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from nlpkit.core.model.task import Inputs, Network
from nlpkit.nn.backbones import Backbone
from nlpkit.nn.layers.dropout import Dropout
from nlpkit.nn.layers.kv_cache import KeyValueCache, TokenBatch
from nlpkit.nn.layers.norm import rms_norm
from nlpkit.nn.layers.prepack import prepacked

LOWEST = -1e4  # a logit that takes no part
DEEP_SIZE, WIDE_SIZE = 128, 32
FEATURE_SCALE = 4.0  # brings most of them to a deviation of about 1
BORDERS = 2  # start and end
LOWEST_BORDER = -5.0  # log-probability of the border of a name that is not in the question
BORDER_WEIGHT = 0.5  # of these in a logit, before training


class KgqaNetwork(Network):
    """Generates keys and ranks them.

    Args:
        backbone: one that takes positions.
        features: of a candidate.
        weights: of the losses: ranker, generator over the vocabulary, generator over what the tree allows, absence,
            borders.
    """

    def __init__(self, backbone: Backbone, features: int, weights: Sequence[float]):
        super().__init__()
        self.backbone = backbone
        self.transform = nn.Linear(backbone.hidden_size, backbone.hidden_size, bias=False)
        self.bias = nn.Parameter(torch.zeros(backbone.vocab_size))
        self.vocabulary: Callable[[Tensor], Tensor] | None = None  # the generator's last product, once all is fixed
        self.dropout = Dropout(0.1)
        self.wide = nn.Sequential(nn.Linear(features, WIDE_SIZE), nn.GELU(), nn.Linear(WIDE_SIZE, 1))
        self.deep = nn.Sequential(
            nn.Linear(backbone.hidden_size + features, DEEP_SIZE), nn.GELU(), nn.Linear(DEEP_SIZE, 1, bias=False)
        )
        self.borders = nn.Linear(backbone.hidden_size, BORDERS)
        self.border_weight = nn.Parameter(torch.full((1,), BORDER_WEIGHT))
        nn.init.zeros_(self.deep[2].weight)  # type: ignore[arg-type]
        self.weights = tuple(weights)
        self._continue(backbone.extra_weights)

    def _continue(self, beside: dict[str, Tensor]) -> None:
        """Take over the heads that stood beside the backbone, if their shapes fit."""
        ours = self.state_dict()
        fitting = {name: value for name, value in beside.items() if name in ours and ours[name].shape == value.shape}
        if not self.bias.is_meta:
            self.load_state_dict(fitting, strict=False)

    @property
    def device(self) -> torch.device:
        """Device of the weights."""
        return self.bias.device

    def forward(self, inputs: Inputs) -> Tensor:
        """The last states [b, s, d], in fp32 for a backbone of any precision."""
        states = self.backbone(inputs.input_ids, inputs.attention_mask, inputs.token_type_ids, inputs.position_ids)
        return states.float()  # type: ignore[no-any-return]

    def read(self, units: TokenBatch, asked: Tensor, cache: KeyValueCache) -> Tensor:
        """See `Backbone.forward_with_cache`; in fp32 for a backbone of any precision."""
        return self.backbone.forward_with_cache(units, asked, cache).float()

    def generate(self, states: Tensor) -> Tensor:
        """Logits [n, V] of the unit that follows each state [n, d]."""
        hidden = rms_norm(F.gelu(self.transform(states)))
        if self.vocabulary is not None:
            return self.vocabulary(hidden)
        return F.linear(hidden, self.backbone.token_embeddings.to(hidden.dtype), self.bias).float()

    @override
    def prepare_for_inference(self) -> None:
        """Repack the weights; the matrix of the vocabulary in fp32, whatever the precision of the backbone."""
        super().prepare_for_inference()
        matrix = self.backbone.token_embeddings
        with torch.device("meta"):
            linear = nn.Linear(self.backbone.hidden_size, self.backbone.vocab_size)
        linear.weight, linear.bias = nn.Parameter(matrix.float(), requires_grad=False), self.bias
        self.vocabulary = prepacked(linear).forward  # no module of this one: its weights are the backbone's

    def border_scores(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Return the log-probabilities [b, s, 2] in fp32 that the subject's name begins and ends at each token.

        Args:
            states: [b, s, d].
            lengths: [b] tokens of each question, [CLS] and [SEP] included.
        """
        with torch.autocast(states.device.type, enabled=False):
            scores: Tensor = self.borders(states.float())
        places = torch.arange(states.shape[1], device=states.device)
        inside = (places > 0) & (places < lengths[:, None] - 1)
        return scores.masked_fill(~inside[..., None], LOWEST).log_softmax(1)

    def rank(self, states: Tensor, features: Tensor, borders: Tensor) -> Tensor:
        """Return the logit [n] of each key in fp32.

        Args:
            states: [n, d] in which the keys are complete.
            features: [n, f].
            borders: [n, 2] log-probabilities of the borders of their names.
        """
        with torch.autocast(states.device.type, enabled=False):
            deep: Tensor = self.deep(torch.cat([self.dropout(states.float()), features * FEATURE_SCALE], -1))
        return self.glance(features) + deep[:, 0] + self.border_weight * borders.sum(-1)

    def glance(self, features: Tensor) -> Tensor:
        """The wide part [n] of the logits in fp32, from the features [n, f] alone."""
        with torch.autocast(features.device.type, enabled=False):
            scores: Tensor = self.wide(features * FEATURE_SCALE)
        return scores[:, 0]

    def loss(self, inputs: Inputs, targets: dict[str, Tensor]) -> Tensor:
        """The weighted sum of the losses; for the targets see `dataset.KeyRows`."""
        table = self(inputs)
        states = table.flatten(0, 1)
        ranker, generator, tree, absent, border = self.weights
        total: Tensor = states.new_zeros(())
        borders = self.border_scores(table, targets["lengths"])
        if border:
            total = total + border * border_loss(borders, targets["spans"])
        if ranker or absent:
            found = at_borders(borders.detach(), targets["rows"], targets["mentions"])
            scores = self.rank(states[targets["leaves"]], targets["features"], found)
            total = total + ranker * choice_loss(scores + targets["log_weights"], targets, targets["gold"])
            without = scores.masked_fill(targets["hidden"], LOWEST) + targets["log_weights"]
            total = total + absent * choice_loss(without, targets, torch.full_like(targets["gold"], -1))
        if (generator or tree) and len(targets["path"]):
            logits = self.generate(states[targets["path"]])  # the largest product: in the precision of the backbone
            if generator:
                total = total + generator * F.cross_entropy(logits, targets["next"])
            if tree:
                total = total + tree * tree_loss(logits, targets)
        return total


def at_borders(borders: Tensor, rows: Tensor, mentions: Tensor) -> Tensor:
    """Return the log-probabilities [n, 2] of the borders of mentions, at least `LOWEST_BORDER`.

    Args:
        borders: [b, s, 2].
        rows: [n] the question of each mention.
        mentions: [n, 2] columns of its first and its last token; -1 where it is not in the question.
    """
    found = torch.stack([borders[rows, mentions[:, side].clamp(min=0), side] for side in range(BORDERS)], -1)
    return found.masked_fill(mentions < 0, LOWEST_BORDER).clamp(min=LOWEST_BORDER)


def border_loss(borders: Tensor, spans: Tensor) -> Tensor:
    """Return the mean cross-entropy of both borders of the subject's name; 0 where no question contains it.

    Args:
        borders: [b, s, 2] log-probabilities.
        spans: [b, 2] columns of its first and its last token; -1 where the question does not contain the name.
    """
    known = spans[:, 0] >= 0
    right = borders[known].gather(1, spans[known][:, None, :])
    return -right.sum() / (BORDERS * known.sum()).clamp(min=1)


def choice_loss(scores: Tensor, targets: dict[str, Tensor], gold: Tensor) -> Tensor:
    """Mean cross-entropy of the right key among a question's keys and "none of them", whose logit is 0.

    Args:
        scores: [n] of the keys of all questions.
        targets: `rows` [n] the question of each key, `slots` [n] its place there.
        gold: [b] the place of the right key; −1 where it is none of them.
    """
    rows, slots = targets["rows"], targets["slots"]
    width = int(slots.max()) + 2 if len(slots) else 1
    table = scores.new_full((len(gold), width), LOWEST)
    table[:, 0] = 0.0
    table = table.index_put((rows, slots + 1), scores)
    return F.cross_entropy(table, gold + 1)


def tree_loss(logits: Tensor, targets: dict[str, Tensor]) -> Tensor:
    """Mean cross-entropy over the units that the tree allows at each place, as the search renormalises them.

    Summed over the places of a question, averaged over questions; places without a choice cost nothing.

    Args:
        logits: [m, V].
        targets: `next` [m]; `allowed` [k] units, flat, with the place of each, `allowed_rows` [k]; `rows_in_path` [1],
            the number of questions.
    """
    rows, allowed = targets["allowed_rows"], targets["allowed"]
    if not len(rows):
        return logits.sum() * 0.0
    chosen = logits[rows, allowed]
    highest = logits.detach().amax(-1)
    sums = torch.zeros_like(highest).index_add(0, rows, (chosen - highest[rows]).exp())
    places: Tensor = torch.unique(rows)
    normaliser = sums[places].log() + highest[places]
    right = logits[places, targets["next"][places]]
    return (normaliser - right).sum() / targets["questions"]
