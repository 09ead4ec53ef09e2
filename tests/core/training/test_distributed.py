"""Several processes: what each of them does, and under torchrun the weights of one that accumulates as many batches."""

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file
from support import toy_records
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel

from nlpkit.core.training.distributed import LossModule, Processes, init_distributed

CPU = torch.device("cpu")
LOOPBACK = {"GLOO_SOCKET_IFNAME": "lo"} if sys.platform == "linux" else {}
needs_gloo = pytest.mark.skipif(not distributed.is_gloo_available(), reason="this torch has no gloo")

# AdamW, as Muon multiplies in bf16 whatever the dtype: there a sum in another order is felt at 1e-5.
COMMON = [
    "pretrain", "corpus.txt", "--config", "1x64", "--length", "16", "--batch-size", "4", "--device", "cpu",
    "--dtype", "fp32", "--quiet", "--lr", "1e-3", "--optimizer", "adamw",
]  # fmt: skip


def test_without_torchrun_there_is_one_process(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "8")  # as cluster schedulers set it
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    with init_distributed(CPU) as processes:
        assert processes == Processes(CPU, rank=0, world_size=1)
        assert processes.is_main
        assert not distributed.is_initialized()
        network = nn.Linear(2, 1)
        assert processes.wrap(network) is network
        assert processes.broadcast(0.1) == 0.1
        with processes.main_process_first(), processes.sync_gradients(network, enabled=False):
            network(torch.ones(2)).sum().backward()
    assert network.weight.grad.tolist() == [[1.0, 1.0]]


@pytest.mark.parametrize(
    ("rank", "world_size", "order"),
    [(0, 1, ["block"]), (0, 2, ["block", "barrier"]), (1, 2, ["barrier", "block"])],
)
def test_the_main_process_runs_a_block_before_the_others(monkeypatch, rank, world_size, order):
    events = []
    monkeypatch.setattr(distributed, "barrier", lambda: events.append("barrier"))
    with Processes(CPU, rank, world_size).main_process_first():
        events.append("block")
    assert events == order


@pytest.fixture
def launched(monkeypatch, tmp_path):
    """The environment of the only process that torchrun starts."""
    server = distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    environment = {
        "TORCHELASTIC_RUN_ID": "test",
        "TORCHELASTIC_USE_AGENT_STORE": "True",
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(server.port),
        **LOOPBACK,
        "RANK": "0",
        "LOCAL_RANK": "0",
        "WORLD_SIZE": "1",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return server


@needs_gloo
def test_under_torchrun_there_is_a_process_group(launched):
    seen = []

    def fail():
        with init_distributed(CPU) as processes:
            seen.append((processes, distributed.get_backend()))
            raise RuntimeError("an error inside")

    with pytest.raises(RuntimeError, match="an error inside"):
        fail()
    assert seen == [(Processes(CPU, rank=0, world_size=1), "gloo")]
    assert not distributed.is_initialized()


@needs_gloo
def test_a_process_of_several_averages_gradients_when_it_should(launched):
    """One process that takes itself for the first of two; the group has but one, so nothing waits."""
    with init_distributed(CPU):
        processes = Processes(CPU, rank=0, world_size=2)
        network = processes.wrap(LossModule(Weighted()))
        assert isinstance(network, DistributedDataParallel)
        assert processes.broadcast(1 / 3) == 1 / 3
        with processes.main_process_first():
            pass
        averaged = []
        network.register_comm_hook(None, lambda state, bucket: recorded(averaged, bucket))
        for enabled in (False, False, True):
            with processes.sync_gradients(network, enabled):
                network(torch.ones(2), {}).backward()
    assert averaged == [[3.0, 3.0]]  # once, with the gradients of all three passes


class Weighted(nn.Linear):
    """A network whose loss is the sum of its weights times the inputs."""

    def __init__(self):
        super().__init__(2, 1, bias=False)

    def loss(self, inputs, targets):
        return self(inputs).sum()


def recorded(averaged, bucket):
    averaged.append(bucket.buffer().tolist())
    done = torch.futures.Future()
    done.set_result(bucket.buffer())
    return done


def run(folder, *command):
    environment = os.environ | {"OMP_NUM_THREADS": "1"} | LOOPBACK
    done = subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@needs_gloo
def test_two_processes_are_one_that_accumulates(tmp_path):
    (tmp_path / "corpus.txt").write_text("".join(record["text"] + "\n" for record in toy_records(300)))
    run(tmp_path, "-m", "nlpkit", *COMMON, "--tokens", "1280", "--accumulate", "4", "--output", "one")
    torchrun = ("-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29517", "-m", "nlpkit")
    printed = run(tmp_path, *torchrun, *COMMON, "--tokens", "1280", "--accumulate", "2", "--output", "two")
    assert [*json.loads(printed)] == ["accuracy", "loss"]  # by one of them alone
    one, two = (load_file(tmp_path / name / "model.safetensors") for name in ("one", "two"))
    for name, weight in one.items():
        torch.testing.assert_close(two[name], weight, atol=1e-6, rtol=1e-6)
    steps = [json.loads((tmp_path / name / "nlpkit.json").read_text())["training"]["tokens"] for name in ("one", "two")]
    assert steps[0] == steps[1] == 1280
