"""The manifest of a checkpoint folder, and lookup and download of models; without torch.

    nlpkit.json          task, backbone, tokenizer, labels, metrics, training (`Manifest`)
    vocab.txt            the vocabulary
    model.safetensors    all weights, in fp32, fp16 or int8; in fp32 once loaded
    training/log.jsonl   loss and dev metrics of the training run by step

A folder without nlpkit.json is not a complete checkpoint, as this file is written last. A model that shares the encoder
of an embedded one (`SharedEncoder`) has no vocabulary, and weights of its head only.
"""

import re
import shutil
from contextlib import suppress
from dataclasses import dataclass, field, replace
from fnmatch import fnmatch
from pathlib import Path
from typing import Annotated, Any

from nlpkit.core.io.artefacts import FileEntry, Reader
from nlpkit.core.io.folders import FolderKind, check_folder, check_name
from nlpkit.core.io.json_shapes import Within
from nlpkit.errors import ModelError
from nlpkit.version import __version__

MANIFEST, CARD, LOG, STATE = "nlpkit.json", "card.json", "training/log.jsonl", "training/state.safetensors"
FORMAT = 1
# Old names of fields in manifests and training states, with their current names.
RENAMED = {"units": "tokens", "units_before": "tokens_before", "held_back": "held_out", "rows": "sequences"}
EMBEDDED = Path(__file__).parents[2] / "models"
UNBOUNDED = 2**31 - 1  # `max_length` of a model that reads texts of any length as a whole
_MIN_LENGTH = 3  # [CLS], one token, [SEP]
_HUB_NAME = re.compile(r"\w[\w.-]{0,95}/\w[\w.-]{0,95}", re.ASCII)
_HUB_TEXTS = ("*.json", "*.txt", "*.model", "*_Dense/*")  # including the dense layers of sentence-transformers
_HUB_WEIGHTS = ("model*.safetensors", "pytorch_model*.bin")  # in the order of preference
_SENTENCE_END = re.compile(r"(?<![\s.])\.\s|(?<!:)\n")


@dataclass(frozen=True, slots=True)
class SharedEncoder:
    """The embedded model whose encoder and vocabulary another model uses.

    Attributes:
        model: its name; never a path or a hub name.
        sha256: of its weights, on which the head was trained.
    """

    model: str
    sha256: str


@dataclass(slots=True)
class Manifest:
    """The content of nlpkit.json.

    Attributes:
        task: name of the task, e.g. `ner`.
        backbone: description for `nn.backbones.build`.
        tokenizer: `kind`, `lowercase` and `normalize`; see `CharTokenizer`.
        max_length: tokens in a sequence, [CLS] and [SEP] included; longer texts are split into windows.
        config: settings of the task (labels, head …).
        metrics: on the dev set, by name.
        training: data, settings and seconds of the training run.
        files: sizes and checksums of the vocabulary and the weights.
        version: of nlpkit.
        format: version of the folder's format.
        encoder: the embedded model whose encoder and vocabulary it uses; None if it has its own.
    """

    task: str
    backbone: dict[str, Any]
    tokenizer: dict[str, Any]
    max_length: Annotated[int, Within(_MIN_LENGTH, UNBOUNDED)]
    config: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    files: dict[str, FileEntry] = field(default_factory=dict)
    version: str = __version__
    format: int = FORMAT
    encoder: SharedEncoder | None = None


KIND = FolderKind(
    "a model of nlpkit", MANIFEST, Manifest, {"task": None, "backbone": None}, (LOG, STATE),
    ModelError, "copy or download it again", (1, FORMAT), outside=True,  # as links in the cache of the hub are
)  # fmt: skip


def reader(folder: Path) -> Reader:
    """Return a reader of the files of a model folder, of nlpkit or not."""
    return KIND.reader(folder)


