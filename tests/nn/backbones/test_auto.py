"""Encoders of transformers as backbones: their states, masks and precision, and folders that cannot be loaded."""

import json
import shutil

import pytest
import torch
from backbone_support import TINY

from nlpkit.nn.backbones import build
from nlpkit.nn.backbones.auto import AutoBackbone, published_tokenizer, without_code


@pytest.mark.parametrize("kind", ["bert", "roformer"])
def test_auto_equals_transformers(kind, tmp_path):
    from transformers import AutoConfig, AutoModel

    config = AutoConfig.for_model(
        kind, vocab_size=40, hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=32,
        max_position_embeddings=64,
    )  # fmt: skip
    model = AutoModel.from_config(config).eval()
    model.save_pretrained(tmp_path)
    backbone = AutoBackbone.from_folder(str(tmp_path)).eval()
    ids, mask = torch.tensor([[2, 5, 6, 3], [2, 9, 3, 0]]), torch.tensor([[True] * 4, [True, True, True, False]])
    expected = model(input_ids=ids, attention_mask=mask.long()).last_hidden_state
    torch.testing.assert_close(backbone(ids, mask)[mask], expected[mask])
    again = build(backbone.describe())
    again.load_state_dict(backbone.state_dict())
    torch.testing.assert_close(again.eval()(ids, mask)[mask], expected[mask])
    assert not any("pooler" in name for name in again.state_dict())


def test_auto_takes_a_mask_for_each_row():
    """Causal: a prefix is independent of the rest, as in our own; rows that may attend to nothing give no NaN."""
    config = {
        "model_type": "bert", "vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 32, "max_position_embeddings": 64,
    }  # fmt: skip
    for description in (
        {"type": "auto", "config": config},
        *({"type": kind, **TINY} for kind in ("roformer_v2", "bert")),
    ):
        torch.manual_seed(0)
        backbone = build(description).eval()
        ids = torch.tensor([[2, 7, 9, 3], [2, 7, 5, 3]])
        causal = torch.ones(2, 4, 4, dtype=torch.bool).tril()
        states = backbone(ids, causal)
        torch.testing.assert_close(states[:, :2], backbone(ids[:, :2], causal[:, :2, :2]), atol=1e-6, rtol=1e-5)
        torch.testing.assert_close(states[0, :2], states[1, :2], atol=1e-6, rtol=1e-5)
        assert not torch.allclose(backbone(ids, torch.ones_like(causal))[0, :2], states[0, :2], atol=1e-3)
        padded = torch.tensor([[True] * 4, [True, True, False, False]])
        columns = padded[:, None, :].expand(2, 4, 4)
        torch.testing.assert_close(backbone(ids, columns)[padded], backbone(ids, padded)[padded], atol=1e-6, rtol=1e-5)
        with torch.autocast("cpu", torch.bfloat16):
            assert backbone(ids, causal & padded[:, :, None]).isfinite().all()
        assert backbone.bfloat16()(ids, causal).dtype == torch.bfloat16


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_auto_is_in_single_precision(dtype):
    config = {
        "model_type": "bert", "vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2,
        "intermediate_size": 32, "dtype": dtype,
    }  # fmt: skip
    backbone = build({"type": "auto", "config": config})
    assert {parameter.dtype for parameter in backbone.parameters()} == {torch.float32}


