"""Folders of sentence-transformers: reading them, and the files that turn a folder of nlpkit into one.

modules.json                        the modules in order, as {"path": "1_Pooling", "type": "….models.Pooling"}
sentence_bert_config.json           max_seq_length, do_lower_case
config_sentence_transformers.json   prompts, default_prompt_name, truncate_dim
1_Pooling/config.json               {"pooling_mode": "cls"}, or before version 5 {"pooling_mode_cls_token": true, …}
2_Dense/config.json                 in_features, out_features, bias, activation_function; weights beside it
"""

import os
from collections.abc import Callable, Sequence
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any, TypeVar, cast

import torch
from torch import Tensor, nn
from typing_extensions import TypedDict, override

from nlpkit.core.io.artefacts import write_json_inside
from nlpkit.core.io.json_shapes import Count, Size, Within, conform
from nlpkit.core.model.manifest import reader, reason
from nlpkit.core.model.pretrained import check_folder, published_weights, read_object
from nlpkit.errors import ModelError
from nlpkit.nn.backbones.auto import AutoBackbone, published_tokenizer
from nlpkit.nn.pooling import FUNCTIONS
from nlpkit.tasks.embed.encoder.components import Components, as_native
from nlpkit.tasks.embed.encoder.tokenize import SequenceTokenizer, TokenSequences

T = TypeVar("T")
MODULES = "modules.json"  # identifies a folder of sentence-transformers
MAX_PATH = 256  # bytes
MIN_LENGTH = 3  # tokens: [CLS], one, [SEP]
MAX_SETTINGS = 1 << 20  # bytes; a prompt of megabytes takes gigabytes to tokenize
SETTINGS = "config_sentence_transformers.json"
OURS = "nlpkit.sentence_transformers.NlpkitModule"
_TRANSFORMER_CONFIGS = ("sentence_bert_config.json", "sentence_roberta_config.json", "sentence_xlm-roberta_config.json")
_LEGACY = {  # in the order in which their vectors are concatenated
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}


class TransformersTokenizer(SequenceTokenizer):
    """A tokenizer of transformers; longer texts are truncated, as sentence-transformers does.

    Args:
        tokenizer: of transformers.
        max_length: of a sequence, special tokens included.
        lowercase: whether texts are lower-cased first.
        vocab_size: of the model.
        source: the folder, for messages.
    """

    matches_published = True

    def __init__(self, tokenizer: Any, max_length: int, lowercase: bool, vocab_size: int, source: Path):
        self.tokenizer, self.lowercase, self.max_length = tokenizer, lowercase, max_length
        self.vocab_size, self.source = vocab_size, source
        pad_id = tokenizer.pad_token_id  # any will do, as padding is not looked at
        self.pad_id = pad_id if isinstance(pad_id, int) and 0 <= pad_id < vocab_size else 0
        self._fast = getattr(tokenizer, "backend_tokenizer", None)
        if self._fast is not None:
            self._fast.no_padding()
            self._fast.enable_truncation(max_length)

    @override
    def __call__(self, texts: Sequence[str]) -> TokenSequences:
        texts = [text.lower() for text in texts] if self.lowercase else list(texts)
        if self._fast is None:
            ids = self.tokenizer(texts, truncation=True, max_length=self.max_length)["input_ids"]
            truncated = frozenset[int]()
        else:
            encodings = self._fast.encode_batch_fast(texts)
            ids = [encoding.ids for encoding in encodings]
            full = [index for index, sequence in enumerate(ids) if len(sequence) >= self.max_length]
            truncated = frozenset(index for index in full if encodings[index].overflowing)
        if max(map(max, filter(None, ids)), default=0) >= self.vocab_size:
            raise ModelError(f"{self.source}: its tokenizer has more tokens than the model ({self.vocab_size:,})")
        return TokenSequences(ids, range(len(ids)), truncated)

    @override
    def prefix_length(self, prompt: str) -> int:
        ids = self([prompt]).ids[0]
        return len(ids) - (ids[-1] in self.tokenizer.all_special_ids)


