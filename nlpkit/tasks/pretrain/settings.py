"""Settings of pretraining, `nlpkit pretrain`; torch is not needed."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from nlpkit.core.model import Store
from nlpkit.core.training.option import DEVICE, DTYPE, ENCODING, RESUME, STORE, Option
from nlpkit.core.training.settings import TrainSettings
from nlpkit.errors import UsageError

DEFAULTS = TrainSettings(
    epochs=1, batch_size=64, lr=1e-3, optimizer="muon", weight_decay=0.1, warmup=0.02, decay=0.98
)  # fmt: skip


def growth(text: str) -> tuple[str, int]:
    """Return (direction, factor) of `width=2`.

    Raises:
        UsageError: it is something else.
    """
    match = re.fullmatch(r"(width|depth)=([2-9])", text)
    if match is None:
        raise UsageError(f"--grow {text}: one of width=2, depth=2 (or another small factor)")
    return match[1], int(match[2])


@dataclass(frozen=True, slots=True)
class PretrainOptions:
    """Settings of a pretraining run beside the loop: backbone, corpus, length of the run."""

    config: Annotated[
        str,
        Option(
            "Size of the backbone: small (6x384), LxD for L layers of width D, or a JSON file.",
            metavar="small|LxD|FILE",
        ),
    ] = "small"
    arch: Annotated[
        Literal["roformer_v2", "gau_alpha"], Option("Architecture; gau_alpha has two layers for each of L.")
    ] = "roformer_v2"
    tokens: Annotated[
        float | None,
        Option("Number of tokens to train on, e.g. 150e6.", min=1, none="one epoch, or --minutes"),
    ] = None
    minutes: Annotated[
        float | None,
        Option("Training time in minutes, resumed parts included; the learning rate decays towards its end.", min=0.01),
    ] = None
    length: Annotated[int, Option("Tokens per sequence, packed without padding.", min=16)] = 128
    whole_word: Annotated[
        bool,
        Option("Mask whole words (jieba's), or single tokens.", names=("--whole-word/--characters",)),
    ] = True
    vocabulary: Annotated[
        Path | None, Option("Vocabulary file, vocab.txt.", metavar="FILE", none="built from the corpus")
    ] = None
    deep_norm: Annotated[bool, Option("Initialize the weights as DeepNet does, for very deep models.")] = False
    init_from: Annotated[
        Path | None, Option("Checkpoint whose weights and vocabulary to begin with.", metavar="NAME|DIR")
    ] = None
    grow: Annotated[
        tuple[tuple[str, int], ...],
        Option(
            "Enlarge that checkpoint first: width keeps its function, depth repeats its layers.",
            metavar="width=2|depth=2",
            parse=growth,
        ),
    ] = ()
    corpus: Annotated[Path | None, Option("Folder for the tokenized text.", metavar="DIR", none="OUTPUT/corpus")] = None
    encoding: Annotated[str, ENCODING] = "utf-8"
    device: Annotated[str, DEVICE] = "auto"
    dtype: Annotated[str, DTYPE] = "auto"
    store: Annotated[Store, STORE] = "fp32"
    resume: Annotated[bool, RESUME] = False
