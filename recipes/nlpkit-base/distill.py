"""Adapt the student of nlpkit-base: predict masked characters, and match the states of the teacher.

    python distill.py --teacher DIR --student DIR --corpus FILES… --output DIR --minutes M

The teacher is the folder of recipes/embed-base/prune.py, the student that of student.py. The teacher reads a line in
pieces, the student the same line in characters, a part of them masked. The mean of the student's states over a piece
learns the state of the teacher:

    loss = 0.5 · cross-entropy of the masked characters
         + 2 · mean over some layers of MSE(projection of the student's layer, standardised state of the teacher's)
         + 4 · squared distance of the sentence vectors (normalised means of the last states, the student's projected)

The projections are dropped afterwards. The learning rate rises, and decays linearly to 0, over the time of the run,
not over steps, so --minutes is what a run takes on any device. OUTPUT/state.pt is written every minute; the same
command continues from it. OUTPUT/model is a backbone for `nlpkit train`.
"""

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from corpus import MASKED, Batch, Batches, read_corpus
from torch import Tensor, nn

from nlpkit.core.model import checkpoint
from nlpkit.core.model.manifest import Manifest
from nlpkit.core.model.pretrained import load_backbone
from nlpkit.errors import NlpkitError
from nlpkit.nn.backbones.bert import Bert
from nlpkit.nn.losses import vocabulary_loss

MLM, STATES, VECTORS = 0.5, 2.0, 4.0  # weights of the losses
HELD_OUT, TEST_BATCHES = (
    4000,
    8,
)  # first lines of the corpus that are not trained on, and how many batches are evaluated
WARMUP = 0.04  # fraction of the time
OWN_HEAD = ("transform.bias", "norm.weight", "norm.bias")


class Student(nn.Module):
    """The encoder with a masked-language-model head.

    Args:
        encoder: of the student.
    """

    def __init__(self, encoder: Bert):
        super().__init__()
        self.backbone = encoder
        self.transform = nn.Linear(encoder.hidden_size, encoder.hidden_size)
        self.norm = nn.LayerNorm(encoder.hidden_size)
        self.bias = nn.Parameter(torch.zeros(encoder.vocab_size))

    def mlm_loss(self, states: Tensor, ids: Tensor) -> Tensor:
        """Return the mean cross-entropy of masked tokens: states [m, d], ids [m]."""
        hidden = self.norm(F.gelu(self.transform(states)))
        return vocabulary_loss(hidden, self.backbone.embeddings.weight, self.bias, ids)


