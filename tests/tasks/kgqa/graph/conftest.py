"""Fixtures of the graph tests."""

import pytest
from graph_support import TOKENIZER, TRIPLES

from nlpkit.tasks.kgqa.graph import prefix_tree, sorted_runs
from nlpkit.tasks.kgqa.graph.build import build_graph


@pytest.fixture
def graph(tmp_path):
    return build_graph(TRIPLES, tmp_path / "G.kg", TOKENIZER)


@pytest.fixture
def small_limits(monkeypatch):
    """Everything that is done piece by piece is done in tiny pieces."""
    monkeypatch.setattr(prefix_tree, "HEAVY", 2)
    for name, value in (("BUCKET", 3), ("CHUNK", 2), ("BLOCK", 2)):
        monkeypatch.setattr(sorted_runs, name, value)
    monkeypatch.setattr("nlpkit.tasks.kgqa.graph.build.CHUNK", 2)
    monkeypatch.setattr("nlpkit.tasks.kgqa.graph.graph.CHUNK", 2)
    monkeypatch.setattr("nlpkit.tasks.kgqa.graph.graph.BLOCK", 2)
