"""The interface of a machine learning backend of Label Studio: pre-annotations of entities for its tasks."""

from collections.abc import Mapping, Sequence
from typing import Any

from nlpkit.serve.problems import invalid

_FROM, _TO = "label", "text"  # names of the tags in Label Studio's own template for entities


def texts_of_tasks(body: Mapping[str, Any]) -> list[str]:
    """Return the text of each task of a request for predictions.

    Raises:
        RequestError: there are no tasks, or one has no text.
    """
    tasks = body.get("tasks")
    if not isinstance(tasks, list):
        raise invalid("the field 'tasks' must be a list of tasks", "tasks")
    texts = []
    for task in tasks:
        data = task.get("data") if isinstance(task, dict) else None
        text = data.get("text") if isinstance(data, dict) else None
        if not isinstance(text, str):
            raise invalid("each task needs a text in data.text", "tasks")
        texts.append(text)
    return texts


def predictions(records: Sequence[Mapping[str, Any]], version: str) -> dict[str, Any]:
    """Return the response with the entities of each text; offsets count code points, as in Label Studio."""
    results = []
    for record in records:
        regions = [
            {
                "from_name": _FROM, "to_name": _TO, "type": "labels", "score": entity["score"],
                "value": {
                    "start": entity["start"], "end": entity["end"],
                    "text": entity["text"], "labels": [entity["label"]],
                },
            }
            for entity in record["entities"]
        ]  # fmt: skip
        score = min((entity["score"] for entity in record["entities"]), default=0.0)
        results.append({"result": regions, "score": score, "model_version": version})
    return {"results": results}
