"""Masked-language-model pretraining of a backbone on text files: the logic of `nlpkit pretrain`."""

import json
import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch

from nlpkit.core.io.folders import making_folder
from nlpkit.core.io.output import make_inside, open_inside
from nlpkit.core.io.progress import Progress, silent
from nlpkit.core.io.records import ErrorPolicy, read_lines
from nlpkit.core.model import checkpoint, contents
from nlpkit.core.model.device import keep_memory, pick_device, pick_dtype
from nlpkit.core.model.manifest import LOG, MANIFEST, STATE, Manifest, check_model_folder, find, read_manifest
from nlpkit.core.model.pretrained import sizes
from nlpkit.core.text.tokenizer import CharTokenizer, read_vocabulary
from nlpkit.core.text.vocabulary import build_vocabulary
from nlpkit.core.training.distributed import Processes, init_distributed
from nlpkit.core.training.masking import MaskSettings
from nlpkit.core.training.settings import TrainSettings
from nlpkit.core.training.trainer import Hooks, RunProgress, Trainer
from nlpkit.errors import ModelError, UsageError
from nlpkit.nn.backbones import build
from nlpkit.nn.backbones.encoder import Encoder
from nlpkit.nn.grow import grow_depth, grow_width
from nlpkit.nn.initialization import deep_norm_
from nlpkit.nn.layers.prepack import count_parameters
from nlpkit.nn.network import Dataset
from nlpkit.tasks.pretrain.corpus import build_corpus
from nlpkit.tasks.pretrain.dataset import MaskedDataset
from nlpkit.tasks.pretrain.model import MaskedLanguageModel
from nlpkit.tasks.pretrain.settings import PretrainOptions

VOCABULARY, CORPUS = "vocab.txt", "corpus"
EVALUATION_BATCHES = 8
GROW = {"width": grow_width, "depth": grow_depth}


def pretrain(
    paths: Sequence[str],
    folder: Path,
    settings: TrainSettings,
    options: PretrainOptions,
    on_error: ErrorPolicy,
    report: Callable[[RunProgress], None],
    progress: Progress = silent,
) -> dict[str, Any]:
    """Train a backbone into a checkpoint folder and return its metrics on the held-out text.

    Under torchrun all processes train together; all but the first return an empty dict.

    Raises:
        DataError: the text cannot be read, or there is too little of it.
        UsageError: no such size of a backbone, or --grow without a checkpoint.
        ModelError: the vocabulary or the state does not fit, or there is nothing to resume.
        OutputError: the disk is too small.
    """
    if options.init_from is not None:
        options = replace(options, init_from=find(str(options.init_from)))
    if options.grow and options.init_from is None:
        raise UsageError("--grow enlarges a checkpoint: name it with --init-from DIR")
    backbone = _described(options.config, options.arch)
    settings = replace(settings, head_lr=settings.lr)
    check_model_folder(folder, "pretrain")
    if options.resume and (folder / MANIFEST).exists() and not (folder / STATE).exists():
        raise ModelError(f"{folder}: holds a finished run; name another folder, or leave out --resume to replace it")
    keep_memory()
    torch.manual_seed(settings.seed)
    with init_distributed(pick_device(options.device)) as processes:
        return _pretrain(paths, folder, backbone, settings, options, on_error, report, progress, processes)


