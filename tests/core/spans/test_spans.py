"""Spans of pointers without a triangle mask, and the cost that bounds a batch."""

import torch

from nlpkit.core.spans.spans import decode
from nlpkit.core.text.padding import TokenBudget
from nlpkit.tasks.ner.task import NerSettings, NerTask


def test_links_run_both_ways_and_never_touch_cls_or_sep():
    logits = torch.full((1, 1, 5, 5), 9.0)
    mask = torch.tensor([[True, True, True, True, False]])
    found = {(span.start, span.end) for span in decode(logits, mask, 0.5)[0]}
    assert found == {(1, 1), (1, 2), (2, 1), (2, 2)}


def test_many_labels_and_long_rows_make_small_batches():
    """217 labels of 512 × 512 in fp32 are 228 MB a row: one at a time."""
    few, many = (NerTask(NerSettings(labels)) for labels in (("a",), tuple(f"label{i}" for i in range(217))))
    budget, cpu, lengths = TokenBudget(cpu=2048, gpu=2048), torch.device("cpu"), [512] * 8
    assert len(budget.batches([few.cost(length) for length in lengths], cpu)) == 2
    assert len(budget.batches([many.cost(length) for length in lengths], cpu)) == 8
    short = [16] * 64
    assert budget.batches([many.cost(length) for length in short], cpu) == [list(range(64))]
