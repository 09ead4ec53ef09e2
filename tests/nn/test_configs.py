"""Sizes of encoders, read from files, are checked one by one."""

import pytest

from nlpkit.errors import ModelError
from nlpkit.nn.backbones import build
from nlpkit.nn.configs import ACTIVATIONS, CONFIGS, EncoderConfig, check_heads, read_config
from nlpkit.nn.layers.prepack import FUNCTIONS


@pytest.mark.parametrize(
    ("sizes", "error", "message"),
    [
        ({"hidden_size": "16"}, TypeError, "hidden_size cannot be '16'"),
        ({"num_layers": True}, TypeError, "num_layers cannot be True"),
        ({"num_layers": 2.0}, TypeError, "num_layers cannot be 2.0"),
        ({"num_segments": 0}, ValueError, "num_segments cannot be 0"),
        ({"max_length": 1 << 31}, ValueError, "max_length cannot be 2147483648"),
        ({"max_length": 10**7}, ValueError, "max_length cannot be 10000000"),  # its table would take gigabytes
        ({"dropout": 1}, ValueError, "dropout cannot be 1"),
        ({"dropout": -0.1}, ValueError, "dropout cannot be -0.1"),
        ({"norm_eps": float("nan")}, ValueError, "norm_eps cannot be nan"),
    ],
)
def test_sizes_that_cannot_be(sizes, error, message):
    with pytest.raises(error, match=f"^{message}$"):
        EncoderConfig(vocab_size=30, **sizes)
    assert EncoderConfig(vocab_size=30, dropout=0, norm_eps=0).dropout == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((16, 0, "relu"), "16 dimensions cannot be divided into 0 heads"),
        ((16, 3, "relu"), "16 dimensions cannot be divided into 3 heads"),
        ((6, 2, "relu", 2), "6 dimensions cannot be divided into 2 heads of an even size"),
        ((16, 2, "mish"), "unknown activation 'mish'; supported: relu, gelu.*"),
    ],
)
def test_heads_that_do_not_divide_the_width(arguments, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        check_heads(*arguments)
    check_heads(6, 2, "relu")


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_description_is_read_back(kind):
    description = {"type": kind, "vocab_size": 30, "hidden_size": 24, "num_layers": 1}
    config = read_config(description)
    assert (type(config), config.hidden_size) == (CONFIGS[kind], 24)
    assert read_config(build(description).describe()) == config
    assert description["type"] == kind  # unchanged


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ({"type": "lstm", "vocab_size": 3}, "^unknown backbone type 'lstm'; a newer nlpkit may know it$"),
        ({}, "^unknown backbone type None"),
        ({"type": "bert"}, r"description does not fit this version of nlpkit \(.*vocab_size"),
        ({"type": "bert", "vocab_size": 3, "gates": 2}, "does not fit this version of nlpkit .*'gates'"),
        ({"type": "bert", "vocab_size": 0}, "vocab_size cannot be 0"),
    ],
)
def test_descriptions_that_are_refused(description, message):
    with pytest.raises(ModelError, match=message):
        read_config(description)


def test_every_activation_has_its_function():
    assert tuple(FUNCTIONS) == ACTIVATIONS
