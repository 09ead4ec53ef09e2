"""Readers of one record or one document, through the formats of the tasks."""

import orjson
import pytest

from nlpkit.core.formats.annotation import Tally
from nlpkit.tasks.ner.formats import read_examples


@pytest.fixture
def read(tmp_path):
    """The examples of one record, and the messages about it."""

    def run(record, format="labelstudio", reader=read_examples, **options):
        path = tmp_path / "gold.json"
        path.write_bytes(record if isinstance(record, bytes) else orjson.dumps(record))
        tally = Tally()
        (example,) = reader([str(path)], format, tally=tally, **options)
        return example, [message.replace(f"{path}:1", "HERE") for message in tally.messages()]

    return run


@pytest.fixture
def brat(tmp_path):
    """The examples of a text with its lines of standoff, and the messages about them."""

    def run(text, *lines, reader=read_examples, **options):
        (tmp_path / "d.txt").write_bytes(text.encode())
        (tmp_path / "d.ann").write_bytes("".join(f"{line}\n" for line in lines).encode())
        tally = Tally()
        examples = list(reader([str(tmp_path / "d.ann")], "brat", tally=tally, **options))
        return examples[0], [message.replace(str(tmp_path / "d.ann"), "HERE") for message in tally.messages()]

    return run
