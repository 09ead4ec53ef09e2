"""Distil a sentence encoder into one with fewer layers.

    python recipes/embed-base/fewer_layers.py TEACHER LAYERS OUTPUT TEXTS DEV...

The student starts as the teacher without some layers: they are removed one by one, each time the one whose removal
changes the vectors of 256 texts least. Its embeddings stay fixed. It reads TEXTS, one per line, once, and
learns the last states of the teacher, its vectors, and their similarities:

    loss = ½ · MSE of the states, divided by their variance
         + 10 · (1 − mean cosine of the vectors of student and teacher)
         + 100 · mean squared difference of the cosines between all vectors of a batch

The same command resumes an interrupted run.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from typing_extensions import override

from nlpkit.core.model.batches import BatchesByLength
from nlpkit.core.model.checkpoint import save
from nlpkit.core.model.loading import load_predictor
from nlpkit.core.model.manifest import KIND, STATE, read_manifest
from nlpkit.core.model.pretrained import load_backbone
from nlpkit.core.text.padding import pad_batch
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.core.training.settings import TrainSettings
from nlpkit.core.training.trainer import Hooks, RunProgress, Trainer
from nlpkit.nn.backbones.bert import Bert
from nlpkit.nn.network import Inputs, Network
from nlpkit.nn.pooling import pool
from nlpkit.tasks.embed.data import read_pairs
from nlpkit.tasks.embed.sentence_transformers.reader import write_modules
from nlpkit.tasks.embed.task import EmbedTask

STATES, VECTORS, SIMILARITIES = 0.5, 10.0, 100.0  # weights of the losses
SAMPLE = 256  # texts whose vectors tell which layers to remove
SETTINGS = TrainSettings(epochs=1, batch_size=32, lr=3e-4, head_lr=3e-4, warmup=0.03, decay=0.97)


class Texts(BatchesByLength):
    """Batches of texts.

    Args:
        texts: to read.
        tokenizer: of the model.
        max_length: of a sequence, [CLS] and [SEP] included; longer texts are truncated.
    """

    def __init__(self, texts: list[str], tokenizer: CharTokenizer, max_length: int):
        self.pad_id = tokenizer.pad_id
        self.sequences = [
            [tokenizer.cls_id, *tokenizer.encode(text).ids[: max_length - 2], tokenizer.sep_id] for text in texts
        ]
        lengths = [len(sequence) for sequence in self.sequences]
        super().__init__(lengths, SETTINGS.batch_size, SETTINGS.seed)
        self.longest, self.diagnostics = max(lengths), {"sequences": len(texts)}

    @override
    def collate(self, examples: list[int], step: int) -> tuple[Inputs, dict[str, Tensor]]:
        return Inputs.of(*pad_batch([self.sequences[index] for index in examples], self.pad_id)), {}


class Distillation(Network):
    """A student, and the loss that compares it with its teacher.

    Args:
        student: to train.
        teacher: of the same width and tokenizer.
    """

    def __init__(self, student: Bert, teacher: Bert):
        super().__init__()
        self.backbone = student
        self.teacher_states = teacher.forward  # a method: the teacher is not registered as a submodule

    @override
    def loss(self, inputs: Inputs, targets: dict[str, Tensor]) -> Tensor:
        with torch.no_grad():
            teacher = self.teacher_states(inputs.input_ids, inputs.attention_mask)
        student = self.backbone(inputs.input_ids, inputs.attention_mask)
        teacher_tokens = teacher[inputs.attention_mask]
        first, second = (vectors(states, inputs) for states in (student, teacher))
        return (
            STATES * F.mse_loss(student[inputs.attention_mask], teacher_tokens) / teacher_tokens.var()
            + VECTORS * (1 - (first * second).sum(-1).mean())
            + SIMILARITIES * F.mse_loss(first @ first.T, second @ second.T)
        )


def vectors(states: Tensor, inputs: Inputs) -> Tensor:
    """Return the mean states at unit length."""
    return F.normalize(pool([states], inputs.attention_mask, "mean"), dim=-1)


@torch.no_grad()
def kept_layers(teacher: Bert, count: int, texts: Texts) -> list[int]:
    """Return the numbers of `count` layers of the teacher; the others are removed one by one, see above."""
    layers = teacher.layers
    batches = [texts.collate(batch, 0)[0] for batch in texts.order(0)[: SAMPLE // SETTINGS.batch_size]]

    def sample(numbers: list[int]) -> Tensor:
        teacher.layers = nn.ModuleList([layers[number] for number in numbers])
        return torch.cat([vectors(teacher(b.input_ids, b.attention_mask), b) for b in batches])

    kept = list(range(len(layers)))
    unchanged = sample(kept)
    while len(kept) > count:
        shorter = [kept[:index] + kept[index + 1 :] for index in range(len(kept))]
        kept = max(shorter, key=lambda numbers: float((sample(numbers) * unchanged).sum()))
    teacher.layers = layers
    return kept


def with_layers(teacher: Bert, numbers: list[int]) -> Bert:
    """Return a copy of the teacher with some of its layers, to be trained but for its embeddings."""
    student = Bert(teacher.config)
    student.load_state_dict(teacher.state_dict())
    student.layers = nn.ModuleList([student.layers[number] for number in numbers])
    student.config = replace(teacher.config, num_layers=len(numbers))
    student.embeddings.requires_grad_(False)
    return student


def main(teacher_folder: Path, count: int, output: Path, file: Path, *dev: str) -> None:
    """Write the student in int8, with its own scores and training log."""
    manifest: Any = read_manifest(teacher_folder, EmbedTask.name)
    teacher, tokenizer = load_backbone(str(teacher_folder), list)
    assert isinstance(teacher, Bert)
    texts = Texts(file.read_text(encoding="utf-8").splitlines(), tokenizer, manifest.max_length)
    torch.manual_seed(SETTINGS.seed)
    kept = kept_layers(teacher.eval().requires_grad_(False), count, texts)
    print(f"layers: {kept}", flush=True)
    network = Distillation(with_layers(teacher, kept), teacher)
    manifest.backbone["num_layers"] = count
    manifest.training["distilled"] = {"teacher": str(teacher_folder), "layers": kept, "texts": len(texts.sequences)}
    manifest.training["parameters"] = sum(parameter.numel() for parameter in network.parameters())

    def keep(metrics: dict[str, Any]) -> None:
        save(output, manifest, tokenizer.lines, network.state_dict(), "int8")

    def report(progress: RunProgress) -> None:
        if progress.step % 100 == 0:
            print(f"{progress.step}/{progress.total_steps}: {progress.loss:.3f}, {progress.elapsed:.0f} s", flush=True)

    hooks = Hooks(evaluate=None, metric="", keep=keep, report=report, identity=manifest.training["distilled"])
    trainer = Trainer(network, texts, texts.steps_per_epoch, SETTINGS, hooks, output, torch.float32)
    manifest.training["seconds"] = round(trainer.run(resume=True).elapsed)
    manifest.metrics = {"dev": load_predictor(str(output), EmbedTask).evaluate(list(read_pairs(dev)))}
    KIND.write(output, manifest)
    write_modules(output)
    (output / STATE).unlink()
    print(manifest.metrics["dev"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3]), Path(sys.argv[4]), *sys.argv[5:])
