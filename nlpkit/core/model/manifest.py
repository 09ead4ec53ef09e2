"""The manifest of a checkpoint folder, and where models are found; nothing here needs torch.

    nlpkit.json          what it is: task, backbone, tokenizer, labels, metrics, how it was made (`Manifest`)
    vocab.txt            the vocabulary
    model.safetensors    all weights; half precision on disk where they were saved so, fp32 again once loaded
    training/log.jsonl   the run that made it: loss and dev metrics by step

A folder without nlpkit.json is not (or not yet) a checkpoint: it is written last.
"""

import json
import re
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Any

from nlpkit.core.io.artefacts import FileEntry, Reader
from nlpkit.core.io.folders import FolderKind, check_folder, check_name
from nlpkit.core.io.json_shapes import Within
from nlpkit.core.io.output import replacing_inside
from nlpkit.errors import ModelError
from nlpkit.version import __version__

MANIFEST, CARD, LOG, STATE = "nlpkit.json", "card.json", "training/log.jsonl", "training/state.safetensors"
FORMAT = 1
EMBEDDED = Path(__file__).parents[2] / "models"
_SHORTEST, _LONGEST = 3, 2**31 - 1  # [CLS], one unit, [SEP]; a text of any length
_HUB_NAME = re.compile(r"\w[\w.-]*/\w[\w.-]*", re.ASCII)
_HUB_TEXTS = ("*.json", "*.txt", "*.model", "*_Dense/*")  # and the small weights of sentence-transformers' dense layers
_HUB_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")  # best first
_SURROGATE = re.compile("[\ud800-\udfff]")
_SENTENCE_END = re.compile(r"(?<![\s.])\.\s|(?<!:)\n")


@dataclass(slots=True)
class Manifest:
    """What nlpkit.json holds.

    Attributes:
        task: the task's name, e.g. `ner`.
        backbone: description for `nn.backbones.build`.
        tokenizer: `kind`, `lowercase` and `normalize`; see `CharTokenizer`.
        max_length: of a row, [CLS] and [SEP] included; longer texts are read in windows.
        config: the task's own settings (labels, head …).
        metrics: dev figures by name.
        training: how it was trained: data, settings, seconds.
        files: size and checksums of the vocabulary and the weights.
        version: of the nlpkit that wrote it.
        format: of the folder.
    """

    task: str
    backbone: dict[str, Any]
    tokenizer: dict[str, Any]
    max_length: Annotated[int, Within(_SHORTEST, _LONGEST)]
    config: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    files: dict[str, FileEntry] = field(default_factory=dict)
    version: str = __version__
    format: int = FORMAT


def reader(folder: Path) -> Reader:
    """Return what reads the files of a model folder; the hub's cache is made of links."""
    return Reader(folder, ModelError, "copy or download it again", outside=True)


def read_manifest(folder: Path, task: str | None = None) -> Manifest:
    """The manifest of a checkpoint folder.

    Raises:
        ModelError: there is none, it is broken or newer than this version, or the model is of another task.
    """
    try:
        manifest = reader(folder).json(MANIFEST, Manifest)
    except FileNotFoundError:
        if (folder / "config.json").exists():
            cure = f"train one on it: nlpkit train {task or 'TASK'} … --model {folder}"
            raise ModelError(f"{folder}: a Hugging Face backbone, not a trained model; {cure}") from None
        raise ModelError(
            f"{folder}: no {MANIFEST} there, so not an nlpkit model (or its training did not finish)"
        ) from None
    if manifest.format > FORMAT:
        raise ModelError(
            f"{folder}: made by nlpkit {manifest.version[:20]}, newer than this one ({__version__}); upgrade nlpkit"
        )
    if task is not None and manifest.task != task:
        raise ModelError(f"{folder}: a model for `nlpkit {manifest.task[:20]}`, not for `nlpkit {task}`")
    return manifest


def check_model_folder(folder: Path, task: str) -> None:
    """Refuse a folder for the output of training unless it is new, empty, or of another run of this task.

    Raises:
        UsageError: the path is a file.
        OutputError: the folder holds anything else, which would be overwritten or mixed with the model.
    """
    check_folder(
        folder, FolderKind(f"a model for `nlpkit {task}`", MANIFEST, {"task": task, "backbone": None}, (LOG, STATE))
    )


