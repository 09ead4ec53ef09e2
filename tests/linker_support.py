"""What the tests of relations and events share: perfect logits, random ones, a toy language, and a tiny checkpoint."""

import random
from dataclasses import asdict
from itertools import combinations

import numpy as np
import torch
from support import GIVEN, SURNAMES, invoke, randomize, records, vocabulary, write_jsonl

from nlpkit.core.model import checkpoint
from nlpkit.core.model.manifest import Manifest
from nlpkit.core.spans.linked import NAMES, Linked
from nlpkit.core.text.document import Document
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.nn.backbones import build
from nlpkit.nn.factors import Factors

COMPANIES = ("东方电器", "南山银行", "西湖医院", "北斗科技", "中海石油", "长城汽车")
CITIES = ("北京", "上海", "广州", "南京", "武汉")


class Dense:
    """Logits [b, c, s, s] with the methods of `Factors`, which cannot hold every such tensor."""

    def __init__(self, logits):
        self.logits = logits
        b, c, s, _ = logits.shape
        self.pairs, self.starts, self.ends = logits.max(1), np.zeros((b, s, c)), np.zeros((b, s, c))

    def at(self, row, first, last):
        return self.logits[row, :, first, last]


def perfect(task, targets, sizes):
    """What `task.decode` takes, for sequences of these sizes: +10 at the targets, −10 elsewhere."""
    s = max(sizes) + 2
    heads = []
    for positives in (task.collate(targets, s)[name] for name in NAMES):
        positives = positives[..., 0] if positives.ndim == 4 else positives  # the first of alternatives
        logits = np.full((*positives.shape[:2], s * s), -10.0, np.float32)
        row, label, slot = np.nonzero(positives >= 0)
        logits[row, label, positives[row, label, slot]] = 10.0
        heads.append(Dense(logits.reshape(*positives.shape[:2], s, s)))
    return Linked(*heads), np.arange(s) < np.array(sizes)[:, None] + 2


def round_trip(task, example, tokenizer, limit=512):
    """An example through target, perfect logits, decode and assemble."""
    document = Document.of(example.text, tokenizer, limit)
    targets = [task.target(example, document, window) for window in document.windows]
    found = task.decode(*perfect(task, targets, [len(window) for window in document.windows]), 0.5)
    return task.assemble(document, found, 0.5)


def random_factors(generator, rows, labels, size, bias, triangle=True):
    """Factors whose logits are above 0 here and there; padding is where the returned mask says."""
    mask = torch.arange(size) < torch.randint(3, size + 1, (rows, 1), generator=generator)
    allowed = mask[:, :, None] & mask[:, None, :]
    if triangle:
        allowed &= torch.ones(size, size, dtype=torch.bool).triu()
    pairs = torch.randn(rows, size, size, generator=generator).masked_fill(~allowed, torch.finfo(torch.float32).min)
    starts, ends = (torch.randn(rows, size, labels, generator=generator) + bias for _ in range(2))
    return Factors(*(term.numpy() for term in (pairs, starts, ends))), mask.numpy()


def published(nodes, linked):
    """kexue.fm 8926: complete is an event; else both closed neighbourhoods of each pair that is not linked."""
    missing = [pair for pair in combinations(sorted(nodes), 2) if pair not in linked]
    if not missing:
        return {frozenset(nodes)}
    found = set()
    for pair in missing:
        for node in pair:
            closed = {other for other in nodes if other == node or (min(node, other), max(node, other)) in linked}
            found |= published(closed, linked)
    return {one for one in found if not any(one < other for other in found)}


def neighbours_of(size, linked):
    return [{other for pair in linked if node in pair for other in pair} - {node} for node in range(size)]


def save_linker(folder, task, *, bias=-1.0, seed=7, max_length=64):
    """A checkpoint with random weights for relations or events; the higher the bias, the more it finds."""
    tokenizer = CharTokenizer(vocabulary("".join(COMPANIES + CITIES) + SURNAMES + GIVEN + "收购了起诉，。的总部在"))
    sizes = {"hidden_size": 64, "num_layers": 2, "num_heads": 2, "intermediate_size": 128, "max_length": 256}
    backbone = build({"type": "roformer_v2", "vocab_size": tokenizer.vocab_size, **sizes})
    randomize(backbone, seed)
    network = task.network(backbone)
    with torch.no_grad():
        for head in (network.spans, network.heads, network.tails):
            head.dense.weight.mul_(3)
            head.bias.bias.fill_(bias)
    description = {"kind": tokenizer.kind, "lowercase": tokenizer.lowercase}
    manifest = Manifest(task.name, network.backbone.describe(), description, max_length, asdict(task.settings))
    checkpoint.save(folder, manifest, tokenizer.tokens, network.state_dict())
    return str(folder)


def train_toy(folder, task, toy):
    """Train a model of a task on a toy language for some seconds; return (folder, dev file, metrics)."""
    train, dev = write_jsonl(folder / "train.jsonl", toy(240)), write_jsonl(folder / "dev.jsonl", toy(60, 1))
    sizes = ("--model", "roformer_v2:2x64", "--batch-size", 16, "--lr", "2e-3", "--epochs", 10, "--evaluations", 1)
    more = ("--threshold", "auto", "--quiet", "-o", folder / "model")
    result = invoke("train", task, train, "--dev", dev, *sizes, *more)
    assert result.exit_code == 0, result.output
    return folder / "model", dev, records(result)[0]


class _Text:
    """A text that is written piece by piece, with the places of its pieces."""

    def __init__(self):
        self.text = ""

    def add(self, piece):
        start = len(self.text)
        self.text += piece
        return {"start": start, "end": start + len(piece), "text": piece}


def toy_events(number, seed=0):
    """Records of a toy language: companies buy and sue each other, often both in one sentence."""
    chance = random.Random(seed)
    records = []
    for _ in range(number):
        line, events = _Text(), []
        for kind in chance.choice([("收购",), ("起诉",), ("收购", "起诉"), ()]):
            one, other = chance.sample(COMPANIES, 2)
            roles = ("买方", "卖方") if kind == "收购" else ("原告", "被告")
            first = line.add(one)
            trigger = line.add(kind)
            line.add("了")
            second = line.add(other)
            line.add("，")
            arguments = [{"role": role, **span} for role, span in zip(roles, (first, second), strict=True)]
            events.append({"type": kind, "trigger": trigger, "arguments": arguments})
        line.add(chance.choice(("今天天气很好。", "没有别的。")))
        records.append({"text": line.text, "events": events})
    return records


def toy_relations(number, seed=0):
    """Records of a toy language: companies have seats and bosses."""
    chance = random.Random(seed)
    records = []
    for _ in range(number):
        line, relations = _Text(), []
        company = line.add(chance.choice(COMPANIES))
        if chance.random() < 0.7:
            line.add("的总部在")
            relations.append({"subject": company, "predicate": "总部", "object": line.add(chance.choice(CITIES))})
            line.add("，")
        if chance.random() < 0.7:
            line.add("老板是")
            name = chance.choice(SURNAMES) + "".join(chance.sample(GIVEN, 2))
            relations.append({"subject": company, "predicate": "老板", "object": line.add(name)})
            line.add("。")
        records.append({"text": line.text, "relations": relations})
    return records
