"""Several processes under torchrun: the same weights as one process that accumulates as many batches."""

import json
import os
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file
from support import toy_records

# AdamW, as Muon multiplies in bf16 whatever the dtype: there a sum in another order is felt at 1e-5.
COMMON = [
    "pretrain", "corpus.txt", "--config", "1x64", "--length", "16", "--batch-size", "4", "--device", "cpu",
    "--dtype", "fp32", "--quiet", "--lr", "1e-3", "--optimizer", "adamw",
]  # fmt: skip


def run(folder, *command):
    environment = os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
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
@pytest.mark.skipif(not torch.distributed.is_gloo_available(), reason="this torch has no gloo")
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
