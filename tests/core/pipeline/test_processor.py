"""What a command does with records, as far as it is the same for all commands."""

import pytest
from pipeline_support import numbered

from nlpkit.core.pipeline.processor import LINES, Piece, Processor


def test_json_lines_are_a_file_as_they_come(tmp_path):
    path = tmp_path / "out.jsonl"
    path.write_bytes(b"{}\n")
    assert (LINES.head, LINES.compressible) == (b"", True)
    assert LINES.finish(path, {"count": 1}) == path
    LINES.beside(str(path), {"count": 1})
    assert path.read_bytes() == b"{}\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_processor_has_the_layout_of_json_lines_unless_said():
    processor = Processor(lambda records: Piece(b"x" * len(records)))
    assert (processor.fields, processor.layout) == ((), LINES)
    assert processor.process(numbered(3)) == (b"xxx", b"", {})


def test_counts_are_not_shared_by_pieces():
    first = Piece(b"", counts={"count": 1})
    assert Piece(b"").counts == {}
    assert first._replace(data=b"x").counts == {"count": 1}
    with pytest.raises(AttributeError):
        first.data = b"y"