def read_card(folder: Path) -> dict[str, Any]:
    """Return what people wrote about an embedded model (card.json); nothing where there is no card.

    Raises:
        ModelError: it is broken.
    """
    try:
        return reader(folder).json(CARD, dict)
    except FileNotFoundError:
        return {}


def find_local(name: str) -> Path:
    """The folder of a model: an embedded model's name, or a folder.

    Raises:
        ModelError: there is no such model here.
    """
    if (EMBEDDED / name / MANIFEST).is_file():
        return EMBEDDED / name
    folder = Path(name).expanduser()
    if folder.is_dir():
        check_name(folder)
        return folder
    if folder.exists():
        raise ModelError(f"{name}: is a file; a model is a folder")
    known = ", ".join(embedded_names()) or "none"
    raise ModelError(
        f"{name}: no such model; the embedded ones are: {known}; or name a folder or a hub model (owner/name)"
    )


def find(name: str) -> Path:
    """The folder of a model: an embedded model's name, a folder, or a hub name (`owner/model`), downloaded once.

    Raises:
        ModelError: there is no such model, or it would have to be downloaded and cannot be.
    """
    return _download(name) if _HUB_NAME.fullmatch(name) and not Path(name).exists() else find_local(name)


def embedded_names() -> list[str]:
    """The names of the models inside the package."""
    return sorted(path.parent.name for path in EMBEDDED.glob(f"*/{MANIFEST}"))


def write_json(path: Path, value: Any) -> None:
    """A JSON file of an artefact folder, for people to read, replaced in one step.

    Raises:
        OutputError: it cannot be written, or the disk is full.
    """
    with replacing_inside(path) as temporary:
        temporary.write_text(to_json(value), encoding="utf-8")


def to_json(value: Any) -> str:
    """Return what `write_json` writes; a name that is not UTF-8 is kept by escapes, and opens its file."""
    text = json.dumps(value, ensure_ascii=False, indent=2) + "\n"
    return text if text.isascii() else _SURROGATE.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def reason(error: BaseException) -> str:
    """The first sentence of what a library says, for a message of one line."""
    text = f"no {error}" if isinstance(error, KeyError) else str(error)
    sentence = _SENTENCE_END.split(text.strip(), maxsplit=1)[0]
    return " ".join(sentence.split()).removesuffix(".") or type(error).__name__


def _download(name: str) -> Path:
    """The snapshot of a hub model: that of the cache if it has weights (a broken download may not), else a new one."""
    import huggingface_hub as hub
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    best, other = _HUB_WEIGHTS
    try:
        cached = Path(hub.snapshot_download(name, allow_patterns=[*_HUB_TEXTS, best], local_files_only=True))
        if any(any(cached.glob(pattern)) for pattern in _HUB_WEIGHTS):
            return cached
    except Exception:  # not there, or incomplete: each version has its own error
        pass
    problem, cure = f"{name}: no folder of that name here, and", "or copy the model's folder here and pass its path"
    if hub.constants.HF_HUB_OFFLINE:
        raise ModelError(f"{problem} not in the hub's cache; HF_HUB_OFFLINE is set: unset it to download, {cure}")
    try:
        files = hub.model_info(name).siblings or []  # asks once, where list_repo_files tries for half a minute
        weights = best if any(fnmatch(file.rfilename, best) for file in files) else other
        return Path(hub.snapshot_download(name, allow_patterns=[*_HUB_TEXTS, weights]))
    except GatedRepoError as error:
        raise ModelError(f"{problem} the hub does not give it to everyone ({reason(error)})") from None
    except RepositoryNotFoundError:
        raise ModelError(f"{problem} no such model on the hub (or a private one)") from None
    except Exception as error:
        raise ModelError(
            f"{problem} not in the hub's cache; it cannot be downloaded ({reason(error)}); behind a firewall set "
            f"HF_ENDPOINT to a mirror, {cure}"
        ) from None
