"""Loading a trained model, to compute in ONNX Runtime or in torch."""

import math
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from numpy.typing import NDArray

from nlpkit.core.io.json_shapes import conform
from nlpkit.core.model import contents
from nlpkit.core.model.contents import SCALE
from nlpkit.core.model.manifest import CARD, Manifest, find, read_card, read_manifest, reason
from nlpkit.core.model.predictor import Runner
from nlpkit.core.model.task import Task
from nlpkit.core.onnx import quality
from nlpkit.core.onnx.choice import onnx_dtype
from nlpkit.core.onnx.published import NativeWeights, native
from nlpkit.core.onnx.weights import StoredWeights
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.errors import ModelError, UsageError
from nlpkit.nn.configs import read_config, unsupported

if TYPE_CHECKING:  # it imports onnxruntime
    from nlpkit.core.onnx.session import OnnxEncoder

_NO_SETTINGS = frozenset({"wanted", "all_cliques"})  # options of a run, which old manifests store

T = TypeVar("T", bound=Task[Any, Any, Any])


def load_predictor(
    name: str,
    task_type: type[T],
    device: str = "auto",
    dtype: str = "auto",
    *,
    runtime: str = "auto",
    make_task: Callable[[Any, CharTokenizer], T] | None = None,
    trainable: bool = False,
) -> Any:
    """Return the predictor of a trained model; its type is `task_type.predictor_type`.

    Args:
        name: an embedded model, a folder or a hub name; see `core.model.manifest.find`.
        task_type: class of the task.
        device: as for `core.model.device.pick_device`.
        dtype: as for `core.model.device.pick_dtype`.
        runtime: `auto`, `onnx` or `torch`; see `core.onnx.choice.onnx_dtype`.
        make_task: makes the task from the stored settings and the tokenizer (default: `task_type(settings)`).
        trainable: keep the weights as parameters of torch, instead of repacking them for inference.

    Raises:
        ModelError: not a model of this task, or a broken one.
        UsageError: the device, the precision or the runtime is not available.
    """
    folder = find(name)
    manifest = read_manifest(folder, task_type.name)
    try:
        config = {name: value for name, value in manifest.config.items() if name not in _NO_SETTINGS}
        settings: Any = conform(config, task_type.settings_type)
    except ValueError as error:
        raise _unfit(folder, error) from None
    check(folder, manifest)
    tokenizer = contents.tokenizer_of(folder, manifest)
    task = make_task(settings, tokenizer) if make_task else task_type(settings)
    runner: Runner | None = None
    precision = None
    if not trainable:
        precision = onnx_dtype(runtime, device, dtype, native(manifest.backbone), int8_loss(folder, manifest))
    if precision is not None:
        runner = _onnx_runner(folder, manifest, task, int8=precision == "int8")
        if runner is None and runtime == "onnx":
            raise UsageError(f"--runtime onnx: `nlpkit {task.name}` computes in torch only; leave it out")
    if runner is None:
        runner = _torch_runner(folder, manifest, task, device, dtype, trainable)
    return task.predictor_type(task, runner, tokenizer, manifest.max_length)


def open_weights(folder: Path, manifest: Manifest) -> StoredWeights:
    """Return `native_weights` to be taken out one by one."""
    return StoredWeights(native_weights(folder, manifest))


def native_weights(folder: Path, manifest: Manifest) -> Mapping[str, NDArray[Any]]:
    """Return the weights of a checkpoint folder, those of the backbone by the names of nlpkit's own modules.

    Raises:
        ModelError: the file is missing, truncated, or has a type that no checkpoint has.
    """
    values, backbone = contents.open_weights(folder, manifest), native(manifest.backbone)
    return values if backbone is manifest.backbone else NativeWeights(values, backbone["num_layers"])


