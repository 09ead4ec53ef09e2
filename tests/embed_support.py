"""A tiny embedding model with random weights, texts and vectors for it, and scored pairs of a toy language."""

import random
from dataclasses import asdict

import numpy as np
import torch
from support import GIVEN, KINDS, NASTY, PATTERNS, PLACES, SENTENCE, SURNAMES, vocabulary, write_jsonl

from nlpkit.core.model import checkpoint
from nlpkit.core.model.manifest import Manifest
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.nn.backbones import build
from nlpkit.tasks.embed.encoder.linear_map import Moments, Whitening
from nlpkit.tasks.embed.settings import EmbedSettings
from nlpkit.tasks.embed.task import EmbedTask

PLAIN = [SENTENCE, SENTENCE * 4, "叶老桂", "浙商银行" * 10, "在 北京", "，。！？"]  # known characters alone
TEXTS = [*NASTY, *PLAIN]
PROVENANCE = {"model": "m", "fingerprint": "1f", "pooling": "mean", "whitening": None, "dim": 6, "normalised": False}


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
    checkpoint.save(folder, manifest, tokenizer.tokens, task.network(backbone).state_dict())
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


def write_texts(path):
    """Write distinct sentences, more than the model has dimensions; return the name of the file."""
    path.write_text("".join(f"{chr(0x53F6 + i)}老桂博士{i}\n" for i in range(120)), encoding="utf-8")
    return str(path)


def sample(number=200, dim=6, seed=0):
    """Correlated vectors with a mean far from 0."""
    random = np.random.default_rng(seed)
    return (random.standard_normal((number, dim)) @ random.standard_normal((dim, dim)) + 5).astype(np.float32)


def fitted(vectors, **more):
    moments = Moments(vectors.shape[1])
    moments.add(vectors)
    return Whitening(PROVENANCE, moments, **more)
