"""A training run that several files look at."""

import pytest
from support import invoke

SMALL = ("--model", "roformer_v2:2x64", "--batch-size", "16", "--lr", "2e-3", "--quiet")


@pytest.fixture(scope="session")
def trained(toy, tmp_path_factory):
    """(folder, result) of a training run of some seconds on the toy language."""
    folder = tmp_path_factory.mktemp("trained") / "model"
    train, dev = toy
    result = invoke("train", "ner", train, "--dev", dev, "-o", folder, *SMALL, "--epochs", 8, "--threshold", "auto")
    assert result.exit_code == 0, result.output
    return folder, result
