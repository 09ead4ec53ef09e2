"""A static model, texts, and an index of them."""

import pytest
from index_support import build, write
from static_support import save_static, sentences


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return save_static(tmp_path_factory.mktemp("search") / "model")


@pytest.fixture(scope="module")
def texts():
    return sentences(3000)


@pytest.fixture(scope="module")
def index(tmp_path_factory, model, texts):
    folder = tmp_path_factory.mktemp("index")
    return build(folder / "idx", [write(folder / "corpus.txt", texts)], model)