def read_manifest(folder: Path, task: str | None = None) -> Manifest:
    """Return the manifest of a checkpoint folder.

    Args:
        folder: the checkpoint.
        task: the expected task; None allows any.

    Raises:
        ModelError: it is missing, damaged or of a newer version, or the model is for another task.
    """
    try:
        manifest = KIND.read(folder)
    except FileNotFoundError:
        if (folder / "config.json").exists():
            cure = f"train one on it: nlpkit train {task or 'TASK'} … --model {folder}"
            raise ModelError(f"{folder}: a Hugging Face backbone, not a trained model; {cure}") from None
        raise ModelError(
            f"{folder}: no {MANIFEST} there, so not an nlpkit model (or its training did not finish)"
        ) from None
    manifest.training, manifest.metrics = current_names(manifest.training), current_names(manifest.metrics)
    if task is not None and manifest.task != task:
        other = " ".join(manifest.task[:20].split())
        raise ModelError(f"{folder}: a model for `nlpkit {other}`, not for `nlpkit {task}`")
    return manifest


def current_names(fields: dict[str, Any]) -> dict[str, Any]:
    """Return fields of a manifest or a training state with old names replaced; see `RENAMED`."""
    return {RENAMED.get(name, name): value for name, value in fields.items()}


def check_model_folder(folder: Path, task: str) -> None:
    """Check that the output folder of a training run is new, empty, or that of an earlier run of the same task.

    Raises:
        UsageError: the path is a file.
        OutputError: the folder has other content.
    """
    marks = {"task": task, "backbone": None}
    check_folder(folder, replace(KIND, name=f"a model for `nlpkit {task}`", marks=marks))


def copy_inner_models(folder: Path, output: Path) -> None:
    """Copy the models inside the folder of a model, such as the one that it is compared with, to another folder."""
    for path in folder.iterdir():
        if (path / MANIFEST).is_file():
            shutil.rmtree(output / path.name, ignore_errors=True)
            shutil.copytree(path, output / path.name)


def read_card(folder: Path) -> dict[str, Any]:
    """Return the card of an embedded model (card.json); an empty dict if there is none.

    Raises:
        ModelError: it is damaged.
    """
    try:
        return reader(folder).json(CARD, dict)
    except FileNotFoundError:
        return {}


def find_local(name: str) -> Path:
    """Return the folder of a model, given the name of an embedded model or a folder.

    Raises:
        ModelError: there is no such model.
    """
    with suppress(OSError):  # a name that is too long is that of no model
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
    """Return the folder of a model, given the name of an embedded model, a folder, or a hub name (`owner/model`).

    A model of the hub is downloaded once.

    Raises:
        ModelError: there is no such model, or it cannot be downloaded.
    """
    return _download(name) if _HUB_NAME.fullmatch(name) and not Path(name).exists() else find_local(name)


def embedded_names() -> list[str]:
    """Return the names of the embedded models."""
    return sorted(path.parent.name for path in EMBEDDED.glob(f"*/{MANIFEST}"))


def reason(error: BaseException) -> str:
    """Return the first sentence of a library's error, for a message of one line."""
    text = f"no {error}" if isinstance(error, KeyError) else str(error)
    sentence = _SENTENCE_END.split(text.strip(), maxsplit=1)[0]
    return " ".join(sentence.split()).removesuffix(".") or type(error).__name__


def _download(name: str) -> Path:
    """Return the snapshot of a hub model: from the cache if it is complete, else downloaded."""
    import huggingface_hub as hub
    from huggingface_hub.errors import GatedRepoError, RepositoryNotFoundError
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    best, other = _HUB_WEIGHTS
    try:
        cached = Path(hub.snapshot_download(name, allow_patterns=[*_HUB_TEXTS, best], local_files_only=True))
        if any(any(cached.glob(pattern)) for pattern in _HUB_WEIGHTS):
            return cached
    except Exception:  # not in the cache, or incomplete; the error depends on the version
        pass
    problem, cure = f"{name}: no folder of that name here, and", "or copy the model's folder here and pass its path"
    if hub.constants.HF_HUB_OFFLINE:
        raise ModelError(f"{problem} not in the hub's cache; HF_HUB_OFFLINE is set: unset it to download, {cure}")
    try:
        files = hub.model_info(name).siblings or []  # one request; list_repo_files retries for half a minute
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
