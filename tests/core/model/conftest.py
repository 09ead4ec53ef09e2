"""Fixtures of the tests of model folders."""

import shutil

import pytest


@pytest.fixture
def folder(tiny, tmp_path):
    """A copy of the tiny model, to be changed."""
    return shutil.copytree(tiny, tmp_path / "model")
