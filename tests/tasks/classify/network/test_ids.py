"""Ids of unknown tokens: their vocabulary, and the embeddings that they take by rank."""

import pytest
import torch

from nlpkit.core.model.pretrained import find_tokenizer
from nlpkit.core.text.tokenizer import SPECIALS, CharTokenizer, IdTokenizer
from nlpkit.errors import DataError, UsageError
from nlpkit.nn.backbones import build
from nlpkit.tasks.classify.network.ids import (
    MIN_COUNT,
    frequency_order,
    label_token,
    label_token_ids,
    with_id_vocabulary,
)

BASE = find_tokenizer("nlpkit-base").tokens
CHINESE = [token for token in BASE if len(token) == 1 and not token.isascii()]
OTHER = [token for token in BASE if token not in SPECIALS and token not in CHINESE]
# By frequency: three characters of the base vocabulary, one that is not in it, then what is not Chinese.
RANKED = [CHINESE[3], CHINESE[40], CHINESE[700], "\U00030000", OTHER[2], OTHER[9], "zzqx"]
SHUFFLED = [RANKED[index] for index in (4, 3, 1, 6, 0, 5, 2)]
TOKENIZER = CharTokenizer([*SPECIALS, *SHUFFLED])
SIZES = {"hidden_size": 16, "num_layers": 1, "num_heads": 2, "intermediate_size": 16}
# 7 is the most frequent id; 12 and 9 are equally frequent; 5 comes too rarely.
TEXTS = ["7 7 12 9 30"] * 5 + ["7  12\t9"] * 2 + ["7", "5 5 5 5", ""]
IDS = ["7", "12", "9", "30"]


@pytest.fixture
def backbone():
    torch.manual_seed(0)
    return build({"type": "roformer_v2", "vocab_size": TOKENIZER.vocab_size, **SIZES})


def row(backbone, token):
    return backbone.token_embeddings[TOKENIZER.ids[token]]


def test_the_order_is_that_of_the_base_vocabulary_chinese_first():
    assert [TOKENIZER.tokens[token] for token in frequency_order(TOKENIZER)] == RANKED


def test_the_vocabulary_is_sorted_by_frequency(backbone):
    _, tokenizer = with_id_vocabulary(backbone, TOKENIZER, TEXTS, 2)
    assert type(tokenizer) is IdTokenizer
    assert tokenizer.tokens == [*SPECIALS, "[LABEL0]", "[LABEL1]", *IDS]
    assert [label_token(0), label_token(1)] == [tokenizer.tokens[token] for token in label_token_ids(2)]
    assert tokenizer.encode("7 5 30").ids == [tokenizer.ids["7"], tokenizer.unk_id, tokenizer.ids["30"]]


def test_equally_frequent_ids_are_sorted_by_name_and_rare_ones_left_out(backbone):
    often, rarely = " ".join(["2 10 1"] * MIN_COUNT), " ".join(["3"] * (MIN_COUNT - 1))
    _, tokenizer = with_id_vocabulary(backbone, TOKENIZER, [often, rarely], 1)
    assert tokenizer.tokens[6:] == ["1", "10", "2"]


def test_words_that_are_tokens_already_are_no_ids(backbone):
    """Otherwise the vocabulary would have them twice."""
    _, tokenizer = with_id_vocabulary(backbone, TOKENIZER, ["[UNK] [LABEL1] 7 [CLS] [LABEL2]"] * MIN_COUNT, 2)
    assert tokenizer.tokens == [*SPECIALS, "[LABEL0]", "[LABEL1]", "7", "[LABEL2]"]
    assert (tokenizer.unk_id, tokenizer.cls_id) == (1, 2)


def test_embeddings_are_taken_by_rank(backbone):
    before = {name: value.clone() for name, value in backbone.state_dict().items()}
    made, tokenizer = with_id_vocabulary(backbone, TOKENIZER, TEXTS, 2)
    found = made.token_embeddings
    assert len(found) == made.vocab_size == tokenizer.vocab_size
    for token, expected in zip(IDS, RANKED, strict=False):
        assert torch.equal(found[tokenizer.ids[token]], row(backbone, expected))
    for token in SPECIALS:
        assert torch.equal(found[tokenizer.ids[token]], row(backbone, token))
    for token in label_token_ids(2):
        assert torch.equal(found[token], row(backbone, "[UNK]"))
    after = made.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before if name != "embeddings.weight")
    assert all(torch.equal(value, before[name]) for name, value in backbone.state_dict().items())


def test_the_new_embeddings_are_weights_of_their_own(backbone):
    made, _ = with_id_vocabulary(backbone, TOKENIZER, TEXTS, 2)
    with torch.no_grad():
        made.token_embeddings.zero_()
    assert row(backbone, "[CLS]").abs().sum() > 0


def test_more_ids_than_tokens_begin_again(backbone):
    many = " ".join(f"{n:02}" for n in range(20))
    made, tokenizer = with_id_vocabulary(backbone, TOKENIZER, [many] * MIN_COUNT, 1)
    for rank in range(20):
        assert torch.equal(made.token_embeddings[tokenizer.ids[f"{rank:02}"]], row(backbone, RANKED[rank % 7]))


def test_for_comparison_rows_are_taken_at_random(backbone):
    many = " ".join(f"{n:02}" for n in range(7))
    made, _ = with_id_vocabulary(backbone, TOKENIZER, [many] * MIN_COUNT, 1, ranked=False)
    again, _ = with_id_vocabulary(backbone, TOKENIZER, [many] * MIN_COUNT, 1, ranked=False)
    ranked, _ = with_id_vocabulary(backbone, TOKENIZER, [many] * MIN_COUNT, 1)
    assert torch.equal(made.token_embeddings, again.token_embeddings)
    assert not torch.equal(made.token_embeddings, ranked.token_embeddings)
    assert sorted(made.token_embeddings.tolist()) == sorted(ranked.token_embeddings.tolist())


def test_the_head_of_masked_tokens_is_taken_with_its_bias(backbone):
    transform = torch.randn(16, 16)
    backbone.extra_weights = {"transform.weight": transform, "bias": torch.arange(float(TOKENIZER.vocab_size))}
    made, tokenizer = with_id_vocabulary(backbone, TOKENIZER, TEXTS, 2)
    assert torch.equal(made.extra_weights["transform.weight"], transform)
    expected = [TOKENIZER.ids[token] for token in (*SPECIALS, "[UNK]", "[UNK]", *RANKED[:4])]
    assert made.extra_weights["bias"].tolist() == expected
    assert len(made.extra_weights["bias"]) == tokenizer.vocab_size
    assert len(backbone.extra_weights["bias"]) == TOKENIZER.vocab_size


def test_texts_without_a_frequent_id_are_an_error(backbone):
    message = "^--ids: no id comes 5 times; give more text, or leave out --ids for ordinary text$"
    with pytest.raises(DataError, match=message):
        with_id_vocabulary(backbone, TOKENIZER, ["1 2 3 4"] * 4, 2)


def test_a_backbone_of_others_is_an_error():
    with pytest.raises(UsageError, match=r"^--ids: the embeddings of this backbone cannot be exchanged; start from"):
        with_id_vocabulary(torch.nn.Identity(), TOKENIZER, TEXTS, 2)
