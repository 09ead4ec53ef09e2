"""Distillation of static vectors from an encoder.

1. The tokens are the characters of a corpus and its most frequent words by jieba.
2. The initial vector of a token is the encoder's vector of the token alone: centred, projected on the principal
   directions of the encoder's vectors, and weighted by a/(a + p(token)) as in SIF (Arora, Liang and Ma 2017).
3. The table is trained so that the means approximate the encoder's vectors of the sentences of the corpus, and their
   cosines those of the encoder (`tuning`).

The directions are those of the second moments, not of the covariance: a PCA that only rotates the space (β = 0,
kexue.fm 9079), so that the cosines stay those of the encoder.

Shapes: n sentences, m dimensions of the encoder, d of the table, v tokens.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nlpkit.core.io.progress import Progress, silent
from nlpkit.core.io.records import STDIN, ErrorPolicy, read_records
from nlpkit.core.model import Store
from nlpkit.core.model.checkpoint import dequantize, quantize, save
from nlpkit.core.model.manifest import UNBOUNDED, Manifest
from nlpkit.core.text.segmentation import cut_words
from nlpkit.core.text.vocabulary import frequent_characters, lookup_form
from nlpkit.errors import DataError, UsageError
from nlpkit.tasks.embed.data import Pair, holds_pairs, read_pairs
from nlpkit.tasks.embed.encoder.embedder import Embedder
from nlpkit.tasks.embed.encoder.linear_map import Moments
from nlpkit.tasks.embed.encoder.postprocess import Postprocessor, normalize
from nlpkit.tasks.embed.metric import pair_scores
from nlpkit.tasks.embed.pairs import cosines
from nlpkit.tasks.embed.static.lexicon import Lexicon
from nlpkit.tasks.embed.static.settings import DistilSettings
from nlpkit.tasks.embed.static.static import BLOCK, TABLE, StaticEmbedder
from nlpkit.tasks.embed.static.tuning import HELD_OUT, Tuning

DIM = 256
MAX_WORD = 8  # characters in a word
MAX_PRINCIPAL = 50_000  # sentences that the principal directions are computed from
CHUNK = 1024  # texts that are processed between two reports


@dataclass(frozen=True, slots=True)
class Material:
    """The training data.

    Attributes:
        texts: distinct sentences in random order, those of the pairs among them.
        groups: pairs by file; only scores of the same file are compared.
    """

    texts: list[str]
    groups: list[list[Pair]]


@dataclass(frozen=True, slots=True)
class Distilled:
    """The result: the tokens [v], the table [v, d], and the mean cosine to the encoder on held-out sentences."""

    tokens: list[str]
    table: Tensor
    metrics: dict[str, Any]


def read_material(
    paths: Sequence[str],
    settings: DistilSettings,
    field: str | None = None,
    encoding: str = "utf-8",
    on_error: ErrorPolicy | None = None,
) -> Material:
    """Read the sentences of text files, at most `settings.lines` of them at random, and of files of pairs, all of them.

    Args:
        paths: text files as for `read_records`, or pairs as for `data.read_pairs` (.tsv, or JSON with their fields);
            pairs in JSON need no scores.
        settings: for the number of lines and the seed.
        field: of the text in JSON Lines.
        encoding: of the files.
        on_error: what to do with a bad line.

    Raises:
        DataError: there is too little text, or a file cannot be read.
    """
    scored = [path for path in paths if field is None and path != STDIN and holds_pairs(path, encoding)]
    groups = [group for path in scored if (group := list(read_pairs([path], encoding, on_error, unscored=0.0)))]
    plain = [path for path in paths if path not in scored]
    lines = (record.text for record in read_records(plain, field, encoding, on_error))
    texts = sample(lines, settings.lines, settings.seed)
    texts += [text for group in groups for pair in group for text in (pair.first, pair.second)]
    distinct = list(dict.fromkeys(texts))
    if len(distinct) < HELD_OUT:
        raise DataError(f"{len(distinct)} different lines are too few to make vectors from", ", ".join(paths))
    order = np.random.default_rng([settings.seed, 1]).permutation(len(distinct))
    return Material([distinct[place] for place in order.tolist()], groups)


def distil(
    teacher: Embedder,
    material: Material,
    settings: DistilSettings = DistilSettings(),
    progress: Progress = silent,
) -> Distilled:
    """Distil static vectors; see the module.

    Args:
        teacher: the encoder.
        material: training data.
        settings: of the distillation.
        progress: called with the texts, tokens or steps done.

    Raises:
        DataError: no token is frequent enough.
        UsageError: the encoder has fewer dimensions.
    """
    dim = settings.dim or min(DIM, teacher.dim)
    if dim > teacher.dim:
        raise UsageError(f"--dim {dim}: the vectors of {teacher.name} have {teacher.dim} dimensions")
    texts = material.texts
    tokens = choose_tokens(texts, settings, progress)
    if not tokens:
        raise DataError(f"no character comes {settings.min_count} times; give more text")
    lexicon = Lexicon(tokens)
    sample_vectors = _embedded(teacher, texts[:MAX_PRINCIPAL], "directions", progress)
    directions = principal_directions(sample_vectors, dim)
    rest = _embedded(teacher, texts[MAX_PRINCIPAL:], "sentences", progress, directions)
    targets = torch.from_numpy(normalize(np.concatenate([sample_vectors @ directions, rest])))
    token_vectors = _embedded(teacher, tokens, "tokens", progress, directions)
    table = torch.from_numpy(token_vectors - token_vectors.mean(0))
    table *= torch.from_numpy(sif_weights(lexicon, texts, settings.smoothing))[:, None]
    tuning = Tuning(lexicon, table, texts, targets, material.groups, settings)
    before = tuning.cosine()
    tuning.run(progress)
    metrics = {"cosine": round(tuning.cosine(), 4), "cosine_before_tuning": round(before, 4)}
    return Distilled(tokens, tuning.table.detach(), metrics)


def sample(lines: Iterable[str], number: int, seed: int) -> list[str]:
    """Return a uniform random sample of the lines that are not blank, in no particular order (Vitter's algorithm R)."""
    random = np.random.default_rng(seed)
    kept: list[str] = []
    draws: Iterator[float] = iter(())
    for seen, line in enumerate(line for line in lines if not line.isspace() and line):
        if seen < number:
            kept.append(line)
            continue
        draw = next(draws, None)
        if draw is None:
            draws = iter(random.random(BLOCK).tolist())
            draw = next(draws)
        place = int(draw * (seen + 1))
        if place < number:
            kept[place] = line
    return kept


def choose_tokens(texts: Sequence[str], settings: DistilSettings, progress: Progress) -> list[str]:
    """Return the frequent characters, then words by frequency (by text where that is equal), as for a lexicon."""
    characters: Counter[str] = Counter()
    words: Counter[str] = Counter()
    for start in range(0, len(texts), CHUNK):
        for text in texts[start : start + CHUNK]:
            characters.update(text)
            words.update(word for word in cut_words(text.lower()) if 1 < len(word) <= MAX_WORD)
        progress("words", min(start + CHUNK, len(texts)), len(texts))
    ascii_characters: Counter[str] = Counter()
    for character, number in characters.items():
        if character.isascii() and character.isprintable() and character != " ":
            ascii_characters[character.lower()] += number
    tokens = sorted(character for character, number in ascii_characters.items() if number >= settings.min_count)
    tokens += frequent_characters(characters, settings.min_count)
    known = set(tokens)
    forms: Counter[str] = Counter()
    for word, number in words.items():
        form = "".join(map(lookup_form, word))
        if known.issuperset(form) and any(map(str.isalnum, form)):
            forms[form] += number
    ranked = sorted(forms, key=lambda form: (-forms[form], form))
    return tokens + [
        form for form in ranked[: max(0, settings.tokens - len(tokens))] if forms[form] >= settings.min_count
    ]


def principal_directions(vectors: NDArray[np.float32], dim: int) -> NDArray[np.float32]:
    """Return the orthonormal directions [m, d] of the largest second moments of vectors [n, m], largest first."""
    moments = Moments(vectors.shape[1])
    for start in range(0, len(vectors), BLOCK):
        moments.add(vectors[start : start + BLOCK])
    second = moments.covariance + np.outer(moments.mean, moments.mean)
    directions: NDArray[np.float32] = np.linalg.eigh(second)[1][:, ::-1][:, :dim].astype(np.float32)
    return directions


def sif_weights(lexicon: Lexicon, texts: Sequence[str], smoothing: float) -> NDArray[np.float32]:
    """Return a/(a + p) of each token [v], where p is its fraction of all tokens found in the texts."""
    counts = np.zeros(len(lexicon))
    for start in range(0, len(texts), BLOCK):
        for ids, _ in lexicon.find(texts[start : start + BLOCK]):
            counts += np.bincount(ids, minlength=len(lexicon))
    weights: NDArray[np.float32] = (smoothing / (smoothing + counts / max(1, counts.sum()))).astype(np.float32)
    return weights


def _embedded(
    teacher: Embedder,
    texts: Sequence[str],
    stage: str,
    progress: Progress,
    directions: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Return the encoder's vectors [n, m], or their projections [n, d] on the directions."""
    vectors = np.empty((len(texts), teacher.dim if directions is None else directions.shape[1]), dtype=np.float32)
    for start in range(0, len(texts), CHUNK):
        end = min(start + CHUNK, len(texts))
        encoded = teacher.encode(texts[start:end])
        vectors[start:end] = encoded if directions is None else encoded @ directions
        progress(stage, end, len(texts))
    return vectors


def write(
    distilled: Distilled,
    teacher: Embedder,
    dev: Sequence[Pair],
    folder: Path,
    settings: DistilSettings,
    store: Store,
    sources: dict[str, list[str]],
) -> dict[str, Any]:
    """Write the model's folder and return its metrics, with the Spearman correlations of the stored vectors on dev.

    Raises:
        DataError: all gold scores of a dev file are the same.
        OutputError: the folder cannot be written.
    """
    training = {
        "method": "static", "metric": "mean" if dev else "cosine", "teacher": teacher.provenance, "sources": sources,
        "settings": asdict(settings) | {"dim": distilled.table.shape[1]}, "parameters": distilled.table.numel(),
    }  # fmt: skip
    backbone = {"type": "static", "tokens": len(distilled.tokens), "dim": distilled.table.shape[1]}
    manifest = Manifest("embed", backbone, {"kind": "lexicon"}, UNBOUNDED, {"pooling": "mean"}, {}, training)
    metrics = distilled.metrics
    if dev:
        table = dequantize(quantize({TABLE: distilled.table}, store))[TABLE].numpy()
        stored = StaticEmbedder(Lexicon(distilled.tokens), table, "", "", Postprocessor())
        dev_cosines = cosines(stored.encode, dev)
        metrics = {**metrics, **pair_scores(zip(dev, map(float, dev_cosines), strict=True))}
    manifest.metrics = {"dev": metrics}
    save(folder, manifest, distilled.tokens, {TABLE: distilled.table}, store)
    return metrics