def _pretrain(
    paths: Sequence[str],
    folder: Path,
    backbone: dict[str, Any],
    settings: TrainSettings,
    options: PretrainOptions,
    on_error: ErrorPolicy,
    report: Callable[[RunProgress], None],
    progress: Progress,
    processes: Processes,
) -> dict[str, Any]:
    device = processes.device
    dtype = pick_dtype(options.dtype, device)
    with making_folder(folder) if processes.is_main else nullcontext(), processes.main_process_first():
        make_inside((folder / LOG).parent)
        open_inside(folder / LOG, "ab").close()  # marks an unfinished run
        if options.corpus is None:
            make_inside(folder / CORPUS)
        tokenizer = _tokenizer(paths, folder, options, processes, on_error.max_line)
        corpus = build_corpus(
            paths,
            tokenizer,
            options.corpus or folder / CORPUS,
            encoding=options.encoding,
            on_error=on_error,
            progress=progress,
        )
    network = _network(backbone, tokenizer, options).to(device)

    masks = MaskSettings(whole_word=options.whole_word)
    dataset, held_out = (
        MaskedDataset(tokens, tokenizer, options.length, settings.batch_size, settings.seed, masks)
        for tokens in (corpus.tokens, corpus.held_out)
    )
    tokens_per_step = settings.batch_size * options.length * settings.accumulate * processes.world_size
    limit = int(options.tokens or 0) or (0 if options.minutes else settings.epochs * len(corpus.tokens))
    total = -(-limit // tokens_per_step) if limit else 10**9
    manifest = Manifest(
        task="pretrain",
        backbone=network.backbone.describe(),
        tokenizer=tokenizer.settings,
        max_length=network.backbone.max_length,
        training={
            "metric": "accuracy",
            "data": [source["name"] for source in corpus.manifest.sources],
            "corpus_tokens": corpus.manifest.tokens,
            "parameters": count_parameters(network),
            "settings": asdict(settings),
            "length": options.length,
            "whole_word": options.whole_word,
            "masked": masks.fraction,
            "deep_norm": options.deep_norm,
            "tokens_before": _tokens_before(options.init_from),
            "dtype": str(dtype).removeprefix("torch."),
        },
    )

    def keep(metrics: dict[str, float]) -> None:
        manifest.metrics = {"held_out": metrics}
        manifest.training |= {"tokens": trainer.progress.tokens, "seconds": round(trainer.progress.elapsed)}
        checkpoint.save(folder, manifest, tokenizer.lines, network.state_dict(), options.store)

    seconds = options.minutes * 60 if options.minutes else None
    every = max(50, min(1000, total // 40))
    hooks = Hooks(
        evaluate=lambda: evaluate(network, held_out, device),
        metric="accuracy",
        keep=keep,
        report=report,
        evaluate_every=every,
        identity=dict(manifest.training),
    )
    trainer = Trainer(network, dataset, total, settings, hooks, folder, dtype, seconds, processes)
    trainer.run(resume=options.resume)
    if not processes.is_main:
        return {}
    (folder / STATE).unlink(missing_ok=True)
    return read_manifest(folder).metrics["held_out"]  # type: ignore[no-any-return]


@torch.inference_mode()
def evaluate(network: MaskedLanguageModel, held_out: Dataset, device: torch.device) -> dict[str, float]:
    """Return loss and accuracy on masked tokens of the held-out text; every call masks the same tokens."""
    loss, correct, count = 0.0, 0, 0
    for step in range(EVALUATION_BATCHES):
        inputs, targets = held_out(step)
        targets = {name: value.to(device) for name, value in targets.items()}
        logits = network(inputs.to(device), targets["positions"]).float()
        loss += torch.nn.functional.cross_entropy(logits, targets["ids"], reduction="sum").item()
        correct += int((logits.argmax(-1) == targets["ids"]).sum())
        count += len(logits)
    return {"accuracy": correct / count, "loss": loss / count}


def _tokenizer(
    paths: Sequence[str], folder: Path, options: PretrainOptions, processes: Processes, max_line: int
) -> CharTokenizer:
    """Return the tokenizer of --vocabulary, of --init-from, of the folder to resume, or one with a new vocabulary."""
    if options.init_from is not None:
        manifest = read_manifest(options.init_from, "pretrain")
        return contents.tokenizer_of(options.init_from, manifest)
    if options.vocabulary is not None:
        return CharTokenizer(read_vocabulary(options.vocabulary), normalize=True)
    path = folder / VOCABULARY
    if (options.resume or not processes.is_main) and path.exists():
        return CharTokenizer(read_vocabulary(path), normalize=True)
    on_error = ErrorPolicy("skip", max_line=max_line)  # bad lines are reported when the corpus is built
    lines = read_lines(paths, options.encoding, on_error)
    tokenizer = CharTokenizer(build_vocabulary(line.text for line in lines), normalize=True)
    tokenizer.save(folder)
    return tokenizer


def _network(backbone: dict[str, Any], tokenizer: CharTokenizer, options: PretrainOptions) -> MaskedLanguageModel:
    """Return a network with random weights, or with those of a checkpoint, enlarged as `options.grow` says."""
    if options.init_from is None:
        encoder = _encoder({**backbone, "vocab_size": tokenizer.vocab_size})
        if options.deep_norm:
            deep_norm_(encoder)
        return MaskedLanguageModel(encoder)
    manifest = read_manifest(options.init_from, "pretrain")
    contents.check_sizes(manifest.backbone, contents.stored_shapes(options.init_from), options.init_from / MANIFEST)
    encoder = _encoder(manifest.backbone)
    weights = checkpoint.read_weights(options.init_from)
    config: Any = encoder.config
    for direction, factor in options.grow:
        try:
            weights, config = GROW[direction](weights, config, factor)
        except ValueError as error:
            raise ModelError(f"{options.init_from}: {error}") from None
    network = MaskedLanguageModel(_encoder({**manifest.backbone, **asdict(config)}))
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ModelError(f"{options.init_from}: the weights do not fit the manifest ({reason})") from None
    return network


def _tokens_before(init_from: Path | None) -> int:
    """Return the number of tokens that the checkpoint of --init-from was trained on, in all its runs."""
    if init_from is None:
        return 0
    training = read_manifest(init_from, "pretrain").training
    return int(training.get("tokens", 0)) + int(training.get("tokens_before", 0))


def _described(config: str, arch: str) -> dict[str, Any]:
    """Return the description of a backbone of --config and --arch, without the size of the vocabulary."""
    match = re.fullmatch(r"(\d+)x(\d+)", "6x384" if config == "small" else config)
    if match:
        return sizes(arch, int(match[1]), int(match[2]))
    try:
        described: dict[str, Any] = json.loads(Path(config).read_text(encoding="utf-8"))
        if not isinstance(described, dict):
            raise ValueError(f"it holds no object, but {type(described).__name__}")
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"--config {config}: neither small, LxD nor a readable JSON file ({error})") from None
    return {"type": arch, **described}


def _encoder(description: dict[str, Any]) -> Encoder:
    backbone = build(description)
    if not isinstance(backbone, Encoder):
        raise ModelError("only nlpkit's own backbones can be pretrained: roformer_v2, gau_alpha")
    return backbone
