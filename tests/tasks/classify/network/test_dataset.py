"""Training batches: a function of the step, labelled and unlabelled ones in turn, windows of long texts, and masks."""

from itertools import count, islice

import numpy as np
import pytest
import torch
from classify_support import TOKENIZER, example, task, toy_examples, toy_reviews
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpkit.core.text.document import Document
from nlpkit.core.text.tokenizer import MASK, SPECIALS, CharTokenizer, IdTokenizer
from nlpkit.errors import ModelError
from nlpkit.tasks.classify.network.dataset import ClassifyDataset, Masking

EXAMPLES = toy_examples(20)
RAW = [record["text"] for record in toy_reviews(9, 5)]
LONG = "房间真的好。" * 20


def dataset(examples=EXAMPLES, max_length=32, batch_size=8, seed=5, tokenizer=TOKENIZER, **options):
    labels = sorted({label for one in examples for label in one.labels})
    return ClassifyDataset(task(labels, **options), examples, tokenizer, max_length, batch_size, seed)


def equal(one, other):
    (inputs, targets), (others, expected) = one, other
    return (
        torch.equal(inputs.input_ids, others.input_ids)
        and torch.equal(inputs.attention_mask, others.attention_mask)
        and targets.keys() == expected.keys()
        and all(torch.equal(targets[name], expected[name]) for name in targets)
    )


def sequences(inputs):
    """The tokens of each sequence without padding, as a string of them."""
    return [
        "".join(TOKENIZER.tokens[token] for token in row[mask].tolist())
        for row, mask in zip(inputs.input_ids, inputs.attention_mask, strict=True)
    ]


def framed(text):
    return f"[CLS]{text}[SEP]"


def test_an_epoch_has_every_text_once_with_its_label():
    found = dataset()
    assert (found.steps_per_epoch, found.diagnostics) == (3, {"texts": 20, "unlabelled": 0})
    for epoch in range(2):
        pairs = []
        for step in range(3 * epoch, 3 * epoch + 3):
            inputs, targets = found(step)
            pairs += zip(sequences(inputs), targets["labels"].tolist(), strict=True)
        expected = [(framed(one.text), [int(one.labels == ("positive",))]) for one in EXAMPLES]
        assert sorted(pairs) == sorted(expected)
    assert found.longest == max(len(one.text) for one in EXAMPLES) + 2


OPTIONS = [{}, {"unlabelled": RAW, "r_drop": 1.0}, {"mlm": 0.3}, {"unlabelled": RAW, "mlm": 0.3}]


@pytest.mark.parametrize("options", OPTIONS, ids=["plain", "unlabelled", "masked", "both"])
def test_batches_are_a_function_of_the_step(options):
    one, other = (dataset([*EXAMPLES, example(LONG, "positive")], 16, **options) for _ in range(2))
    expected = [one(step) for step in range(14)]
    for step in (9, 2, 13, 0, 5, 4, 2):
        assert equal(other(step), expected[step])
    another = dataset([*EXAMPLES, example(LONG, "positive")], 16, seed=6, **options)
    assert not all(equal(another(step), expected[step]) for step in range(3))


def test_every_second_batch_is_of_unlabelled_texts():
    found, plain = dataset(unlabelled=RAW, r_drop=1.0), dataset()
    assert found.steps_per_epoch == 2 * plain.steps_per_epoch
    assert found.diagnostics == {"texts": 20, "unlabelled": 9}
    for step in range(6):
        assert equal(found(2 * step), plain(step))
    seen = []
    for step in range(1, 9, 2):
        inputs, targets = found(step)
        assert targets == {}
        seen += sequences(inputs)
    assert sorted(seen) == sorted(framed(text) for text in RAW * 2)  # two passes of two batches


def test_the_longest_sequence_may_be_unlabelled():
    assert dataset(unlabelled=[*RAW, "好" * 25], r_drop=1.0).longest == 27


def test_a_long_text_is_read_in_one_random_window():
    found = dataset([example(LONG, "a"), example("好", "b")], max_length=16)
    windows = Document.of(LONG, TOKENIZER, 16).windows
    assert len(windows) > 5
    parts = {framed(LONG[window.begin : window.end]) for window in windows}
    seen = set()
    for step in range(60):
        inputs, targets = found(step)
        assert sorted(targets["labels"].tolist()) == [[0], [1]]
        (part,) = set(sequences(inputs)) - {framed("好")}
        seen.add(part)
    assert seen == parts
    assert found.longest == max(map(len, windows)) + 2


