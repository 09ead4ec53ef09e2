"""Fixtures of the kgqa tests."""

import pytest
from kgqa_support import TOKENIZER, examples, make_graph, save_model

from nlpkit.tasks.kgqa.task import load
from nlpkit.tasks.kgqa.training.dataset import KeyDataset


@pytest.fixture(scope="session")
def kgqa_model(tmp_path_factory):
    """Folder of a model that scores candidates by their strings alone."""
    return save_model(tmp_path_factory.mktemp("model") / "model")


@pytest.fixture(scope="session")
def kgqa_graph(tmp_path_factory):
    """Folder of a small graph."""
    return str(make_graph(tmp_path_factory.mktemp("graph") / "g.kg").folder)


@pytest.fixture(scope="session")
def model(kgqa_model, kgqa_graph):
    """The model over the graph."""
    return load(kgqa_model, "cpu", "fp32", graph=kgqa_graph)


@pytest.fixture(scope="session")
def graph(tmp_path_factory):
    """A small graph in memory, for training."""
    return make_graph(tmp_path_factory.mktemp("graph") / "g")


@pytest.fixture
def dataset(graph):
    """The questions about the graph as training examples."""
    return KeyDataset(list(examples()), graph, TOKENIZER, 64, 4, seed=1)
