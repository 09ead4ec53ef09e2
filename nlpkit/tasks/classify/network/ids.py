"""Desensitized texts: sequences of ids of unknown tokens, separated by spaces (kexue.fm 8213).

The vocabulary is the special tokens, a token for each label, and the ids by falling frequency. The embedding of the
r-th most frequent id starts as that of the r-th most frequent token of the backbone, whose body is kept. The label is
predicted as a token, at [CLS].
"""

from collections import Counter
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from nlpkit.core.model.pretrained import find_tokenizer
from nlpkit.core.text.tokenizer import SPECIALS, CharTokenizer, IdTokenizer
from nlpkit.errors import DataError, UsageError
from nlpkit.nn.backbones import Backbone, build
from nlpkit.nn.backbones.encoder import Encoder

MIN_COUNT = 5  # an id that comes less often is [UNK]
_FREQUENCIES = "nlpkit-base"  # its vocabulary is sorted by frequency


def label_token(index: int) -> str:
    """Return the token of a label."""
    return f"[LABEL{index}]"


def label_token_ids(num_labels: int) -> list[int]:
    """Return the token ids of the labels: those behind the special tokens."""
    return list(range(len(SPECIALS), len(SPECIALS) + num_labels))


def with_id_vocabulary(
    backbone: Backbone, tokenizer: CharTokenizer, texts: Iterable[str], num_labels: int, *, ranked: bool = True
) -> tuple[Backbone, CharTokenizer]:
    """Return a backbone and a tokenizer for texts of ids.

    Args:
        backbone: one of nlpkit's own encoders.
        tokenizer: of the backbone.
        texts: all texts, labelled or not.
        num_labels: number of labels.
        ranked: whether embeddings start from those of the backbone by frequency; else they are a random permutation of
            these, for comparison.

    Raises:
        UsageError: a backbone whose embeddings cannot be exchanged.
        DataError: no id comes often enough.
    """
    if not isinstance(backbone, Encoder):
        raise UsageError("--ids: the embeddings of this backbone cannot be exchanged; start from a model on BERT")
    reserved = [*SPECIALS, *map(label_token, range(num_labels))]
    counts = Counter(token for text in texts for token in text.split())
    frequent = (token for token, count in counts.items() if count >= MIN_COUNT and token not in reserved)
    ids = sorted(frequent, key=lambda t: (-counts[t], t))
    if not ids:
        raise DataError(f"--ids: no id comes {MIN_COUNT} times; give more text, or leave out --ids for ordinary text")
    tokens = [*reserved, *ids]
    rows = _rows(tokenizer, num_labels, len(ids), ranked)
    made = build({**backbone.describe(), "vocab_size": len(tokens)})
    made.load_state_dict(backbone.state_dict() | {"embeddings.weight": _taken(backbone.token_embeddings, rows)})
    made.extra_weights = dict(backbone.extra_weights)
    if "bias" in made.extra_weights:
        made.extra_weights["bias"] = _taken(made.extra_weights["bias"], rows)
    return made, IdTokenizer(tokens)


def _rows(tokenizer: CharTokenizer, num_labels: int, num_ids: int, ranked: bool) -> list[int]:
    """Return the token of the backbone whose embedding each token of the new vocabulary takes."""
    unknown = tokenizer.unk_id
    specials = [tokenizer.ids.get(token, unknown) for token in SPECIALS]
    order = torch.tensor(frequency_order(tokenizer))
    if not ranked:
        order = order[torch.randperm(len(order), generator=torch.Generator().manual_seed(0))]
    ordinary: list[int] = order[torch.arange(num_ids) % len(order)].tolist()
    return [*specials, *[unknown] * num_labels, *ordinary]


def frequency_order(tokenizer: CharTokenizer) -> list[int]:
    """Return the ids of the ordinary tokens of a vocabulary, Chinese characters first, by falling frequency."""
    known = [token for token in find_tokenizer(_FREQUENCIES).tokens if token in tokenizer.ids]
    ordinary = [token for token in dict.fromkeys([*known, *tokenizer.tokens]) if token not in SPECIALS]
    return [tokenizer.ids[token] for token in sorted(ordinary, key=lambda t: not (len(t) == 1 and not t.isascii()))]


def _taken(weight: Tensor, rows: Sequence[int]) -> Tensor:
    return weight.detach()[list(rows)].clone()
