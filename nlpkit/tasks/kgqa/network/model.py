"""Network of kgqa: a backbone with UniLM attention, a language-model head, a ranker and a span head.

The *generator* is the language-model head over the vocabulary. Its output matrix is tied to the embeddings, and it is
initialised from the masked-language-model head of the backbone's checkpoint if there is one. The *ranker* is a wide &
deep network: the wide part takes the string features of a candidate (`candidates`), the deep part, initialised to 0,
the features and the hidden state of the key's last token. Their sum and the score of the name's borders are the logit
of a candidate; "unanswerable" has the logit 0.

The *borders* are the first and the last token of the subject's name in the question: two distributions over the
question's tokens, which do not depend on the graph. They distinguish a name from a part of a longer name, even if the
graph does not contain the longer one.
"""

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from nlpkit.nn.backbones import Backbone
from nlpkit.nn.layers.dropout import Dropout
from nlpkit.nn.layers.kv_cache import KeyValueCache
from nlpkit.nn.layers.norm import rms_norm
from nlpkit.nn.layers.prepack import prepacked
from nlpkit.nn.network import Inputs, Network
from nlpkit.nn.tokens import TokenBatch
from nlpkit.tasks.kgqa.network.runner import (
    BORDERS,
    DEEP_SIZE,
    FEATURE_SCALE,
    MASKED_LOGIT,
    MIN_BORDER_SCORE,
    WIDE_SIZE,
)

INITIAL_BORDER_WEIGHT = 0.5  # weight of the border scores in a logit


class KgqaNetwork(Network):
    """Network that generates and ranks keys.

    Args:
        backbone: backbone that takes position ids.
        features: number of features of a candidate.
        weights: weights of the losses: ranker, generator over the vocabulary, generator over the tokens that the tree
            allows, unanswerable questions, borders.
    """

    def __init__(self, backbone: Backbone, features: int, weights: Sequence[float]):
        super().__init__()
        self.backbone = backbone
        self.transform = nn.Linear(backbone.hidden_size, backbone.hidden_size, bias=False)
        self.bias = nn.Parameter(torch.zeros(backbone.vocab_size))
        self.output_projection: Callable[[Tensor], Tensor] | None = None  # repacked, for inference
        self.dropout = Dropout(0.1)
        self.wide = nn.Sequential(nn.Linear(features, WIDE_SIZE), nn.GELU(), nn.Linear(WIDE_SIZE, 1))
        self.deep = nn.Sequential(
            nn.Linear(backbone.hidden_size + features, DEEP_SIZE), nn.GELU(), nn.Linear(DEEP_SIZE, 1, bias=False)
        )
        self.borders = nn.Linear(backbone.hidden_size, BORDERS)
        self.border_weight = nn.Parameter(torch.full((1,), INITIAL_BORDER_WEIGHT))
        nn.init.zeros_(self.deep[2].weight)  # type: ignore[arg-type]
        self.weights = tuple(weights)
        self._load_head(backbone.extra_weights)

    def _load_head(self, weights: dict[str, Tensor]) -> None:
        """Load the head weights of the backbone's checkpoint that have the right shapes."""
        own = self.state_dict()
        matching = {name: value for name, value in weights.items() if name in own and own[name].shape == value.shape}
        if not self.bias.is_meta:
            self.load_state_dict(matching, strict=False)

    @property
    def device(self) -> torch.device:
        """Return the device of the weights."""
        return self.bias.device

    def forward(self, inputs: Inputs) -> Tensor:
        """Return the last hidden states [b, s, d] in fp32, for a backbone of any precision."""
        states = self.backbone(inputs.input_ids, inputs.attention_mask, inputs.token_type_ids, inputs.position_ids)
        return states.float()  # type: ignore[no-any-return]

    def forward_with_cache(self, tokens: TokenBatch[Tensor], query_indices: Tensor, cache: KeyValueCache) -> Tensor:
        """Return `Backbone.forward_with_cache` in fp32, for a backbone of any precision."""
        return self.backbone.forward_with_cache(tokens, query_indices, cache).float()

    def generate(self, states: Tensor) -> Tensor:
        """Return the logits [n, V] of the next token for each hidden state [n, d]."""
        hidden = rms_norm(F.gelu(self.transform(states)))
        if self.output_projection is not None:
            return self.output_projection(hidden)
        return F.linear(hidden, self.backbone.token_embeddings.to(hidden.dtype), self.bias).float()

    @override
    def prepare_for_inference(self) -> None:
        """Repack the weights; the output projection in fp32, for a backbone of any precision."""
        super().prepare_for_inference()
        matrix = self.backbone.token_embeddings
        with torch.device("meta"):
            linear = nn.Linear(self.backbone.hidden_size, self.backbone.vocab_size)
        linear.weight, linear.bias = nn.Parameter(matrix.float(), requires_grad=False), self.bias
        self.output_projection = prepacked(linear).forward  # not a submodule: the backbone owns the weights

    def border_scores(self, states: Tensor, lengths: Tensor) -> Tensor:
        """Return the log-probabilities [b, s, 2] in fp32 that the subject's name begins and ends at each token.

        Args:
            states: hidden states [b, s, d].
            lengths: [b] number of tokens of each question, including [CLS] and [SEP].
        """
        with torch.autocast(states.device.type, enabled=False):
            scores: Tensor = self.borders(states.float())
        columns = torch.arange(states.shape[1], device=states.device)
        inside = (columns > 0) & (columns < lengths[:, None] - 1)
        return scores.masked_fill(~inside[..., None], MASKED_LOGIT).log_softmax(1)

    def rank(self, states: Tensor, features: Tensor, borders: Tensor) -> Tensor:
        """Return the logit [n] of each key in fp32.

        Args:
            states: hidden states [n, d] of the last tokens of the keys.
            features: string features [n, f].
            borders: log-probabilities [n, 2] of the borders of their names.
        """
        with torch.autocast(states.device.type, enabled=False):
            deep: Tensor = self.deep(torch.cat([self.dropout(states.float()), features * FEATURE_SCALE], -1))
        return self.rank_without_states(features, borders) + deep[:, 0]

    def rank_without_states(self, features: Tensor, borders: Tensor) -> Tensor:
        """Return the logit [n] of each key in fp32 without its deep part; see `rank`."""
        with torch.autocast(features.device.type, enabled=False):
            wide: Tensor = self.wide(features * FEATURE_SCALE)
        return wide[:, 0] + self.border_weight * borders.sum(-1)

    def loss(self, inputs: Inputs, targets: dict[str, Tensor]) -> Tensor:
        """Return the weighted sum of the losses; for the targets see `dataset.KeyDataset`."""
        sequences = self(inputs)
        states = sequences.flatten(0, 1)
        ranker, generator, tree, unanswerable, border = self.weights
        total: Tensor = states.new_zeros(())
        borders = self.border_scores(sequences, targets["lengths"])
        if border:
            total = total + border * border_loss(borders, targets["subject_columns"])
        if ranker or unanswerable:
            at_mentions = mention_border_scores(borders.detach(), targets["question_ids"], targets["mention_columns"])
            scores = self.rank(states[targets["leaves"]], targets["features"], at_mentions)
            total = total + ranker * ranking_loss(scores + targets["log_weights"], targets, targets["gold"])
            without_gold = scores.masked_fill(targets["masked"], MASKED_LOGIT) + targets["log_weights"]
            total = total + unanswerable * ranking_loss(without_gold, targets, torch.full_like(targets["gold"], -1))
        if (generator or tree) and len(targets["path"]):
            logits = self.generate(states[targets["path"]])  # the largest product: in the precision of the backbone
            if generator:
                total = total + generator * F.cross_entropy(logits, targets["next_tokens"])
            if tree:
                total = total + tree * tree_loss(logits, targets)
        return total


