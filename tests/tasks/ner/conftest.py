"""A reader of one file in a format of NER."""

import pytest

from nlpkit.tasks.ner.formats import read_examples


@pytest.fixture
def read(tmp_path):
    def read(content, format="nlpkit", on_error=None, encoding="utf-8"):
        path = tmp_path / "gold"
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return list(read_examples([str(path)], format, encoding, on_error))

    return read