def read_published(folder: Path) -> Components:
    """Read the components of an encoder from a folder with modules.json.

    Raises:
        ModelError: a module or setting is not supported, or a file is broken.
    """
    modules = _modules(folder)
    if not modules or modules[0][0] != "Transformer":
        raise ModelError(
            f"{folder}/{MODULES}: begins with {modules[0][0] if modules else 'nothing'}, not a Transformer"
        )
    components = _transformer(folder / modules[0][1])
    settings = _object(folder / SETTINGS, _Settings)
    components.truncate_dim = settings.get("truncate_dim")
    components.prompts = {name: text or "" for name, text in (settings.get("prompts") or {}).items()}
    components.default_prompt = settings.get("default_prompt_name")
    layers: list[nn.Module] = []
    for kind, path in modules[1:]:
        if kind == "Pooling":
            _set_pooling(components, folder / path)
        elif kind == "Normalize":
            components.normalize = True
        elif kind in _LAYERS and not components.normalize:
            layer, components.width = _LAYERS[kind](folder / path, components.width)
            layers.append(layer)
        else:
            raise ModelError(f"{folder}/{MODULES}: nlpkit knows no module {kind} in this place")
    if layers:
        components.dense = nn.Sequential(*layers)
    if components.truncate_dim is not None and components.truncate_dim > components.width:
        raise ModelError(
            f"{folder / SETTINGS}: truncate_dim is {components.truncate_dim}, and the vectors have {components.width}"
        )
    return components


def write_modules(folder: Path, prompts: dict[str, str] | None = None) -> None:
    """Write the files that let sentence-transformers load a folder of nlpkit, with `NlpkitModule` as its one module.

    Raises:
        OutputError: they cannot be written.
    """
    write_json_inside(folder / MODULES, [{"idx": 0, "name": "0", "path": "", "type": OURS}])
    write_json_inside(
        folder / SETTINGS, {"prompts": prompts or {}, "default_prompt_name": None, "similarity_fn_name": "cosine"}
    )


class _Module(TypedDict):
    idx: Count
    path: str
    type: str


class _Settings(TypedDict, total=False):
    truncate_dim: Size | None
    prompts: dict[str, str | None] | None
    default_prompt_name: str | None


class _TransformerSettings(TypedDict, total=False):
    max_seq_length: Annotated[int, Within(MIN_LENGTH, 1 << 24)] | None
    do_lower_case: bool | None


class _PoolingSettings(TypedDict, total=False):
    pooling_mode: str | list[str] | None
    include_prompt: bool | None


def _modules(folder: Path) -> list[tuple[str, str]]:
    """Return (class, path) of each module."""
    files = reader(folder)
    try:
        entries = files.json(MODULES, list[_Module], MAX_SETTINGS)
    except FileNotFoundError:
        raise ModelError(f"{folder / MODULES}: no such file; copy or download the model again") from None
    for entry in entries:
        if not _is_inside(entry["path"]):
            raise files.failure(MODULES, f"names a module {entry['path'][:80]!r}, which is not in the folder")
    return [(entry["type"].rsplit(".", 1)[-1][:80], entry["path"]) for entry in sorted(entries, key=itemgetter("idx"))]


def _is_inside(path: str) -> bool:
    """Return whether a relative path stays in its folder, and is one that a file system may have."""
    try:
        length = len(os.fsencode(path))
    except UnicodeEncodeError:  # a lone surrogate
        return False
    return length < MAX_PATH and "\0" not in path and not Path(path).is_absolute() and ".." not in Path(path).parts


def _object(path: Path, hint: type[T]) -> T:
    """Return the content of a JSON file, or {} if there is no such file."""
    try:
        return reader(path.parent).json(path.name, hint, MAX_SETTINGS)
    except FileNotFoundError:
        return cast(T, {})


def _transformer(folder: Path) -> Components:
    check_folder(folder)
    try:
        tokenizer = published_tokenizer(str(folder))
        backbone = AutoBackbone.from_folder(str(folder))
        native = as_native(backbone)
    except Exception as error:  # transformers has many, with no common class
        raise ModelError(f"{folder}: transformers cannot load it ({reason(error)})") from None
    files = (_object(folder / name, _TransformerSettings) for name in _TRANSFORMER_CONFIGS)
    settings = next(filter(None, files), _TransformerSettings())
    max_length = settings.get("max_seq_length") or _longest(tokenizer, backbone, folder)
    lowercase = bool(settings.get("do_lower_case"))
    sequences = TransformersTokenizer(tokenizer, max_length, lowercase, backbone.vocab_size, folder)
    return Components(sequences, native, ("mean",), normalize=False, source=folder, width=backbone.hidden_size)


