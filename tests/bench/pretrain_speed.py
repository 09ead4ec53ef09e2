"""Pretraining speed of both backbones at the same size, and its share of what the machine's matrix product reaches.

    python tests/bench/pretrain_speed.py [STEPS]

Rows of 128, batches of 64, 6×384 and the GAU-α of the same number of weights, in the precision that `auto` takes for
training here, with Muon, the default. The reference is the product of the same layer's feed-forward network, forward
only, in that precision.
"""

import sys
import time

import torch
from common import by_processor, record

from nlpkit.core.model.device import keep_memory, pick_device, pick_dtype
from nlpkit.core.model.pretrained import sizes
from nlpkit.nn.backbones import build
from nlpkit.nn.network import Inputs
from nlpkit.nn.optim.optimizers import make_optimizers, parameter_groups
from nlpkit.tasks.pretrain.model import MaskedLanguageModel

ROWS, LENGTH, VOCABULARY, WIDTH = 64, 128, 9856, 384
MASKED = int(0.3 * ROWS * LENGTH)


def product_speed(device: torch.device, dtype: torch.dtype) -> float:
    """FLOP/s of [rows·length, d] × [d, 4d], the best of some."""
    x = torch.randn(ROWS * LENGTH, WIDTH, device=device, dtype=dtype)
    weight = torch.randn(4 * WIDTH, WIDTH, device=device, dtype=dtype)
    best = 0.0
    for _ in range(30):
        start = time.perf_counter()
        torch.nn.functional.linear(x, weight)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        best = max(best, 2 * x.shape[0] * weight.numel() / (time.perf_counter() - start))
    return best


def flops_per_step(network: MaskedLanguageModel, attention: int) -> float:
    """Forward and backward: 6 per weight and token, the attention's two products, and the output on masked tokens."""
    matrices = sum(p.numel() for name, p in network.named_parameters() if p.dim() == 2 and "layers." in name)
    tokens = ROWS * LENGTH
    output = 6 * MASKED * WIDTH * (VOCABULARY + WIDTH)
    return 6.0 * matrices * tokens + 6.0 * tokens * LENGTH * attention + output


def train(arch: str, steps: int, device: torch.device, dtype: torch.dtype) -> tuple[MaskedLanguageModel, float]:
    """The network and its seconds per step."""
    torch.manual_seed(0)
    description = {**sizes(arch, 6, WIDTH), "vocab_size": VOCABULARY, "dropout": 0.0}
    network = MaskedLanguageModel(build(description)).to(device)  # type: ignore[arg-type]
    optimizers = make_optimizers(network, parameter_groups(network, 1e-4, 1e-4, 1.0, 0.01), "muon")
    seconds = []
    for _ in range(steps + 2):
        start = time.perf_counter()
        ids = torch.randint(5, VOCABULARY, (ROWS, LENGTH), device=device)
        positions = torch.randperm(ROWS * LENGTH, device=device)[:MASKED]
        targets = {"positions": positions, "ids": ids.flatten()[positions]}
        with torch.autocast(device.type, dtype, enabled=dtype != torch.float32):
            loss = network.loss(Inputs(ids, torch.ones_like(ids, dtype=torch.bool)), targets)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        for optimizer in optimizers:
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
        loss.item()
        seconds.append(time.perf_counter() - start)
    return network, sorted(seconds[2:])[steps // 2]


def main(steps: int = 9) -> None:
    """Both backbones in turn; medians."""
    keep_memory()
    device = pick_device()
    dtype = pick_dtype("auto", device)
    reference = product_speed(device, dtype)
    result = {}
    for arch in ("roformer_v2", "gau_alpha"):
        network, seconds = train(arch, steps, device, dtype)
        # q·kᵀ and A·v: d + d in every Transformer layer, s + e in every GAU layer
        attention = 6 * 2 * WIDTH if arch == "roformer_v2" else 12 * (128 + 2 * WIDTH)
        speed = flops_per_step(network, attention) / seconds
        result[arch] = {
            "weights": sum(p.numel() for p in network.parameters()),
            "tokens_per_second": round(ROWS * LENGTH / seconds),
            "gflops": round(speed / 1e9),
            "share_of_matrix_product": round(speed / reference, 3),
        }
    precision = str(dtype).removeprefix("torch.")
    record(
        by_processor("pretrain_speed"),
        {"precision": precision, "matrix_product_gflops": round(reference / 1e9), **result},
    )


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