def test_a_model_without_position_ids_refuses_them():
    config = {"model_type": "roformer", "vocab_size": 30, "embedding_size": 16, "hidden_size": 16,
              "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}  # fmt: skip
    network = build({"type": "auto", "config": config})
    ids = torch.tensor([[1, 2]])
    with pytest.raises(ValueError, match="takes no position_ids"):
        network(ids, torch.ones(1, 2, 2).bool(), None, torch.arange(2)[None])


CONFIG = {"model_type": "bert", "vocab_size": 40, "hidden_size": 16, "num_hidden_layers": 2,
          "num_attention_heads": 2, "intermediate_size": 32}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A published BERT."""
    from transformers import AutoConfig, AutoModel

    path = tmp_path_factory.mktemp("hub") / "bert"
    torch.manual_seed(0)
    AutoModel.from_config(AutoConfig.for_model(**CONFIG)).save_pretrained(path)
    return path


def changed(folder, tmp_path, **config):
    """A copy whose configuration differs."""
    shutil.copytree(folder, tmp_path / "copy")
    path = tmp_path / "copy" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))
    return str(tmp_path / "copy")


def test_hidden_states_are_those_of_transformers(folder):
    from transformers import AutoModel

    theirs, ours = AutoModel.from_pretrained(folder).eval(), AutoBackbone.from_folder(str(folder)).eval()
    ids, types = torch.randint(5, 40, (2, 6)), torch.tensor([[0, 0, 0, 1, 1, 1]] * 2)
    with torch.inference_mode():
        expected = theirs(input_ids=ids, token_type_ids=types, output_hidden_states=True).hidden_states
        found = ours.hidden_states(ids, None, types)
        assert len(found) == 3
        for state, other in zip(found, expected, strict=True):
            torch.testing.assert_close(state, other)
        torch.testing.assert_close(ours(ids, None, types), expected[-1])
    assert torch.equal(ours.token_embeddings, theirs.embeddings.word_embeddings.weight)


def test_a_weight_that_is_missing_or_of_another_shape_is_named(folder, tmp_path):
    with pytest.raises(ValueError, match=r"^weights missing or of the wrong shape: encoder\.layer\.2\..+, .+, [^,]+$"):
        AutoBackbone.from_folder(changed(folder, tmp_path, num_hidden_layers=3))
    shutil.rmtree(tmp_path / "copy")
    with pytest.raises(ValueError, match=r"weights missing or of the wrong shape: .*word_embeddings"):
        AutoBackbone.from_folder(changed(folder, tmp_path, vocab_size=41))


def test_a_config_with_more_weights_than_there_are_is_refused_before_they_take_memory(folder, tmp_path):
    shutil.copytree(folder, tmp_path / "copy")
    config = json.loads((tmp_path / "copy/config.json").read_text(encoding="utf-8"))
    (tmp_path / "copy/config.json").write_text(json.dumps(config | {"max_position_embeddings": 10**9}))
    with pytest.raises(ValueError, match=r"config\.json describes [0-9,]+ weights, more than there are"):
        AutoBackbone.from_folder(str(tmp_path / "copy"))


def test_a_model_with_code_of_its_own_is_refused(folder, tmp_path):
    code = {"auto_map": {"AutoConfig": "m.Config", "AutoModel": "m.Evil"}, "model_type": "evil"}
    message = "it needs Python code of its own, which nlpkit never runs"
    with pytest.raises(ValueError, match=message):
        AutoBackbone.from_folder(changed(folder, tmp_path, **code))
    with pytest.raises(ValueError, match=message):
        AutoBackbone.from_config(code)
    (tmp_path / "copy" / "tokenizer_config.json").write_text('{"auto_map": {"AutoTokenizer": ["m.Words", null]}}')
    with pytest.raises(ValueError, match=message):
        published_tokenizer(str(tmp_path / "copy"))


def test_fields_that_name_code_are_left_out_at_any_depth():
    config = {
        "model_type": "bert",
        "auto_map": {"AutoModel": "m.Evil"},
        "layers": [{"_attn_implementation": "kernel", "size": 1}],
        "text_config": {"attn_implementation": "x", "experts_implementation": "y", "deeper": {"auto_map": {}, "n": 2}},
    }
    expected = {"model_type": "bert", "layers": [{"size": 1}], "text_config": {"deeper": {"n": 2}}}
    assert without_code(config) == expected
    backbone = AutoBackbone.from_config({**CONFIG, "auto_map": {"AutoModel": "m.Evil"}})
    assert "auto_map" not in backbone.describe()["config"]


def test_a_published_tokenizer(folder, tmp_path):
    path = changed(folder, tmp_path)
    (tmp_path / "copy" / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n中\n文\n", encoding="utf-8")
    tokenizer = published_tokenizer(path)
    assert tokenizer("中文")["input_ids"] == [2, 5, 6, 3]