class Distillation(nn.Module):
    """The losses of a batch.

    Args:
        student: the network to train.
        teacher: its teacher, of an integral multiple of the student's layers.
    """

    def __init__(self, student: Student, teacher: Bert):
        super().__init__()
        self.student, self.teacher = student, teacher
        layers, width = len(student.backbone.layers), student.backbone.hidden_size
        self.pairs = [(mine, mine * len(teacher.layers) // layers) for mine in range(2, layers + 1, 2)]
        self.projections = nn.ModuleList([nn.Linear(width, width) for _ in range(len(self.pairs) + 1)])
        for projection in self.projections:
            nn.init.eye_(projection.weight)
        self.register_buffer("mean", torch.zeros(len(self.pairs), width))
        self.register_buffer("deviation", torch.zeros(len(self.pairs), width))
        teacher.requires_grad_(False)

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the losses by name."""
        with torch.no_grad():
            theirs = self.teacher.hidden_states(batch.pieces, batch.piece_mask)
        mine = self.student.backbone.hidden_states(batch.ids, batch.mask)
        row, piece = (batch.ends > batch.begins).nonzero(as_tuple=True)
        begin, end = batch.begins[row, piece], batch.ends[row, piece]
        targets = torch.stack([theirs[layer][row, piece].float() for _, layer in self.pairs])  # [layers, n, d]
        if not self.deviation.any():
            self.mean.copy_(targets.mean(1))
            self.deviation.copy_(targets.std(1) + 1e-6)
        targets = (targets - self.mean[:, None]) / self.deviation[:, None]
        gaps = []
        for (layer, _), projection, target in zip(self.pairs, self.projections, targets, strict=False):
            sums = F.pad(mine[layer].float().cumsum(1), (0, 0, 1, 0))  # [b, s + 1, d]
            means = (sums[row, end] - sums[row, begin]) / (end - begin)[:, None]
            gaps.append((projection(means).float() - target).square().mean())
        vectors = self.projections[-1](pooled(mine[-1], batch.mask)), pooled(theirs[-1], batch.piece_mask)
        first, second = (F.normalize(vector.float(), dim=-1) for vector in vectors)
        row, position = (batch.true >= 0).nonzero(as_tuple=True)
        return {
            "mlm": self.student.mlm_loss(mine[-1][row, position], batch.true[row, position]),
            "states": torch.stack(gaps).mean(),
            "vectors": (first - second).square().sum(-1).mean(),
        }


def pooled(states: Tensor, mask: Tensor) -> Tensor:
    """Return the mean states [b, d]."""
    return (states.float() * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


def total(losses: dict[str, Tensor]) -> Tensor:
    """Return the weighted sum."""
    return MLM * losses["mlm"] + STATES * losses["states"] + VECTORS * losses["vectors"]


class Run:
    """A training run with its state on disk.

    Args:
        arguments: of the command line.
    """

    def __init__(self, arguments: argparse.Namespace):
        self.folder, self.limit, self.lr = arguments.output, 60 * arguments.minutes, arguments.lr
        self.folder.mkdir(parents=True, exist_ok=True)
        self.device: str = arguments.device
        teacher, pieces = load_backbone(str(arguments.teacher), list)
        encoder, self.tokenizer = load_backbone(str(arguments.student), list)
        dtype = torch.float32 if self.device == "cpu" else torch.bfloat16
        began = time.monotonic()
        tokens = read_corpus(arguments.corpus, self.tokenizer, pieces, arguments.processes)  # type: ignore[arg-type]
        self.batches = Batches(tokens, self.tokenizer, pieces, arguments.batch_tokens, self.device)  # type: ignore[arg-type]
        print(f"{len(self.batches)} lines, {len(tokens.ids)} tokens in {time.monotonic() - began:.0f} s", flush=True)
        self.work = Distillation(Student(encoder), teacher.eval().to(dtype)).to(self.device)  # type: ignore[arg-type]
        trained = [p for p in self.work.parameters() if p.requires_grad]
        matrices, vectors = [p for p in trained if p.dim() > 1], [p for p in trained if p.dim() == 1]
        groups = [{"params": matrices, "weight_decay": 0.02}, {"params": vectors, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=self.lr, betas=(0.9, 0.98), eps=1e-6, fused=True)
        self.progress = {"epoch": 0, "step": 0, "seconds": 0.0, "tokens": 0}
        if (self.folder / "state.pt").exists():
            state = torch.load(self.folder / "state.pt", weights_only=True, map_location=self.device)
            self.work.load_state_dict(state["work"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.progress = state["progress"]

    def _stream(self) -> Iterator[Batch]:
        while True:
            self.progress["epoch"] += 1
            yield from self.batches.epoch(np.arange(HELD_OUT, len(self.batches)), int(self.progress["epoch"]))

    def train(self, save_every: float) -> None:
        """Train until the time is over; save every so many seconds and at the end."""
        before, saved, stream = self.progress["seconds"], 0.0, self._stream()
        began = time.monotonic()
        while self.progress["seconds"] < self.limit:
            self._step(next(stream))
            self.progress["seconds"] = before + time.monotonic() - began
            if self.progress["seconds"] - before - saved > save_every:
                self.save()
                saved = self.progress["seconds"] - before
        self.save()

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        with torch.autocast(self.device.partition(":")[0], torch.bfloat16, enabled=self.device != "cpu"):
            return self.work.losses(batch)

    def _step(self, batch: Batch) -> None:
        share = self.progress["seconds"] / self.limit
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr * min((share + 1e-3) / WARMUP, (1 - share) / (1 - WARMUP))
        total(self._losses(batch)).backward()
        nn.utils.clip_grad_norm_(self.work.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)
        self.progress["step"] += 1
        self.progress["tokens"] += batch.ids.numel()
        if self.progress["step"] % 100 == 0 and self.device != "cpu":
            torch.cuda.synchronize()  # otherwise the clock runs behind the device

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Return the mean losses on held-out lines."""
        state = torch.random.get_rng_state(), torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
        torch.manual_seed(7)
        result: dict[str, float] = {}
        for _, batch in zip(range(TEST_BATCHES), self.batches.epoch(np.arange(HELD_OUT), 0), strict=False):
            for name, value in self._losses(batch).items():
                result[name] = result.get(name, 0.0) + value.item() / TEST_BATCHES
        torch.random.set_rng_state(state[0])
        if torch.cuda.is_available():
            torch.cuda.set_rng_state_all(state[1])
        return result

    def save(self) -> None:
        """Write the log, the state and the backbone."""
        metrics = self.evaluate()
        line = json.dumps({**self.progress, "held_out": metrics})
        print(line, flush=True)
        with (self.folder / "log.jsonl").open("a") as log:
            log.write(line + "\n")
        state: dict[str, Any] = {"work": self.work.state_dict(), "optimizer": self.optimizer.state_dict()}
        new = self.folder / "state.new"
        try:
            torch.save({**state, "progress": self.progress}, new)
        except RuntimeError as error:  # of PyTorch's writer, if the disk is full
            new.unlink(missing_ok=True)
            raise OSError(f"{new}: cannot be written ({error}); free some space and run the command again") from error
        new.replace(self.folder / "state.pt")
        student = self.work.student
        # Of the head, the weights that the head of `nlpkit pretrain` and the generator of kgqa have too.
        weights = {name: value for name, value in student.state_dict().items() if name not in OWN_HEAD}
        parameters = sum(value.numel() for value in weights.values())
        training = {"teacher": "multilingual-e5-small", "masked": MASKED, "parameters": parameters, **self.progress}
        manifest = Manifest(
            task="pretrain",
            backbone=student.backbone.describe(),
            tokenizer=self.tokenizer.settings,
            max_length=student.backbone.max_length,
            metrics={"held_out": metrics},
            training=training,
        )
        checkpoint.save(self.folder / "model", manifest, self.tokenizer.lines, weights, "int8")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("teacher", "student", "output"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--corpus", type=Path, nargs="+", required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--lr", type=float, default=7e-4)
    parser.add_argument(
        "--device", default="cuda" if torch.cuda.is_available() else "cpu", help="a GPU computes in bf16"
    )
    parser.add_argument("--batch-tokens", type=int, default=65536, help="tokens of a batch, padding included")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="that tokenize the corpus")
    parser.add_argument("--save-every", type=float, default=60, help="seconds")
    arguments = parser.parse_args()
    torch.manual_seed(1)
    torch.set_float32_matmul_precision("high")
    try:
        Run(arguments).train(arguments.save_every)
    except (NlpkitError, OSError) as error:
        sys.exit(f"{Path(__file__).name}: error: {error}")


if __name__ == "__main__":
    main()
