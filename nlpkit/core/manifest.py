"""The manifest of a checkpoint folder, and where models are found; nothing here needs torch.

    nlpkit.json          what it is: task, backbone, tokenizer, labels, metrics, how it was made (`Manifest`)
    vocab.txt            the vocabulary
    model.safetensors    all weights; half precision on disk where they were saved so, fp32 again once loaded

A folder without nlpkit.json is not (or not yet) a checkpoint: it is written last.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nlpkit import __version__
from nlpkit.errors import ModelError

MANIFEST, CARD = "nlpkit.json", "card.json"
FORMAT = 1
EMBEDDED = Path(__file__).parent.parent / "models"


@dataclass(slots=True)
class Manifest:
    """What nlpkit.json holds.

    Attributes:
        task: the task's name, e.g. `ner`.
        backbone: description for `nn.backbones.build`.
        tokenizer: `kind` and `lowercase`.
        max_length: of a row, [CLS] and [SEP] included; longer texts are read in windows.
        config: the task's own settings (labels, head …).
        metrics: dev figures by name.
        training: how it was trained: data, settings, seconds.
        version: of the nlpkit that wrote it.
        format: of the folder.
    """

    task: str
    backbone: dict[str, Any]
    tokenizer: dict[str, Any]
    max_length: int
    config: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    training: dict[str, Any] = field(default_factory=dict)
    version: str = __version__
    format: int = FORMAT


def read_manifest(folder: Path, task: str | None = None) -> Manifest:
    """The manifest of a checkpoint folder.

    Raises:
        ModelError: there is none, it is broken or newer than this version, or the model is of another task.
    """
    path = folder / MANIFEST
    try:
        manifest = Manifest(**json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise ModelError(
            f"{folder}: no {MANIFEST} there, so not an nlpkit model (or its training did not finish)"
        ) from None
    except (ValueError, TypeError) as error:
        raise ModelError(f"{path}: broken or of another version of nlpkit ({error})") from None
    if manifest.format > FORMAT:
        raise ModelError(
            f"{folder}: made by nlpkit {manifest.version}, newer than this one ({__version__}); upgrade nlpkit"
        )
    if task is not None and manifest.task != task:
        raise ModelError(f"{folder}: a model for `nlpkit {manifest.task}`, not for `nlpkit {task}`")
    return manifest


def read_card(folder: Path) -> dict[str, Any]:
    """What people wrote about an embedded model (card.json): data, licence, command to rebuild it, known limits."""
    path = folder / CARD
    card: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return card


def find_local(name: str) -> Path:
    """The folder of a model: an embedded model's name, or a folder.

    Raises:
        ModelError: there is no such model here.
    """
    if (EMBEDDED / name / MANIFEST).is_file():
        return EMBEDDED / name
    folder = Path(name).expanduser()
    if folder.is_dir():
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
    is_hub_name = name.count("/") == 1 and not name.startswith((".", "/", "~")) and not name.endswith("/")
    return _download(name) if is_hub_name and not Path(name).exists() else find_local(name)


def embedded_names() -> list[str]:
    """The names of the models inside the package."""
    return sorted(path.parent.name for path in EMBEDDED.glob(f"*/{MANIFEST}"))


def write_json(path: Path, value: Any) -> None:
    """A JSON file for people to read, replaced in one step."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")
    temporary.replace(path)


def _download(name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    patterns = ["*.json", "*.txt", "*.safetensors", "*.model", "*.bin"]
    try:
        return Path(snapshot_download(name, allow_patterns=patterns, local_files_only=True))
    except Exception:
        pass
    try:
        return Path(snapshot_download(name, allow_patterns=patterns))
    except Exception as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"{name}: not in the cache and cannot be downloaded ({reason[:120]}); behind a firewall set "
            "HF_ENDPOINT to a mirror, or copy the model's folder here and pass its path"
        ) from None