def test_pairs_are_one_sequence():
    pairs = [example("房间", "0", second="好"), example("电影", "1", second="坏坏坏坏")]
    inputs, targets = dataset(pairs, pairs=True, unlabelled=[("手机", "好")], r_drop=1.0)(0)
    found = dict(zip(sequences(inputs), targets["labels"].tolist(), strict=True))
    assert found == {"[CLS]房间[SEP]好[SEP]": [0], "[CLS]电影[SEP]坏坏坏坏[SEP]": [1]}
    inputs, _ = dataset(pairs, pairs=True, unlabelled=[("手机", "好")], r_drop=1.0)(1)
    assert sequences(inputs) == ["[CLS]手机[SEP]好[SEP]"]


def test_several_labels_are_padded():
    several = [
        example("房间", multiple=True),
        example("电影", "b", "a", multiple=True),
        example("手机", "b", multiple=True),
    ]
    inputs, targets = dataset(several, multiple=True)(0)
    found = dict(zip(sequences(inputs), targets["labels"].tolist(), strict=True))
    assert found == {framed("房间"): [-1, -1], framed("电影"): [1, 0], framed("手机"): [1, -1]}


def test_masked_tokens_are_given_back():
    masked, plain = dataset(mlm=0.3), dataset()
    for step in range(6):
        (inputs, targets), (before, labels) = masked(step), plain(step)
        restored = inputs.input_ids.flatten().clone()
        restored[targets["positions"]] = targets["ids"]
        assert torch.equal(restored.view_as(before.input_ids), before.input_ids)
        assert torch.equal(targets["labels"], labels["labels"])
        ordinary = sum(len(sequence) - len(framed("")) for sequence in sequences(before))
        assert len(targets["ids"]) == round(0.3 * ordinary)


def test_epochs_have_other_masks():
    found = dataset([EXAMPLES[0], EXAMPLES[1]], mlm=0.3)
    assert len({tuple(found(step)[0].input_ids.flatten().tolist()) for step in range(9)}) > 3


MASKING = Masking(TOKENIZER, 0.5)
special = [TOKENIZER.ids[token] for token in SPECIALS]
rows = st.lists(st.lists(st.integers(0, TOKENIZER.vocab_size - 1), min_size=6, max_size=6), min_size=1, max_size=4)


@settings(max_examples=60)
@given(rows, st.integers(0, 1000))
def test_special_tokens_are_neither_masked_nor_drawn(rows, seed):
    before = np.array(rows)
    after = before.copy()
    targets = MASKING(after, np.random.default_rng(seed))
    is_special = np.isin(before, special)
    assert (after[is_special] == before[is_special]).all()
    assert np.isin(after[~is_special], np.setdiff1d(special, [TOKENIZER.ids[MASK]])).sum() == 0
    assert len(targets["positions"]) == len(targets["ids"]) == round(0.5 * (~is_special).sum())
    assert (before.reshape(-1)[targets["positions"]] == targets["ids"]).all()
    untouched = np.setdiff1d(np.arange(before.size), targets["positions"])
    assert (after.reshape(-1)[untouched] == before.reshape(-1)[untouched]).all()


def test_most_masked_tokens_become_the_mask_and_others_any_ordinary_token():
    ids = np.full((40, 100), TOKENIZER.ids["好"])
    targets = MASKING(ids, np.random.default_rng(0))
    masked = ids.reshape(-1)[targets["positions"]]
    assert (masked == TOKENIZER.ids[MASK]).mean() == pytest.approx(0.8, abs=0.03)
    assert len(set(masked.tolist())) > 50


def test_the_tokens_of_labels_are_neither_masked_nor_drawn():
    tokens = [*SPECIALS, "[LABEL0]", "[LABEL1]", *map(str, range(20))]
    texts = [example(" ".join(map(str, islice(count(n), 12))), "ab"[n % 2]) for n in range(8)]
    found = dataset(texts, tokenizer=IdTokenizer(tokens), ids=True, mlm=0.5)
    labels = {5, 6}
    drawn = {token for step in range(30) for token in found(step)[0].input_ids.flatten().tolist()}
    assert drawn & labels == set()
    assert len(drawn) > 20


def test_without_a_mask_token_nothing_can_be_masked():
    tokenizer = CharTokenizer([token for token in TOKENIZER.tokens if token != MASK])
    with pytest.raises(
        ModelError, match=r"^the vocabulary has no \[MASK\], so no token can be masked; leave out --mlm$"
    ):
        dataset(tokenizer=tokenizer, mlm=0.15)
    assert dataset(tokenizer=tokenizer).steps_per_epoch == 3
