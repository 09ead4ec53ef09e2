"""Adapt the student of nlpkit-base: match the teacher's states while predicting masked characters.

    python distill.py --teacher DIR --student FILE --vocabulary FILE --corpus FILES… --output DIR --minutes M

The teacher reads a line in its own pieces, the student the same line in characters, a part of them masked by whole
words. A teacher piece covers some characters; the mean of the student's states over them learns the teacher's state:

    loss = mean over layers of w · MSE(student layer i, teacher layer i · 12 / L)     states standardised per dimension
         + 8 · squared distance of the sentence vectors (normalised means of the last states)
         + 0.1 · cross-entropy of the masked tokens

OUTPUT/state.pt is written every few minutes, and the same command continues from it. OUTPUT/model is a backbone for
`nlpkit train`. The learning rate warms up, stays, and falls to 0 over the last fifth of --minutes, over all runs.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from pairs import MASKED, Batch, Pairs, Stream, lines_of
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from torch.utils.data import DataLoader

from nlpkit.core.model import checkpoint
from nlpkit.core.model.device import pick_device
from nlpkit.core.model.manifest import Manifest
from nlpkit.core.text.tokenizer import CharTokenizer, read_vocabulary
from nlpkit.nn.backbones.bert import Bert
from nlpkit.nn.layers.prepack import prepack
from nlpkit.nn.losses import vocabulary_loss

LAST, INNER = 1.0, 0.3  # weights of the last layer and of each other layer
VECTORS, MLM = 8.0, 0.1  # weights of the losses
HELD_OUT, TEST = 2000, 160  # first lines of the corpus that are not trained on, and how many of them are evaluated
WARMUP, DECAY = 150, 0.2  # steps, and fraction of the time


class Student(nn.Module):
    """The encoder with a masked-language-model head."""

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


class Distillation:
    """The losses of a batch.

    Args:
        student: the network to train.
        teacher: its teacher.
    """

    def __init__(self, student: Student, teacher: Bert):
        self.student, self.teacher = student, teacher
        layers = len(student.backbone.layers)
        self.steps = [len(teacher.layers) // layers * (i + 1) for i in range(layers)]
        self.deviation: Tensor | None = None  # [layers, d] of the teacher's states, from the first batch

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """Return the losses by name."""
        with torch.no_grad():
            states = self.teacher.hidden_states(batch.theirs, batch.their_mask)
        mine = self.student.backbone.hidden_states(batch.ids, batch.mask)
        with torch.autocast(batch.ids.device.type, enabled=False):
            gaps = self._gaps([s.float() for s in mine], [s.float() for s in states], batch.spans)
            weights = torch.tensor([INNER] * (len(gaps) - 1) + [LAST], device=gaps.device)
            vectors = sentence(mine[-1].float(), batch.mask), sentence(states[-1].float(), batch.their_mask)
            distance = (vectors[0] - vectors[1]).square().sum(-1).mean()
        result = {"states": (gaps * weights).sum() / weights.sum(), "vectors": VECTORS * distance}
        if len(batch.true):
            row, position = batch.positions.unbind(1)
            result["mlm"] = MLM * self.student.mlm_loss(mine[-1][row, position], batch.true)
        return result

    def _gaps(self, mine: list[Tensor], states: list[Tensor], spans: Tensor) -> Tensor:
        """The mean squared error of each layer [layers] over the teacher's pieces: spans [n, 4]."""
        row, piece, begin, end = spans.unbind(1)
        targets = torch.stack([states[step][row, piece] for step in self.steps])  # [layers, n, d]
        if self.deviation is None:
            self.deviation = targets.std(1) + 1e-6
        means = []
        for state in mine[1:]:
            sums = F.pad(state.cumsum(1), (0, 0, 1, 0))  # [b, s + 1, d]
            means.append((sums[row, end] - sums[row, begin]) / (end - begin)[:, None])
        return ((torch.stack(means) - targets) / self.deviation[:, None]).square().mean((1, 2))


def sentence(states: Tensor, mask: Tensor) -> Tensor:
    """Return normalised mean states [b, d]."""
    mean = (states * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)
    return F.normalize(mean, dim=-1)


def read_bert(config: dict[str, Any], weights: dict[str, Tensor]) -> Bert:
    """Return nlpkit's BERT with published weights, of as many layers as these have, without dropout."""
    layers = 1 + max(int(name.split(".")[2]) for name in weights if name.startswith("encoder.layer."))
    vocab_size = len(weights["embeddings.word_embeddings.weight"])
    sizes = {"num_hidden_layers": layers, "vocab_size": vocab_size, "hidden_dropout_prob": 0.0}
    return Bert.from_pretrained({**config, **sizes}, weights)