def _longest(tokenizer: Any, backbone: AutoBackbone, folder: Path) -> int:
    """Return the length of the longest sequence that both read."""
    length = tokenizer.model_max_length
    if not isinstance(length, int | float) or not length >= MIN_LENGTH:
        raise ModelError(f"{folder}/tokenizer_config.json: model_max_length cannot be {length!r:.40}")
    return int(min(length, backbone.max_length))


def _set_pooling(components: Components, folder: Path) -> None:
    config: dict[str, Any] = {**_object(folder / "config.json", _PoolingSettings)}
    named = config.get("pooling_mode") or [mode for key, mode in _LEGACY.items() if config.get(key)] or "mean"
    poolings = (named,) if isinstance(named, str) else tuple(named)
    unknown = [name for name in poolings if name not in FUNCTIONS]
    if unknown:
        raise ModelError(f"{folder}/config.json: unknown pooling {', '.join(map(str, unknown))}")
    components.pooling, components.width = poolings, len(poolings) * components.backbone.hidden_size
    components.include_prompt = config.get("include_prompt") is not False


class _Dense(nn.Module):
    """activation(Wx + b), plus x, or a linear map of x, if there is a residual connection."""

    def __init__(self, linear: nn.Linear, activation: nn.Module, residual: nn.Module | None):
        super().__init__()
        self.linear, self.activation, self.residual = linear, activation, residual

    def forward(self, x: Tensor) -> Tensor:
        """Return [b, e] for [b, d]."""
        result: Tensor = self.activation(self.linear(x))
        return result if self.residual is None else result + self.residual(x)


def _dense(folder: Path, width: int) -> tuple[nn.Module, int]:
    config = read_object(folder / "config.json")
    weights = {name: value.float() for name, value in published_weights(folder).items()}
    try:
        inputs, outputs = conform(config["in_features"], Size), conform(config["out_features"], Size)
        if inputs != width:
            raise ValueError(f"in_features is {inputs}, and the vectors have {width}")
        if config.get("module_input_name", "sentence_embedding") != "sentence_embedding":
            raise ValueError(f"it reads {config['module_input_name']}")
        with torch.device("meta"):  # without weights, as the sizes may be any
            linear = nn.Linear(inputs, outputs, bias=config.get("bias", True))
            residual: nn.Module | None = None
            if config.get("use_residual"):
                residual = nn.Identity() if inputs == outputs else nn.Linear(inputs, outputs, bias=False)
        linear.load_state_dict(_under("linear.", weights), assign=True)
        if residual is not None:
            residual.load_state_dict(_under("residual.", weights), assign=True)
        return _Dense(linear, _activation(config.get("activation_function", "torch.nn.Tanh")), residual), outputs
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ModelError(f"{folder}: not a dense layer that nlpkit can load ({reason(error)})") from None


def _layer_norm(folder: Path, width: int) -> tuple[nn.Module, int]:
    norm = nn.LayerNorm(width)
    try:
        norm.load_state_dict(_under("norm.", {n: v.float() for n, v in published_weights(folder).items()}))
    except RuntimeError as error:
        raise ModelError(f"{folder}: no norm of {width} dimensions ({reason(error)})") from None
    return norm, width


_LAYERS: dict[str, Callable[[Path, int], tuple[nn.Module, int]]] = {
    "Dense": _dense,
    "LayerNorm": _layer_norm,
    "Dropout": lambda folder, width: (nn.Identity(), width),
}


def _activation(name: str) -> nn.Module:
    """Return an activation of torch.nn, or its identity, by its dotted name; nothing else is imported."""
    kind: Any = getattr(nn, name.rsplit(".", 1)[-1], None) if str(name).startswith("torch.nn.") else None
    if kind is not nn.Identity and getattr(kind, "__module__", "") != nn.Tanh.__module__:
        raise ValueError(f"activation {str(name)[:80]}")
    activation: nn.Module = kind()
    return activation


def _under(prefix: str, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name[len(prefix) :]: value for name, value in weights.items() if name.startswith(prefix)}