def mention_border_scores(borders: Tensor, question_ids: Tensor, columns: Tensor) -> Tensor:
    """Return the log-probabilities [n, 2] of the borders of mentions, at least `MIN_BORDER_SCORE`.

    Args:
        borders: log-probabilities [b, s, 2].
        question_ids: [n] index of each mention's question.
        columns: [n, 2] columns of each mention's first and last token; -1 if it is not in the question.
    """
    scores = torch.stack([borders[question_ids, columns[:, side].clamp(min=0), side] for side in range(BORDERS)], -1)
    return scores.masked_fill(columns < 0, MIN_BORDER_SCORE).clamp(min=MIN_BORDER_SCORE)


def border_loss(borders: Tensor, columns: Tensor) -> Tensor:
    """Return the mean cross-entropy of both borders of the subject's name; 0 if no question contains it.

    Args:
        borders: log-probabilities [b, s, 2].
        columns: [b, 2] columns of the name's first and last token; -1 if the question does not contain it.
    """
    known = columns[:, 0] >= 0
    gold = borders[known].gather(1, columns[known][:, None, :])
    return -gold.sum() / (BORDERS * known.sum()).clamp(min=1)


def ranking_loss(scores: Tensor, targets: dict[str, Tensor], gold: Tensor) -> Tensor:
    """Return the mean cross-entropy of the gold key among a question's keys and "unanswerable", whose logit is 0.

    Args:
        scores: [n] scores of the keys of all questions.
        targets: `question_ids` [n], the index of each key's question; `key_ids` [n], its index among the keys of the
            question.
        gold: [b] index of the gold key among the question's keys; −1 for "unanswerable".
    """
    question_ids, key_ids = targets["question_ids"], targets["key_ids"]
    width = int(key_ids.max()) + 2 if len(key_ids) else 1
    table = scores.new_full((len(gold), width), MASKED_LOGIT)
    table[:, 0] = 0.0
    table = table.index_put((question_ids, key_ids + 1), scores)
    return F.cross_entropy(table, gold + 1)


def tree_loss(logits: Tensor, targets: dict[str, Tensor]) -> Tensor:
    """Return the cross-entropy over the tokens that the tree allows, normalised as in the beam search.

    Summed over the steps of a question, averaged over questions; steps with a single allowed token cost nothing.

    Args:
        logits: [m, V] logits of m steps.
        targets: `next_tokens` [m]; `allowed` [k], the allowed tokens of all steps with a choice, and `allowed_steps`
            [k], the step of each; `questions`, the number of questions (scalar).
    """
    steps, allowed = targets["allowed_steps"], targets["allowed"]
    if not len(steps):
        return logits.sum() * 0.0
    allowed_logits = logits[steps, allowed]
    highest = logits.detach().amax(-1)
    sums = torch.zeros_like(highest).index_add(0, steps, (allowed_logits - highest[steps]).exp())
    choices: Tensor = torch.unique(steps)
    normaliser = sums[choices].log() + highest[choices]
    gold = logits[choices, targets["next_tokens"][choices]]
    return (normaliser - gold).sum() / targets["questions"]
