"""What the tests of classification share: examples, a toy set, and tiny models with random weights."""

import random
from dataclasses import asdict

import torch
from support import SENTENCE, randomize, vocabulary, write_jsonl

from nlpkit.core.io.records import Line
from nlpkit.core.model import checkpoint
from nlpkit.core.model.manifest import UNBOUNDED, Manifest
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.nn.backbones import build
from nlpkit.tasks.classify.data import Example
from nlpkit.tasks.classify.settings import ClassifySettings
from nlpkit.tasks.classify.task import ClassifyTask

LABELS = ("negative", "positive")
NOUNS, OTHERS = ("房间", "早餐", "电影", "手机", "服务"), "这家的真是了我们都说还在那里也"
TOKENIZER = CharTokenizer(vocabulary("好坏".join(NOUNS) + OTHERS + SENTENCE))
SIZES = {"hidden_size": 64, "num_layers": 2, "num_heads": 2, "intermediate_size": 128, "max_length": 64}


def example(text, *labels, second=None, multiple=False, number=7):
    return Example(text, labels, Line(text, "gold", number), second, multiple)


def task(labels=LABELS, *, top=None, unlabelled=(), **settings):
    return ClassifyTask(ClassifySettings(tuple(labels), **settings), top=top, unlabelled=unlabelled)


def toy_reviews(number, seed=0):
    """Records of texts in which 好 is positive and 坏 is negative, whatever else they say."""
    chance = random.Random(seed)
    found = []
    for index in range(number):
        words = [chance.choice(NOUNS), "好坏"[index % 2], *chance.choices(OTHERS, k=chance.randint(1, 4))]
        chance.shuffle(words)
        found.append({"text": "".join(words), "label": ("positive", "negative")[index % 2]})
    return found


def toy_examples(number, seed=0):
    return [
        example(r["text"], r["label"], number=line) for line, r in enumerate(toy_reviews(number, seed), 1)
    ]  # fmt: skip


def toy_files(folder, train=96, dev=32):
    """The toy set in the files (train, dev) of a folder."""
    return (
        write_jsonl(folder / "train.jsonl", toy_reviews(train)),
        write_jsonl(folder / "dev.jsonl", toy_reviews(dev, 1)),
    )


def network_of(made, seed=7, **sizes):
    """The network of a task with random weights, made larger so that scores differ."""
    backbone = build({"type": "roformer_v2", "vocab_size": TOKENIZER.vocab_size, **SIZES, **sizes})
    randomize(backbone, seed)
    network = made.network(backbone).eval()
    if hasattr(network, "head"):
        with torch.no_grad():
            network.head.weight.mul_(5)
    return network


def save_encoder(folder, made, *, seed=7, max_length=32, **sizes):
    """A checkpoint with random weights; gives its path."""
    network = network_of(made, seed, **sizes)
    manifest = Manifest(
        "classify", network.backbone.describe(), TOKENIZER.settings, max_length, asdict(made.settings)
    )  # fmt: skip
    checkpoint.save(folder, manifest, TOKENIZER.tokens, network.state_dict())
    return str(folder)


def ngram_weights(rows, bits, seed=3):
    generator = torch.Generator().manual_seed(seed)
    return {
        "weight": torch.randn(rows, 1 << bits, generator=generator) * 3,
        "idf": torch.rand(1, 1 << bits, generator=generator) * 3,
        "bias": torch.randn(rows, generator=generator),
    }


def save_ngram(folder, made, *, bits=8, seed=3, store="fp32"):
    """A model of character n-grams with random weights; gives its path."""
    rows = len(made.settings.labels) - (not made.settings.multiple)
    manifest = Manifest(
        "classify", {"type": "ngram", "bits": bits}, {"kind": "ngram"}, UNBOUNDED, asdict(made.settings)
    )  # fmt: skip
    checkpoint.save(folder, manifest, None, ngram_weights(rows, bits, seed), store)
    return str(folder)
