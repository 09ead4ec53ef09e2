"""Loading a trained model."""

from collections.abc import Callable
from typing import Any, TypeVar

from nlpkit.core.io.json_shapes import conform
from nlpkit.core.model import checkpoint
from nlpkit.core.model.device import keep_memory, pick_device, pick_dtype
from nlpkit.core.model.manifest import find, read_manifest
from nlpkit.core.model.task import Task
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.errors import ModelError

_NO_SETTINGS = frozenset({"wanted", "all_cliques"})  # options of a run, which old manifests store

T = TypeVar("T", bound=Task[Any, Any, Any])


def load_predictor(
    name: str,
    task_type: type[T],
    device: str = "auto",
    dtype: str = "auto",
    *,
    make_task: Callable[[Any, CharTokenizer], T] | None = None,
    trainable: bool = False,
) -> Any:
    """Return the predictor of a trained model; its type is `task_type.predictor_type`.

    Args:
        name: an embedded model, a folder or a hub name; see `core.model.manifest.find`.
        task_type: class of the task.
        device: as for `pick_device`.
        dtype: as for `pick_dtype`.
        make_task: makes the task from the stored settings and the tokenizer (default: `task_type(settings)`).
        trainable: keep the weights as parameters, instead of repacking them for inference.

    Raises:
        ModelError: not a model of this task, or a broken one.
    """
    keep_memory()
    folder = find(name)
    manifest = read_manifest(folder, task_type.name)
    try:
        config = {name: value for name, value in manifest.config.items() if name not in _NO_SETTINGS}
        settings: Any = conform(config, task_type.settings_type)
    except ValueError as error:
        raise ModelError(f"{folder}: its config does not fit this version of nlpkit ({error})") from None
    with checkpoint.unallocated(manifest.backbone):
        backbone = checkpoint.build_backbone(folder, manifest)
    tokenizer = checkpoint.tokenizer_of(folder, manifest)
    task = make_task(settings, tokenizer) if make_task else task_type(settings)
    try:
        with checkpoint.unallocated(manifest.backbone):
            network = task.network(backbone)
    except (KeyError, TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise ModelError(f"{folder}: its config does not fit this version of nlpkit ({error})") from None
    if manifest.max_length > network.backbone.max_length:
        longest = network.backbone.max_length
        raise ModelError(f"{folder}: max_length is {manifest.max_length}, and its backbone reads {longest} at most")
    checkpoint.load_weights(network, folder)
    where = pick_device(device)
    precision = pick_dtype(dtype, where)
    network.to(where).eval()
    network.backbone.to(precision)
    if not trainable:
        network.prepare_for_inference()
    return task.predictor_type(task, network, tokenizer, manifest.max_length, where, precision)