def load_encoder(
    folder: Path, manifest: Manifest, weights: StoredWeights, layers: Collection[int] = (), *, int8: bool = False
) -> "OnnxEncoder":
    """Return the encoder of a checkpoint folder in ONNX Runtime.

    Args:
        folder: the checkpoint.
        manifest: of the folder, after `check`.
        weights: of the network.
        layers: as for `core.onnx.session.OnnxEncoder`.
        int8: as for `core.onnx.session.OnnxEncoder`.

    Raises:
        ModelError: the weights do not fit the manifest.
    """
    from nlpkit.core.onnx.session import OnnxEncoder

    with _fitting(folder):
        return OnnxEncoder(read_config(native(manifest.backbone)), weights.under("backbone."), layers, int8=int8)


def int8_loss(folder: Path, manifest: Manifest) -> float | None:
    """Return how much a model loses in int8, for `core.onnx.choice.onnx_dtype`.

    Raises:
        ModelError: the card is damaged.
    """
    weights = manifest.files.get(contents.WEIGHTS)
    try:
        return quality.int8_loss(read_card(folder), weights.sha256 if weights else "")
    except ValueError as error:
        raise ModelError(
            f"{folder / CARD}: the quality in int8 is damaged ({error}); copy or download it again"
        ) from None


def check(folder: Path, manifest: Manifest) -> None:
    """Check the files of a checkpoint folder and the description of its backbone.

    Raises:
        ModelError: a file is damaged, or this version does not support the backbone.
    """
    contents.check_files(folder, manifest)
    config = manifest.backbone.get("config")
    try:
        if manifest.backbone.get("type") != "auto":
            read_config(manifest.backbone)
        elif not isinstance(config, dict) or "vocab_size" not in config:
            from nlpkit.nn.backbones import build

            build(manifest.backbone)  # has a better reason, such as code in the folder
            raise unsupported(ValueError("no vocab_size"))
    except ModelError as error:
        raise ModelError(f"{folder}: {error}") from None


@contextmanager
def _fitting(folder: Path) -> Iterator[None]:
    try:
        yield
    except ValueError as error:
        path = folder / contents.WEIGHTS
        raise ModelError(f"{path}: the weights do not fit the manifest ({reason(error)})") from None


def _onnx_runner(folder: Path, manifest: Manifest, task: Task[Any, Any, Any], *, int8: bool) -> Runner | None:
    """Return the runner in ONNX Runtime, or None if the task predicts in torch only."""
    weights, config = open_weights(folder, manifest), read_config(native(manifest.backbone))
    _check_length(folder, manifest, config.max_length)
    shapes = contents.model_shapes(folder, manifest).items()
    parameters = sum(
        math.prod(shape) for name, shape in shapes if not name.startswith("standardize.") and not name.endswith(SCALE)
    )
    with _fitting(folder):
        runner: Runner | None = task.onnx_runner(config, weights, parameters, int8=int8)
    return runner


def _torch_runner(
    folder: Path, manifest: Manifest, task: Task[Any, Any, Any], device: str, dtype: str, trainable: bool
) -> Runner:
    from nlpkit.core.model import checkpoint
    from nlpkit.core.model.device import keep_memory, pick_device, pick_dtype

    keep_memory()
    with checkpoint.unallocated(manifest.backbone):
        backbone = checkpoint.build_backbone(folder, manifest)
    try:
        with checkpoint.unallocated(manifest.backbone):
            network = task.network(backbone)
    except (KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise _unfit(folder, error) from None
    _check_length(folder, manifest, network.backbone.max_length)
    checkpoint.load_weights(network, folder, manifest)
    where = pick_device(device)
    precision = pick_dtype(dtype, where)
    network.to(where).eval()
    network.backbone.to(precision)
    if not trainable:
        network.prepare_for_inference()
    return task.torch_runner(network, where, precision)


def _check_length(folder: Path, manifest: Manifest, longest: int) -> None:
    if manifest.max_length > longest:
        raise ModelError(f"{folder}: max_length is {manifest.max_length}, and its backbone reads {longest} at most")


def _unfit(folder: Path, error: Exception) -> ModelError:
    return ModelError(f"{folder}: its config does not fit this version of nlpkit ({error})")
