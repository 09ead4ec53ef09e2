"""The Python API. Importing it loads no torch; `load` does."""

from typing import TYPE_CHECKING, Any, Literal, overload

from nlpkit.tasks import imported, spec

if TYPE_CHECKING:  # they import torch
    from nlpkit.core.model.predictor import Predictor
    from nlpkit.core.model.text_task import TextPredictor
    from nlpkit.tasks.embed.encoder.embedder import Embedder
    from nlpkit.tasks.event.data import Event
    from nlpkit.tasks.kgqa.pipeline import KgqaPredictor
    from nlpkit.tasks.ner.data import Entity
    from nlpkit.tasks.relation.data import Relation


@overload
def load(
    task: Literal["ner"], model: str | None = ..., *, device: str = ..., dtype: str = ..., **options: Any
) -> "TextPredictor[list[Entity]]": ...
@overload
def load(
    task: Literal["relation"], model: str | None = ..., *, device: str = ..., dtype: str = ..., **options: Any
) -> "TextPredictor[list[Relation]]": ...
@overload
def load(
    task: Literal["event"], model: str | None = ..., *, device: str = ..., dtype: str = ..., **options: Any
) -> "TextPredictor[list[Event]]": ...
@overload
def load(
    task: Literal["embed"], model: str | None = ..., *, device: str = ..., dtype: str = ..., **options: Any
) -> "Embedder": ...
@overload
def load(
    task: Literal["kgqa"], model: str | None = ..., *, graph: str, device: str = ..., dtype: str = ..., **options: Any
) -> "KgqaPredictor": ...
@overload
def load(
    task: str, model: str | None = ..., *, device: str = ..., dtype: str = ..., **options: Any
) -> "Predictor[Any, Any]": ...
def load(task: str, model: str | None = None, *, device: str = "auto", dtype: str = "auto", **options: Any) -> Any:
    """Load a model for prediction.

    A predictor has `predict(texts)`, which returns a list with the answer to each text, and `stream(texts)`, which
    yields the answers to any number of texts in bounded memory. That of `embed` has `encode(texts)`, which returns
    float32 vectors [n, d], and `stream(texts)`, which yields the vectors [d] one by one.

    Args:
        task: `ner`, `relation`, `event`, `embed` or `kgqa`; see `nlpkit.tasks.TASKS`.
        model: embedded model, folder or hub name (default: the embedded model of the task).
        device: `auto`, `cpu`, `cuda`, `cuda:1` or `mps`.
        dtype: `auto`, `fp32`, `bf16` or `fp16`; precision of the backbone.
        options: of the task: the keyword arguments of its loader, such as `threshold` or `labels`; kgqa needs `graph`,
            the folder of a graph.

    Raises:
        UsageError: no such task, or an option that it does not have.
        ModelError: no such model, or a model of another task.

    >>> load("kgqa", graph="demo.kg").predict(["长江的长度是多少？"])[0].answers[0].objects
    ('6300余千米',)
    """
    return imported(spec(task).loader)(model, device, dtype, **_checked(task, options))


def _checked(task: str, options: dict[str, Any]) -> dict[str, Any]:
    """Return the options, if the loader of the task takes them.

    Raises:
        UsageError: it does not take one, or needs another.
    """
    from inspect import Parameter, signature

    from nlpkit.errors import UsageError

    parameters = list(signature(imported(spec(task).loader)).parameters.values())[3:]  # after model, device, dtype
    known = [parameter.name for parameter in parameters]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise UsageError(f"{task} has no option {', '.join(unknown)}; there are: {', '.join(known)}")
    missing = [p.name for p in parameters if p.default is Parameter.empty and p.name not in options]
    if missing:
        raise UsageError(f"{task} needs the option {', '.join(missing)}")
    return options
