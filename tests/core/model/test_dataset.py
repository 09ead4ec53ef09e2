"""Training sets of windows: batches as a function of the step, windows with their gold, and joined texts."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from support import toy_records, vocabulary

from nlpkit.core.io.records import Line
from nlpkit.core.model.dataset import WindowDataset, with_joined
from nlpkit.core.text.padding import pad_windows
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.core.text.windows import Window
from nlpkit.tasks.ner.data import Entity, Example
from nlpkit.tasks.ner.settings import NerSettings
from nlpkit.tasks.ner.task import NerTask

RECORDS = toy_records(48)


TOKENIZER = CharTokenizer(vocabulary("".join(record["text"] for record in RECORDS)))


TASK = NerTask(NerSettings(("company", "name"), head_size=16))


EXAMPLES = [
    Example(r["text"], tuple(Entity(e["start"], e["end"], e["label"]) for e in r["entities"]), Line(r["text"], "-", 1))
    for r in RECORDS
]


def batches():
    return WindowDataset(TASK, EXAMPLES, TOKENIZER, 128, batch_size=8, seed=5)


def test_batches_are_a_function_of_the_step_and_hold_every_row_once_an_epoch():
    one, other = batches(), batches()
    assert one.steps_per_epoch == 6
    rows = []
    for step in range(6):
        inputs, _ = one(step)
        rows += [tuple(row[row != TOKENIZER.pad_id].tolist()) for row in inputs.input_ids]
    assert sorted(rows) == sorted((TOKENIZER.cls_id, *encoding.ids, TOKENIZER.sep_id) for encoding, *_ in one.windows)
    assert not torch.equal(one(0)[0].input_ids, one(6)[0].input_ids)
    assert max(map(len, rows)) == one.longest
    for step in (3, 0, 7):  # in any order
        assert torch.equal(one(step)[0].input_ids, other(step)[0].input_ids)
        assert torch.equal(one(step)[1]["spans"], other(step)[1]["spans"])


def test_long_examples_are_rows_of_several_windows():
    text = EXAMPLES[0].text * 10
    entities = tuple(
        Entity(e.start + shift, e.end + shift, e.label)
        for shift in range(0, len(text), len(EXAMPLES[0].text))
        for e in EXAMPLES[0].entities
    )
    data = WindowDataset(TASK, [Example(text, entities, Line(text, "-", 1))], TOKENIZER, 64, 8, seed=1)
    assert len(data.windows) > 3
    assert data.longest <= 64
    assert data.diagnostics == {"sequences": len(data.windows), "misaligned": 0}
    assert sum(len(target.spans) for *_, target in data.windows) >= len(entities)


def test_gold_that_is_not_made_of_whole_tokens_is_counted():
    data = WindowDataset(
        TASK, [Example("e\u0301去", (Entity(0, 1, "name"),), EXAMPLES[0].line)], TOKENIZER, 16, 8, seed=1
    )
    assert data.diagnostics == {"sequences": 1, "misaligned": 1}
    assert data(0)[1]["spans"].shape == (1, 2, 0)


def test_windows_become_padded_sequences():
    encoding, other = TOKENIZER.encode(RECORDS[0]["text"]), TOKENIZER.encode("去")
    input_ids, attention_mask = pad_windows(
        [(encoding, Window(2, 5)), (other, Window(0, 1)), (other, Window(0, 0))], TOKENIZER
    )
    cls, sep, pad = TOKENIZER.cls_id, TOKENIZER.sep_id, TOKENIZER.pad_id
    assert input_ids.tolist() == [
        [cls, *encoding.ids[2:5], sep],
        [cls, *other.ids, sep, pad, pad],
        [cls, sep, pad, pad, pad],
    ]
    assert attention_mask.sum(1).tolist() == [5, 3, 2]


@given(st.integers(0, 30), st.integers(1, 5), st.integers(0, 10**6))
def test_every_example_comes_alone_and_once_more_in_a_group(number, most, seed):
    examples = [(index,) for index in range(number)]
    found = with_joined(examples, lambda group: sum(group, ()), most, seed)
    assert found[:number] == examples
    joined = found[number:]
    assert sorted(index for group in joined for index in group) == (list(range(number)) if most > 1 else [])
    assert all(2 <= len(group) <= most for group in joined[:-1])  # the last one has what is left
    assert found == with_joined(examples, lambda group: sum(group, ()), most, seed)


def test_groups_depend_on_the_seed():
    one, other = (with_joined(list("abcdefghij"), "".join, 3, seed) for seed in (1, 2))
    assert one[:10] == other[:10]
    assert one[10:] != other[10:]