class Run:
    """A training run with its state on disk.

    Args:
        arguments: of the command line.
    """

    def __init__(self, arguments: argparse.Namespace):
        self.folder, self.limit, self.lr = arguments.output, 60 * arguments.minutes, arguments.lr
        self.folder.mkdir(parents=True, exist_ok=True)
        self.corpus = arguments.corpus
        self.tokenizer = CharTokenizer(read_vocabulary(arguments.vocabulary), normalize=True)
        self.pieces = Tokenizer.from_file(str(arguments.teacher / "tokenizer.json"))
        config = json.loads((arguments.teacher / "config.json").read_text(encoding="utf-8"))
        self.device = pick_device(arguments.device)
        teacher = read_bert(config, load_file(arguments.teacher / "model.safetensors")).eval().to(self.device)
        if self.device.type == "cpu":
            prepack(teacher)
        self.student = Student(read_bert(config, load_file(arguments.student))).to(self.device)
        matrices = [p for p in self.student.parameters() if p.dim() > 1]
        vectors = [p for p in self.student.parameters() if p.dim() == 1]
        groups = [{"params": matrices, "weight_decay": 0.01}, {"params": vectors, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=self.lr, betas=(0.9, 0.98), eps=1e-6, fused=True)
        self.work = Distillation(self.student, teacher)
        self.pad_id, self.size, self.workers = config["pad_token_id"], arguments.batch_tokens, arguments.workers
        self.progress = {"step": 0, "line": HELD_OUT, "seconds": 0.0, "tokens": 0}
        self._resume()

    def _resume(self) -> None:
        path = self.folder / "state.pt"
        if path.exists():
            state = torch.load(path, weights_only=True, map_location=self.device)
            self.student.load_state_dict(state["student"])
            self.optimizer.load_state_dict(state["optimizer"])
            self.work.deviation, self.progress = state["deviation"], state["progress"]

    def train(self, save_every: float) -> None:
        """Train until the time is over; save every so many seconds and at the end."""
        saved = time.monotonic()
        pairs = Pairs(self.tokenizer, self.pieces, self.pad_id, 1 + self.progress["step"])
        stream = Stream(pairs, self.corpus, self.progress["line"], self.size)
        batches = iter(DataLoader(stream, batch_size=None, num_workers=self.workers))
        while self.progress["seconds"] < self.limit:
            began = time.monotonic()
            self._step(next(batches))
            self.progress["seconds"] += time.monotonic() - began
            if time.monotonic() - saved > save_every:
                self.save()
                saved = time.monotonic()
        self.save()

    def _losses(self, batch: Batch) -> dict[str, Tensor]:
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.device.type != "cpu"):
            return self.work.losses(batch.to(self.device))

    def _step(self, batch: Batch) -> None:
        left = 1 - self.progress["seconds"] / self.limit
        factor = min(1.0, (self.progress["step"] + 1) / WARMUP) * min(1.0, max(0.0, left / DECAY))
        for group in self.optimizer.param_groups:
            group["lr"] = self.lr * factor
        losses = self._losses(batch)
        self.optimizer.zero_grad(set_to_none=True)
        torch.stack(list(losses.values())).sum().backward()
        nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
        self.optimizer.step()
        self.progress["step"] += 1
        self.progress["tokens"] += batch.tokens
        self.progress["line"] = max(self.progress["line"], batch.line)

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """Return the mean losses on held-out lines, with and without masks."""
        pairs = Pairs(self.tokenizer, self.pieces, self.pad_id, 7)
        lines = lines_of(self.corpus, 0)
        examples = [e for _, text in (next(lines) for _ in range(TEST)) if (e := pairs.example(text))]
        examples.sort(key=lambda e: len(e["ids"]))
        groups = [examples[start : start + 16] for start in range(0, len(examples), 16)]
        result: dict[str, float] = {}
        for with_masks in (False, True):
            for group in groups:
                for name, value in self._losses(pairs.batch(group, with_masks)).items():
                    key = f"{name}_masked" if with_masks else name
                    result[key] = result.get(key, 0.0) + value.item() / len(groups)
        return result

    def save(self) -> None:
        """Write the log, the state and the backbone."""
        metrics = self.evaluate()
        with (self.folder / "log.jsonl").open("a") as log:
            log.write(json.dumps({**self.progress, "held_out": metrics}) + "\n")
        state = {"student": self.student.state_dict(), "optimizer": self.optimizer.state_dict(),
                 "deviation": self.work.deviation, "progress": self.progress}  # fmt: skip
        temporary = self.folder / "state.new"
        torch.save(state, temporary)
        temporary.replace(self.folder / "state.pt")
        tokens, seconds = self.progress["tokens"], round(self.progress["seconds"])
        manifest = Manifest(
            task="pretrain",
            backbone=self.student.backbone.describe(),
            tokenizer=self.tokenizer.settings,
            max_length=self.student.backbone.max_length,
            metrics={"held_out": metrics},
            training={"teacher": "multilingual-e5-small", "tokens": tokens, "seconds": seconds, "masked": MASKED},
        )
        checkpoint.save(self.folder / "model", manifest, self.tokenizer.lines, self.student.state_dict(), "fp16")


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("teacher", "student", "vocabulary", "output"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--corpus", nargs="+", required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--lr", type=float, default=5e-4)
    parser.add_argument("--device", default="auto", help="a GPU computes in bf16")
    parser.add_argument("--batch-tokens", type=int, default=1024, help="tokens of a batch, padding included")
    parser.add_argument("--workers", type=int, default=0, help="processes that read the corpus; one a core for a GPU")
    parser.add_argument("--save-every", type=float, default=300, help="seconds")
    arguments = parser.parse_args()
    torch.manual_seed(1)
    Run(arguments).train(arguments.save_every)


if __name__ == "__main__":
    main()
