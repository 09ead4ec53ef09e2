"""A task of about 100 lines, as an example and for tests: one label for a text, from the mean of its states.

It is declared by `SPEC`; in nlpkit it would be a package in `nlpkit/tasks` and a line in `nlpkit.tasks.TASKS`.
"""

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch.nn.functional as F
from torch import nn
from typing_extensions import override

from nlpkit.core.formats.annotation import Reader, json_lines
from nlpkit.core.io.json_shapes import Probability
from nlpkit.core.io.records import Line
from nlpkit.core.model.loading import load_predictor
from nlpkit.core.model.text_task import TextPredictor, TextTask
from nlpkit.nn.network import Network
from nlpkit.tasks import TaskSpec

SPEC = TaskSpec(
    name="label",
    help="Label texts.",
    task="toy_task:LabelTask",
    loader="toy_task:load",
    formats="toy_task",
    renderer="toy_task:marks",
)


class Example(NamedTuple):
    text: str
    label: str
    line: Line


def _parse(line, fields, field):
    if not isinstance(fields.get("label"), str):
        raise line.error('no "label" here, or not a string')
    return Example(fields.get(field or "text"), fields["label"], line)


FORMATS = {"nlpkit": json_lines(_parse)}


read_examples = Reader(FORMATS)


class LabelNetwork(Network):
    def __init__(self, backbone, labels):
        super().__init__()
        self.backbone, self.head = backbone, nn.Linear(backbone.hidden_size, labels)

    def forward(self, inputs):
        states = self.backbone(inputs.input_ids, inputs.attention_mask).float()
        mask = inputs.attention_mask[..., None]
        return self.head((states * mask).sum(1) / mask.sum(1))

    def loss(self, inputs, targets):
        return F.cross_entropy(self(inputs), targets["labels"])


@dataclass(frozen=True)
class LabelSettings:
    labels: tuple[str, ...]
    threshold: Probability = 0.5


class LabelTask(TextTask):
    name, metric, output_fields = "label", "accuracy", ("label", "score")
    settings_type, predictor_type = LabelSettings, TextPredictor

    @override
    @classmethod
    def from_examples(cls, examples, sources, **settings):
        return cls(LabelSettings(tuple(sorted({example.label for example in examples})), **settings))

    @override
    def network(self, backbone):
        return LabelNetwork(backbone, len(self.settings.labels))

    @override
    def target(self, example, document, window):
        return self.settings.labels.index(example.label)

    @override
    def collate(self, targets, size):
        return {"labels": np.array(targets)}

    @override
    def decode(self, outputs, attention_mask, min_score):
        weights = np.exp(outputs - outputs.max(-1, keepdims=True))
        scores = weights / weights.sum(-1, keepdims=True)
        return list(zip(scores, attention_mask.sum(1).tolist(), strict=True))

    @override
    def assemble(self, document, findings, threshold):
        """Return the label with the highest mean probability over the windows, weighted by their tokens."""
        mean = sum(scores * tokens for scores, tokens in findings) / sum(tokens for _, tokens in findings)
        score = float(mean.max())
        return (self.settings.labels[int(mean.argmax())], score) if score >= threshold else (None, score)

    @override
    def to_fields(self, text, answer):
        return {"label": answer[0], "score": round(answer[1], 4)}

    @override
    def score(self, pairs):
        counts = Counter(gold.label == answer[0] for gold, answer in pairs)
        return {"accuracy": counts[True] / counts.total()}


def marks(fields):
    return []


def load(name=None, device="auto", dtype="auto", *, runtime="auto", threshold=None):
    predictor = load_predictor(name, LabelTask, device, dtype, runtime=runtime)
    return predictor if threshold is None else predictor.changed(threshold=threshold)
