"""Which runtime a model gets."""

import pytest

from nlpkit.core.onnx import choice
from nlpkit.core.onnx.choice import may_have_gpu, uses_onnx
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
        ("auto", "auto", "auto", BERT, True),
        ("auto", "cpu", "fp32", BERT, True),
        ("auto", "cpu", "bf16", BERT, False),
        ("auto", "cuda", "auto", BERT, False),
        ("auto", "auto", "auto", GAU, False),
        ("torch", "auto", "auto", BERT, False),
        ("onnx", "cpu", "fp32", BERT, True),
        ("auto", "auto", "int8", BERT, True),
    ],
)
def test_the_choice(runtime, device, dtype, backbone, expected):
    assert uses_onnx(runtime, device, dtype, backbone) is expected


@pytest.mark.usefixtures("plain_cpu")
def test_a_gpu_or_bf16_leave_it_to_torch(monkeypatch):
    monkeypatch.setattr(choice, "may_have_gpu", lambda: True)
    assert not uses_onnx("auto", "auto", "auto", BERT)
    assert uses_onnx("auto", "cpu", "auto", BERT)
    monkeypatch.setattr(choice, "cpu_flags", lambda: frozenset({"avx2", "amx_bf16"}))
    assert not uses_onnx("auto", "cpu", "auto", BERT)
    assert uses_onnx("auto", "cpu", "fp32", BERT)
    assert uses_onnx("onnx", "auto", "auto", BERT)


@pytest.mark.usefixtures("plain_cpu")
def test_without_the_package_torch_computes(monkeypatch):
    monkeypatch.setattr(choice, "find_spec", lambda name: None)
    assert not uses_onnx("auto", "cpu", "auto", BERT)
    with pytest.raises(UsageError, match="--runtime onnx: the package onnxruntime is missing; pip install onnxruntime"):
        uses_onnx("onnx", "cpu", "auto", BERT)


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
    ],
)
def test_what_onnx_cannot_do(arguments, message):
    with pytest.raises(UsageError, match=message):
        uses_onnx(*arguments)


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_hidden_gpus_do_not_count(monkeypatch, hidden):
    monkeypatch.setattr(choice.sys, "platform", "linux")
    monkeypatch.setattr(choice.Path, "exists", lambda path: str(path) == "/dev/nvidiactl")
    assert may_have_gpu()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)
    assert not may_have_gpu()


def test_the_flags_of_the_cpu(monkeypatch):
    info = "processor\t: 0\nflags\t\t: fpu avx2 amx_bf16\nbugs\t: x\n\nprocessor\t: 1\nflags\t\t: other\n"
    monkeypatch.setattr(choice.Path, "read_text", lambda *args, **kwargs: info)
    assert choice.cpu_flags() == {"fpu", "avx2", "amx_bf16"}

    def missing(*args, **kwargs):
        raise FileNotFoundError

    monkeypatch.setattr(choice.Path, "read_text", missing)
    assert choice.cpu_flags() == frozenset()
