"""Fixtures of the graph tests."""

import pytest
from graph_support import TOKENIZER, TRIPLES

from nlpkit.tasks.kgqa.graph import graph as graph_module
from nlpkit.tasks.kgqa.graph import prefix_tree, sorted_runs
from nlpkit.tasks.kgqa.graph.build import build_graph


@pytest.fixture
def graph(tmp_path):
    return build_graph(TRIPLES, tmp_path / "G.kg", TOKENIZER)


@pytest.fixture
def small_format(monkeypatch):
    """A format whose nodes are heavy, and whose blocks are full, in a graph of a few triples already."""
    monkeypatch.setattr(prefix_tree, "HEAVY", 2)
    for module in (sorted_runs, graph_module):  # which write and read the blocks
        monkeypatch.setattr(module, "BLOCK", 2)
