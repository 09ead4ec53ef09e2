"""The models of a service: what each task answers to a list of texts."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from nlpkit.errors import UsageError
from nlpkit.tasks import TASKS, imported, spec


class Key(NamedTuple):
    """What texts that are processed together have in common: the task, and the options of the request."""

    task: str
    options: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Service:
    """A task with its model.

    Attributes:
        task: name of the task, as in `/v1/NAME`.
        model: name of the model.
        width: dimensions of its vectors; 0 if it gives none.
        answer: (texts, options) → the record of each text.
        options: names of the options that a request may have, with their types.
        threshold: the model's own, which the option of this name replaces; None if it has none.
    """

    task: str
    model: str
    width: int
    answer: Callable[[Sequence[Any], Mapping[str, Any]], list[Any]]
    options: Mapping[str, type] = field(default_factory=dict)
    threshold: float | None = None


def load_services(
    names: Sequence[str],
    models: Mapping[str, str],
    *,
    device: str = "auto",
    dtype: str = "auto",
    runtime: str = "auto",
    graph: str | None = None,
    index: str | None = None,
) -> dict[str, Service]:
    """Load the models of tasks.

    Args:
        names: of the tasks; all that are possible when empty: kgqa needs a graph, search an index.
        models: task → name or folder of its model, in place of the embedded one; that of embed is also the one of the
            index.
        device: as for `core.model.device.pick_device`.
        dtype: as for `core.model.device.pick_dtype`.
        runtime: `auto`, `onnx` or `torch`.
        graph: folder of a graph, for kgqa.
        index: folder of an index, for search.

    Raises:
        UsageError: an unknown task, one without its graph or index, or a model, a graph or an index without its task.
        NlpkitError: a model, the graph or the index cannot be loaded.
    """
    known = [task.name for task in TASKS if task.name != "kgqa" or graph] + ["search"] * bool(index)
    tasks = list(dict.fromkeys(names)) or known
    _check_choice(tasks, models, graph, index)
    arguments = {"device": device, "dtype": dtype, "runtime": runtime}
    services: dict[str, Service] = {}
    for name in tasks:
        if name == "search":
            services[name] = _search(Path(index or ""), models.get("embed"), arguments)
        elif name == "embed":
            services[name] = _embed(models.get(name), arguments)
        elif name == "kgqa":
            services[name] = _kgqa(models.get(name), arguments, graph or "")
        else:
            services[name] = _annotate(name, models.get(name), arguments)
    return services


def _check_choice(tasks: Sequence[str], models: Mapping[str, str], graph: str | None, index: str | None) -> None:
    """Raise UsageError if the options do not fit together; see `load_services`."""
    for name in (*tasks, *models):
        if name not in [*(task.name for task in TASKS), "search"]:
            raise UsageError(f"--task {name}: no such task; one of {', '.join(task.name for task in TASKS)}, search")
    if "search" in models:
        raise UsageError(f"--model search={models['search']}: an index names its own model; leave it out")
    for name in models:
        if name not in (*tasks, *["embed"] * ("search" in tasks)):
            raise UsageError(f"--model {name}={models[name]}: the task is not served; add --task {name}")
    if graph is not None and "kgqa" not in tasks:
        raise UsageError(f"--graph {graph}: kgqa is not served; add --task kgqa")
    if index is not None and "search" not in tasks:
        raise UsageError(f"--index {index}: search is not served; add --task search")
    if "kgqa" in tasks and not graph:
        raise UsageError("--task kgqa: needs a graph; name one with --graph")
    if "search" in tasks and not index:
        raise UsageError("--task search: needs an index; name one with --index")


def _annotate(name: str, model: str | None, arguments: Mapping[str, str]) -> Service:
    """Return the service of a task whose predictor gives records."""
    predictor = imported(spec(name).loader)(model, **arguments)

    def answer(texts: Sequence[str], given: Mapping[str, Any]) -> list[Any]:
        adjusted = predictor.changed(**given) if given else predictor
        pairs = zip(texts, adjusted.predictions(texts), strict=True)
        return [
            {"text": text, **adjusted.to_fields(text, prediction.answer)}
            | ({"windows": prediction.windows} if prediction.windows > 1 else {})
            for text, prediction in pairs
        ]

    threshold = float(predictor.settings.threshold)
    return Service(name, model or spec(name).default_model or name, 0, answer, {"threshold": float}, threshold)


def _kgqa(model: str | None, arguments: Mapping[str, str], graph: str) -> Service:
    """Return the service of a graph."""
    predictor = imported(spec("kgqa").loader)(model, **arguments, graph=graph)

    def answer(texts: Sequence[str], given: Mapping[str, Any]) -> list[Any]:
        records = []
        for text, prediction in zip(texts, predictor.predictions(texts), strict=True):
            steps = {"steps": predictor.explain(text, prediction.answer)} if given.get("explain") else {}
            records.append({"question": text, **predictor.to_fields(text, prediction.answer), **steps})
        return records

    return Service("kgqa", model or spec("kgqa").default_model or "kgqa", 0, answer, {"explain": bool})


def _embed(model: str | None, arguments: Mapping[str, str]) -> Service:
    """Return the service of vectors, with unit length if the model says so."""
    embedder = imported(spec("embed").loader)(model, **arguments)
    encoder = {**embedder.provenance, "precision": "float32"}

    def answer(texts: Sequence[str], given: Mapping[str, Any]) -> list[Any]:
        found = embedder.embed(texts)
        return [
            {"text": text, "embedding": None if index in found.blank else vector, "encoder": encoder}
            | ({"windows": found.windows[index]} if index in found.windows else {})
            | ({"truncated": True} if index in found.truncated else {})
            for index, (text, vector) in enumerate(zip(texts, found.vectors, strict=True))
        ]

    return Service("embed", embedder.name, embedder.dim, answer)


def _search(folder: Path, model: str | None, arguments: Mapping[str, str]) -> Service:
    """Return the service of an index, with a model in place of the one that it names, if it is the same."""
    from nlpkit.tasks.embed.index.index import Index
    from nlpkit.tasks.embed.index.retrieval import pick_method, retrieve

    index = Index.open(folder)
    method = pick_method(index, None)
    embedder = index.embedder(model, arguments["device"], arguments["dtype"], None, arguments["runtime"])

    def answer(texts: Sequence[str], given: Mapping[str, Any]) -> list[Any]:
        found = retrieve(index, list(texts), embedder.encode(list(texts)), given.get("k", 10), method)
        return [{"query": text, "results": results} for text, results in zip(texts, found, strict=True)]

    return Service("search", embedder.name, 0, answer, {"k": int})
