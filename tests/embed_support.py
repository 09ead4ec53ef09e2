"""A tiny embedding model with random weights, and scored pairs of a toy language."""

import random
from dataclasses import asdict

import torch
from support import GIVEN, KINDS, PATTERNS, PLACES, SENTENCE, SURNAMES, vocabulary, write_jsonl

from nlpkit.core.model import checkpoint
from nlpkit.core.model.manifest import Manifest
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.nn.backbones import build
from nlpkit.tasks.embed.settings import EmbedSettings
from nlpkit.tasks.embed.task import EmbedTask


def save_embedder(folder, seed=5, pooling="mean", max_length=32):
    """A model folder; its weights are large enough for vectors that differ."""
    tokenizer = CharTokenizer(vocabulary(SENTENCE))
    torch.manual_seed(seed)
    sizes = {"hidden_size": 64, "num_layers": 2, "num_heads": 2, "intermediate_size": 128, "max_length": 64}
    backbone = build({"type": "roformer_v2", "vocab_size": tokenizer.vocab_size, **sizes})
    task = EmbedTask(EmbedSettings("cosent", pooling))
    manifest = Manifest(
        "embed", backbone.describe(), {"kind": "char", "lowercase": True}, max_length, asdict(task.settings)
    )
    checkpoint.save(folder, manifest, tokenizer, task.network(backbone).state_dict())
    return str(folder)


def toy_pairs(path, number, seed=0):
    """Pairs of sentences, alike (1) where they are about the same surname, whatever else they say, or not (0)."""
    chance = random.Random(seed)
    rows = []
    for index in range(number):
        score = index % 2
        first = chance.choice(SURNAMES)
        second = first if score else chance.choice([name for name in SURNAMES if name != first])
        sentences = [
            chance.choice(PATTERNS).format(
                name=name + chance.choice(GIVEN), company=chance.choice(PLACES) + chance.choice(KINDS)
            )
            for name in (first, second)
        ]
        rows.append({"sentence1": sentences[0], "sentence2": sentences[1], "score": score})
    return write_jsonl(path, rows)
