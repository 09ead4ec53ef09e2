"""A tiny encoder with random weights."""

import pytest
from embed_support import save_embedder

from nlpkit.tasks.embed.loading import load


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return save_embedder(tmp_path_factory.mktemp("embed") / "model")


@pytest.fixture(scope="module")
def embedder(folder):
    return load(folder, "cpu", "fp32")
