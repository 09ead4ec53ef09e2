"""Backbones from Hugging Face folders: what is recognised, in which precision, and what is said of a broken one."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from nlpkit.core.model.manifest import EMBEDDED
from nlpkit.core.model.pretrained import find_tokenizer, load_backbone
from nlpkit.core.text.tokenizer import SPECIALS, CharTokenizer, WordTokenizer
from nlpkit.errors import ModelError
from nlpkit.nn.backbones.auto import AutoBackbone
from nlpkit.nn.backbones.roformer_v2 import RoFormerV2

TOKENS = [*SPECIALS, *"叶老桂在浙商银行工作"]
ROFORMER_V2 = {
    "model_type": "roformer", "norm_type": "rms_norm", "use_bias": False, "vocab_size": 20, "hidden_size": 8,
    "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "hidden_act": "relu",
}  # fmt: skip
BERT = {
    "model_type": "bert", "vocab_size": 20, "hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2,
    "intermediate_size": 16, "max_position_embeddings": 32,
}  # fmt: skip


def load(folder):
    return load_backbone(str(folder), list)


def write(folder, name, value):
    (folder / name).write_text(value if isinstance(value, str) else json.dumps(value), encoding="utf-8")


def edit(**changes):
    return lambda folder: write(folder, "config.json", json.loads((folder / "config.json").read_text()) | changes)


@pytest.fixture
def roformer(tmp_path):
    """A folder of RoFormerV2 as published, with fp16 weights."""
    torch.manual_seed(0)
    weights = {
        "roformer.embeddings.word_embeddings.weight": torch.randn(20, 8),
        "roformer.embeddings.token_type_embeddings.weight": torch.randn(2, 8),
        "roformer.encoder.layer.0.intermediate.dense.weight": torch.randn(16, 8),
        "roformer.encoder.layer.0.output.dense.weight": torch.randn(8, 16),
    }
    for part in ("self.query", "self.key", "self.value", "output.dense"):
        weights[f"roformer.encoder.layer.0.attention.{part}.weight"] = torch.randn(8, 8)
    folder = tmp_path / "roformer"
    folder.mkdir()
    save_file({name: value.half() for name, value in weights.items()}, folder / "model.safetensors")
    write(folder, "config.json", ROFORMER_V2)
    write(folder, "vocab.txt", "\n".join(TOKENS) + "\n")
    return folder


@pytest.fixture(scope="module")
def bert_folder(tmp_path_factory):
    from transformers import AutoConfig, BertForMaskedLM

    folder = tmp_path_factory.mktemp("bert")
    BertForMaskedLM(AutoConfig.for_model(**BERT)).half().save_pretrained(folder)
    write(folder, "vocab.txt", "\n".join(TOKENS) + "\n")
    return folder


@pytest.fixture
def bert(bert_folder, tmp_path):
    """A folder of BERT with fp16 weights."""
    return shutil.copytree(bert_folder, tmp_path / "bert")


@pytest.mark.parametrize(("kind", "expected"), [("roformer", RoFormerV2), ("bert", AutoBackbone)])
def test_half_precision_is_single_once_loaded(request, kind, expected):
    folder = request.getfixturevalue(kind)
    stored = load_file(folder / "model.safetensors")
    assert {value.dtype for value in stored.values()} == {torch.float16}
    backbone, tokenizer = load(folder)
    assert (type(backbone), tokenizer.tokens) == (expected, TOKENS)
    assert {parameter.dtype for parameter in backbone.parameters()} == {torch.float32}
    embedding = next(value for name, value in stored.items() if name.endswith("word_embeddings.weight"))
    found = next(value for value in backbone.parameters() if value.shape == embedding.shape)
    assert torch.equal(found, embedding.float())


def test_weights_in_torchs_own_format(roformer):
    expected, _ = load(roformer)
    torch.save(load_file(roformer / "model.safetensors"), roformer / "pytorch_model.bin")
    (roformer / "model.safetensors").unlink()
    found, _ = load(roformer)
    assert all(torch.equal(value, expected.state_dict()[name]) for name, value in found.state_dict().items())


@pytest.mark.parametrize("name", ["vocab.txt", "tokenizer.json"])
@pytest.mark.parametrize(("words", "expected"), [(1001, WordTokenizer), (1000, CharTokenizer)])
def test_a_vocabulary_of_words_is_known_by_its_words(roformer, name, words, expected):
    """Words of two Chinese characters; `##` pieces and words with other characters do not count."""
    vocabulary = [*TOKENS, "##工作", "卡拉ok", *(chr(0x4E00 + i) + "国" for i in range(words))]
    (roformer / "vocab.txt").unlink()
    ids = {token: index for index, token in enumerate(vocabulary)}
    write(roformer, name, "\n".join(vocabulary) + "\n" if name == "vocab.txt" else {"model": {"vocab": ids}})
    weights = load_file(roformer / "model.safetensors")
    weights["roformer.embeddings.word_embeddings.weight"] = torch.zeros(len(vocabulary), 8)
    save_file(weights, roformer / "model.safetensors")
    edit(vocab_size=len(vocabulary))(roformer)
    _, tokenizer = load(roformer)
    assert (type(tokenizer), tokenizer.tokens, tokenizer.lowercase) == (expected, vocabulary, True)


@pytest.mark.parametrize("lowercase", [True, False])
def test_the_case_is_that_of_the_published_tokenizer(roformer, lowercase):
    write(roformer, "tokenizer_config.json", {"do_lower_case": lowercase})
    assert load(roformer)[1].lowercase is lowercase


def remove(name):
    return lambda folder: (folder / name).unlink()


def put(name, value):
    return lambda folder: write(folder, name, value)


def tokenizer_json(value):
    def damage(folder):
        (folder / "vocab.txt").unlink()
        write(folder, "tokenizer.json", value)

    return damage


def torch_weights(value):
    def damage(folder):
        (folder / "model.safetensors").unlink()
        torch.save(value, folder / "pytorch_model.bin")

    return damage


def without_vocab_size(folder):
    write(folder, "config.json", {name: value for name, value in ROFORMER_V2.items() if name != "vocab_size"})


def without_heads(folder):
    write(folder, "config.json", {name: value for name, value in ROFORMER_V2.items() if name != "num_attention_heads"})


NO_VOCABULARY = "no vocab.txt there, and no WordPiece tokenizer.json; exact offsets need one"
TOO_MANY = "".join(f"{token}\n" for token in [*TOKENS, *"王小明去了北京大学"])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove("config.json"), "neither nlpkit.json nor config.json there; not a model folder"),
        (put("config.json", "{"), r"config.json: broken \(.*\); copy or download it again"),
        (put("config.json", []), "config.json: broken .*it must be an object, not a list"),
        (
            edit(hidden_act="mish"),
            "config.json: describes no encoder .*unknown activation 'mish'; supported: relu, gelu",
        ),
        (edit(hidden_act=None), "config.json: describes no encoder .*activation cannot be None"),
        (edit(hidden_size="8"), "config.json: describes no encoder .*hidden_size cannot be '8'"),
        (
            edit(hidden_size=9),
            "config.json: describes no encoder .*9 dimensions cannot be divided into 2 heads of an even",
        ),
        (edit(num_attention_heads=0), "config.json: describes no encoder"),
        (without_heads, r"config.json: describes no encoder that can be made \(no 'num_attention_heads'\)"),
        (without_vocab_size, "config.json: describes no encoder .*vocab_size"),
        (edit(intermediate_size=12), "its weights do not fit its config.json .*size mismatch"),
        (edit(num_hidden_layers=2), r"its weights do not fit its config.json \(no 'encoder.layer.1.attention.*'\)"),
        (put("tokenizer_config.json", "{"), "tokenizer_config.json: broken"),
        (put("tokenizer_config.json", [1]), "tokenizer_config.json: broken .*must be an object"),
        (remove("vocab.txt"), NO_VOCABULARY),
        (tokenizer_json("{"), "tokenizer.json: broken"),
        (tokenizer_json({"model": {"vocab": [["<s>", 0.0]]}}), NO_VOCABULARY),
        (tokenizer_json({"model": {"vocab": {"a": 0}}}), NO_VOCABULARY),
        (tokenizer_json({"model": {"vocab": {token: 2 * i for i, token in enumerate(TOKENS)}}}), NO_VOCABULARY),
        (tokenizer_json({"model": {"vocab": dict.fromkeys(TOKENS)}}), NO_VOCABULARY),
        (tokenizer_json({"model": "x"}), NO_VOCABULARY),
        (put("vocab.txt", "a\nb\n"), r"has no \[PAD\]"),
        (put("vocab.txt", TOO_MANY), "vocab.txt: 24 tokens, but the model has 20"),
        (remove("model.safetensors"), "neither model.safetensors nor pytorch_model.bin there"),
        (put("model.safetensors", "x"), "model.safetensors: truncated or not safetensors"),
        (torch_weights([torch.ones(1)]), "its weights do not fit its config.json"),
        (torch_weights({"embeddings.word_embeddings.weight": {}}), "its weights do not fit its config.json"),
        (torch_weights(torch.nn.Linear), "pytorch_model.bin: cannot be read"),
    ],
)
def test_broken_folders(roformer, damage, message):
    damage(roformer)
    with pytest.raises(ModelError, match=message) as caught:
        load(roformer)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove("vocab.txt"), NO_VOCABULARY),
        (remove("model.safetensors"), "transformers cannot load it"),
        (put("model.safetensors", "x"), "model.safetensors: truncated or not safetensors"),
        (edit(num_hidden_layers=10**9), "config.json: num_hidden_layers is 1,000,000,000, more than the weights have"),
        (edit(vocab_size=10**12), "config.json: vocab_size is 1,000,000,000,000, more than the weights have"),
        (edit(model_type="no-such-model"), "transformers cannot load it"),
        (
            edit(hidden_size=12),
            r"transformers cannot load it \(weights missing or of the wrong shape: embeddings.LayerNorm.bias, ",
        ),
        (
            edit(num_hidden_layers=2),
            r"transformers cannot load it \(weights missing or of the wrong shape: encoder.layer.1.",
        ),
        (edit(model_type="distilbert"), "transformers cannot load it"),
        (edit(hidden_size="8"), "transformers cannot load it"),
        (edit(hidden_act="mash"), r"transformers cannot load it \(no 'mash'\)"),
        (put("vocab.txt", TOO_MANY), "vocab.txt: 24 tokens, but the model has 20"),
    ],
)
def test_folders_that_transformers_cannot_load(bert, damage, message):
    damage(bert)
    with pytest.raises(ModelError, match=message) as caught:
        load(bert)
    assert "\n" not in str(caught.value)


def test_the_tokenizer_of_a_vocabulary_is_that_of_the_model_beside_it(roformer, tmp_path):
    alone = tmp_path / "tokens.txt"
    shutil.copy(roformer / "vocab.txt", alone)
    assert not find_tokenizer(str(roformer / "vocab.txt")).normalize  # published
    assert find_tokenizer(str(alone)).normalize  # for a new model
    ours = EMBEDDED / "kgqa"
    assert find_tokenizer(str(ours / "vocab.txt")).fingerprint == find_tokenizer("kgqa").fingerprint
    assert load_backbone("roformer_v2:1x64", lambda: ["今天天气"] * 9)[1].normalize


def test_training_may_begin_with_the_encoder_that_a_model_shares():
    (shared, tokenizer), (backbone, other) = load("ner-general"), load("ner-cluener")
    assert tokenizer.tokens == other.tokens
    expected = backbone.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in shared.state_dict().items())
