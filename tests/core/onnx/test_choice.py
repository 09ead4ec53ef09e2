"""Which runtime a model gets."""

import pytest

from nlpkit.core.onnx import choice
from nlpkit.core.onnx.choice import may_have_gpu, onnx_dtype
from nlpkit.errors import UsageError

BERT, GAU = {"type": "bert"}, {"type": "gau_alpha"}


@pytest.fixture
def plain_cpu(monkeypatch):
    """A machine without a GPU whose CPU has no bf16."""
    monkeypatch.setattr(choice, "may_have_gpu", lambda: False)
    monkeypatch.setattr(choice, "cpu_flags", lambda: frozenset({"avx2"}))


@pytest.mark.usefixtures("plain_cpu")
@pytest.mark.parametrize(
    ("runtime", "device", "dtype", "backbone", "expected"),
    [
        ("auto", "auto", "auto", BERT, "fp32"),
        ("auto", "cpu", "fp32", BERT, "fp32"),
        ("auto", "cpu", "bf16", BERT, None),
        ("auto", "cuda", "auto", BERT, None),
        ("auto", "auto", "auto", GAU, None),
        ("torch", "auto", "auto", BERT, None),
        ("onnx", "cpu", "fp32", BERT, "fp32"),
        ("auto", "auto", "int8", BERT, "int8"),
    ],
)
def test_the_choice(runtime, device, dtype, backbone, expected):
    assert onnx_dtype(runtime, device, dtype, backbone) == expected


@pytest.mark.usefixtures("plain_cpu")
@pytest.mark.parametrize(
    ("loss", "flags", "expected"),
    [
        (0.1, {"avx2"}, "int8"),
        (-0.2, {"avx2"}, "int8"),
        (0.1, {"avx2", "avx512_bf16"}, "int8"),
        (0.1, {"avx2", "amx_bf16", "avx512_bf16"}, None),
        (0.1, set(), "fp32"),
        (0.4, {"avx2"}, "fp32"),
        (0.4, {"avx2", "avx512_bf16"}, None),
        (None, {"avx2", "avx512_bf16"}, None),
    ],
)
def test_auto_takes_int8_where_the_quality_holds_and_it_is_faster(monkeypatch, loss, flags, expected):
    monkeypatch.setattr(choice, "cpu_flags", lambda: frozenset(flags))
    assert onnx_dtype("auto", "auto", "auto", BERT, loss) == expected
    assert onnx_dtype("onnx", "auto", "auto", BERT, loss) == (expected or "fp32")
    assert onnx_dtype("auto", "cpu", "fp32", BERT, loss) == "fp32"
    assert onnx_dtype("torch", "auto", "auto", BERT, loss) is None


@pytest.mark.usefixtures("plain_cpu")
def test_int8_is_refused_where_the_quality_does_not_hold():
    message = r"^--dtype int8: on this CPU the model loses 0\.4 of 100 in its quality test, more than 0\.3; pass"
    with pytest.raises(UsageError, match=message):
        onnx_dtype("auto", "auto", "int8", BERT, 0.4)


@pytest.mark.usefixtures("plain_cpu")
def test_a_gpu_or_bf16_leave_it_to_torch(monkeypatch):
    monkeypatch.setattr(choice, "may_have_gpu", lambda: True)
    assert onnx_dtype("auto", "auto", "auto", BERT, 0.1) is None
    assert onnx_dtype("auto", "cpu", "auto", BERT) == "fp32"
    monkeypatch.setattr(choice, "cpu_flags", lambda: frozenset({"avx2", "amx_bf16"}))
    assert onnx_dtype("auto", "cpu", "auto", BERT) is None
    assert onnx_dtype("auto", "cpu", "fp32", BERT) == "fp32"
    assert onnx_dtype("onnx", "auto", "auto", BERT) == "fp32"


@pytest.mark.usefixtures("plain_cpu")
def test_without_the_package_torch_computes(monkeypatch):
    monkeypatch.setattr(choice, "find_spec", lambda name: None)
    assert onnx_dtype("auto", "cpu", "auto", BERT) is None
    with pytest.raises(UsageError, match="--runtime onnx: the package onnxruntime is missing; pip install onnxruntime"):
        onnx_dtype("onnx", "cpu", "auto", BERT)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("tvm", "cpu", "auto", BERT), "unknown runtime 'tvm'; one of auto, onnx, torch"),
        (("onnx", "cuda:1", "auto", BERT), "^--runtime onnx computes on the CPU, not on cuda:1; pass --device cpu"),
        (("onnx", "cpu", "bf16", BERT), "computes in fp32 or int8, not in bf16"),
        (("torch", "cpu", "int8", BERT), "--dtype int8 is computed by ONNX Runtime; pass --runtime onnx"),
        (("auto", "cuda", "int8", BERT), "^--dtype int8 computes on the CPU, not on cuda"),
        (("auto", "cpu", "int8", GAU), "^--dtype int8: there is no ONNX graph for an encoder of type gau_alpha"),
        (("onnx", "cpu", "auto", GAU), "no ONNX graph for an encoder of type gau_alpha"),
        (("onnx", "cpu", "auto", {"type": "a\nb"}), "no ONNX graph for an encoder of type a b; leave out --runtime"),
    ],
)
def test_what_onnx_cannot_do(arguments, message):
    with pytest.raises(UsageError, match=message):
        onnx_dtype(*arguments)


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_hidden_gpus_do_not_count(monkeypatch, hidden):
    monkeypatch.setattr(choice.sys, "platform", "linux")
    monkeypatch.setattr(choice.Path, "exists", lambda path: str(path) == "/dev/nvidiactl")
    assert may_have_gpu()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert not may_have_gpu()


@pytest.mark.parametrize(("flags", "expected"), [({"avx2"}, False), ({"avx2", "avx_vnni"}, True)])
def test_vnni(monkeypatch, flags, expected):
    monkeypatch.setattr(choice, "cpu_flags", lambda: frozenset(flags))
    assert choice.has_vnni() is expected


def test_the_flags_of_the_cpu(monkeypatch):
    info = "processor\t: 0\nflags\t\t: fpu avx2 amx_bf16\nbugs\t: x\n\nprocessor\t: 1\nflags\t\t: other\n"
    monkeypatch.setattr(choice.Path, "read_text", lambda *args, **kwargs: info)
    assert choice.cpu_flags() == {"fpu", "avx2", "amx_bf16"}

    def missing(*args, **kwargs):
        raise FileNotFoundError

    monkeypatch.setattr(choice.Path, "read_text", missing)
    assert choice.cpu_flags() == frozenset()
