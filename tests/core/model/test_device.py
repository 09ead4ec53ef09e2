"""Which device and precision is taken, on machines of every kind."""

import pytest
import torch

from nlpkit.core.model import device as module
from nlpkit.core.model.device import Probe, pick_device, pick_dtype, probe_cpu
from nlpkit.errors import UsageError

CPU, CUDA, MPS = torch.device("cpu"), torch.device("cuda"), torch.device("mps")


@pytest.fixture
def machine(monkeypatch):
    def make(cuda=0, mps=False, bf16=True, ratio=1.0):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda > 0)
        monkeypatch.setattr(torch.cuda, "device_count", lambda: cuda)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation=True: bf16)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.setattr(module, "probe_cpu", lambda: Probe(ratio, 1.0))

    return make


@pytest.mark.parametrize(
    ("name", "cuda", "mps", "expected"),
    [
        ("auto", 0, False, "cpu"),
        ("auto", 0, True, "mps"),
        ("auto", 1, True, "cuda"),
        ("cpu", 1, True, "cpu"),
        ("cuda", 1, False, "cuda"),
        ("cuda:1", 2, False, "cuda:1"),
        ("mps", 0, True, "mps"),
    ],
)
def test_devices(machine, name, cuda, mps, expected):
    machine(cuda, mps)
    assert pick_device(name) == torch.device(expected)


@pytest.mark.parametrize(
    ("name", "cuda", "message"),
    [
        ("cuda", 0, "not available here"),
        ("cuda:2", 2, r"has 2 CUDA device\(s\)"),
        ("mps", 1, "not available here"),
        ("meta", 1, "not available here"),
        ("gpu", 1, "unknown device 'gpu'; one of auto, cpu"),
        ("", 1, "unknown device"),
    ],
)
def test_devices_that_are_not_there(machine, name, cuda, message):
    machine(cuda)
    with pytest.raises(UsageError, match=message):
        pick_device(name)


@pytest.mark.parametrize(
    ("name", "device", "bf16", "ratio", "expected"),
    [
        ("auto", CPU, True, 1.0, torch.float32),
        ("auto", CPU, True, 1.19, torch.float32),
        ("auto", CPU, True, 1.2, torch.bfloat16),
        ("auto", CPU, True, 0.01, torch.float32),
        ("auto", MPS, True, 9.0, torch.float32),
        ("auto", CUDA, True, 0.1, torch.bfloat16),
        ("auto", CUDA, False, 9.0, torch.float16),
        ("fp32", CUDA, True, 9.0, torch.float32),
        ("bf16", CPU, True, 0.1, torch.bfloat16),
        ("fp16", CUDA, True, 1.0, torch.float16),
        ("fp16", MPS, True, 1.0, torch.float16),
    ],
)
def test_dtypes(machine, name, device, bf16, ratio, expected):
    machine(bf16=bf16, ratio=ratio)
    assert pick_dtype(name, device) is expected


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("fp16", "fp16 needs a GPU"),
        ("int8", "int8 is for predictions in ONNX Runtime"),
        ("int4", "unknown dtype 'int4'; one of"),
    ],
)
def test_dtypes_that_do_not_go(name, message):
    with pytest.raises(UsageError, match=message):
        pick_dtype(name, CPU)


def test_the_probe_takes_no_time_to_speak_of():
    probe = probe_cpu(rows=8, width=16)
    assert 0 < probe.fp32 < 1
    assert probe.ratio > 0
