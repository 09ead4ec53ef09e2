"""A service with made-up models that answer at once, or when they are told to."""

import threading
from collections import Counter

import numpy as np

from nlpkit.errors import ModelError, UsageError
from nlpkit.serve.app import Application
from nlpkit.serve.limits import Limits
from nlpkit.serve.services import Service


class Model:
    """Answers with the length of a text; counts its calls, says when it is `entered`, waits while `gate` is closed."""

    def __init__(self, task="ner"):
        self.task, self.calls, self.gate = task, [], threading.Event()
        self.gate.set()
        self.entered = threading.Event()

    def __call__(self, texts, options):
        self.entered.set()
        self.gate.wait(30)
        self.calls.append(list(texts))
        if "boom" in texts:
            raise RuntimeError("a fault of the model with a text: boom")
        if "damage" in texts:
            raise ModelError("idx/records.jsonl: broken in record 3; build the index again")
        if "usage" in texts:
            raise UsageError("the text cannot be read; change it")
        if self.task == "embed":
            vectors = [np.arange(1, 9, dtype=np.float32) * len(text) for text in texts]
            return [{"text": text, "embedding": vector} for text, vector in zip(texts, vectors, strict=True)]
        entities = [{"start": 0, "end": 1, "label": "name", "text": "一", "score": options.get("threshold", 0.5)}]
        return [{"text": text, "length": len(text), "entities": entities if "一" in text else []} for text in texts]

    @property
    def sizes(self):
        """Numbers of texts of the calls, with how often each was called."""
        return Counter(map(len, self.calls))


def application(limits=None, **options):
    """An application with the tasks ner and embed, and their models by task."""
    models = {"ner": Model(), "embed": Model("embed")}
    services = {
        "ner": Service("ner", "tiny", 0, models["ner"], {"threshold": float}, 0.5),
        "embed": Service("embed", "tiny-embed", 8, models["embed"]),
    }
    return Application(services, limits or Limits(), **options), models
