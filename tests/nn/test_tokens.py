"""Batches of tokens."""

from nlpkit.nn.tokens import TokenBatch


def test_each_array_is_converted():
    tokens = TokenBatch([1], [0], [2], [0], [2], [0], [[[True]]])
    found = tokens.map(str)
    assert found == ("[1]", "[0]", "[2]", "[0]", "[2]", "[0]", "[[[True]]]")
    assert found.position_ids == "[2]"
