"""Folders of tiny encoders with random weights, as Hugging Face saves them."""

import pytest
import torch
from st_support import BERT, TEXTS
from support import SENTENCE, vocabulary


@pytest.fixture(scope="session")
def bert(tmp_path_factory):
    """A Hugging Face folder of a tiny BERT whose weights are large enough to matter."""
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = tmp_path_factory.mktemp("bert")
    tokens = [*vocabulary(SENTENCE + "花呗怎么还款"), "ひ", "##ら"]
    (folder / "vocab.txt").write_text("".join(f"{token}\n" for token in tokens), encoding="utf-8")
    BertTokenizerFast(str(folder / "vocab.txt")).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(vocab_size=len(tokens), max_position_embeddings=64, initializer_range=0.3, **BERT)
    BertModel(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def qwen(tmp_path_factory):
    """A tiny causal decoder with a byte-level vocabulary, as Qwen3-Embedding is."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
    from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3Model

    folder = tmp_path_factory.mktemp("qwen")
    fast = Tokenizer(models.BPE())
    fast.pre_tokenizer, fast.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    fast.train_from_iterator(TEXTS, trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<end>"], initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    ))  # fmt: skip
    fast.post_processor = processors.TemplateProcessing(single="$A <end>", special_tokens=[("<end>", 0)])
    PreTrainedTokenizerFast(
        tokenizer_object=fast, pad_token="<end>", eos_token="<end>", padding_side="left", model_max_length=64
    ).save_pretrained(folder)
    torch.manual_seed(0)
    config = Qwen3Config(vocab_size=400, max_position_embeddings=64, initializer_range=0.2, num_key_value_heads=2,
                         head_dim=8, **BERT)  # fmt: skip
    Qwen3Model(config).save_pretrained(folder)
    return folder
