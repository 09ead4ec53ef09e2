"""Spans of pointers without a triangle mask, and the cost that bounds a batch."""

import torch

from nlpkit.core.io.stream import token_batches
from nlpkit.core.spans.spans import decode
from nlpkit.tasks.ner.task import NerSettings, NerTask


def test_links_run_both_ways_and_never_touch_cls_or_sep():
    logits = torch.full((1, 1, 5, 5), 9.0)
    mask = torch.tensor([[True, True, True, True, False]])
    found = {(span.start, span.end) for span in decode(logits, mask, 0.5)[0]}
    assert found == {(1, 1), (1, 2), (2, 1), (2, 2)}


def test_many_labels_and_long_rows_make_small_batches():
    """217 labels of 512 × 512 in fp32 are 228 MB a row: one at a time."""
    few, many = (NerTask(NerSettings(labels)) for labels in (("a",), tuple(f"label{i}" for i in range(217))))
    lengths = [512] * 8
    assert len(token_batches([few.cost(length) for length in lengths], 2048)) == 2
    assert len(token_batches([many.cost(length) for length in lengths], 2048)) == 8
    short = [16] * 64
    assert token_batches([many.cost(length) for length in short], 2048) == [list(range(64))]
