"""Events to spans and links and back: by hand, against a slow search, in windows, and over the published data."""

import random
from collections import Counter
from itertools import combinations, permutations

import numpy as np
import pytest
import torch
from event_support import FIRST, TEXT, event, example, task_of
from hypothesis import given, settings
from hypothesis import strategies as st
from linker_support import published, random_factors, round_trip

from nlpkit.core.spans.linked import Linked
from nlpkit.core.spans.spans import SpanIndex, max_candidates
from nlpkit.core.text.document import Document
from nlpkit.core.text.tokenizer import SPECIALS, CharTokenizer
from nlpkit.core.text.windows import Window
from nlpkit.tasks.event.codec import EventGraph, assemble, decode, encode
from nlpkit.tasks.event.data import TRIGGER, Label, in_text_order

TOKENIZER = CharTokenizer(SPECIALS)
SECOND = event("质押", (14, 16, TRIGGER), (0, 3, "质押方"), (17, 20, "质权方"))
CASES = {
    "one": [FIRST],
    "an argument shared by events of a type": [FIRST, SECOND],
    "several types on one trigger": [FIRST, event("融资", (6, 8, TRIGGER), (0, 3, "融资方"))],
    "no trigger": [event("质押", (0, 3, "质押方"), (9, 12, "质权方"))],
    "no argument": [event("质押", (6, 8, TRIGGER))],
    "a lone argument": [event("质押", (0, 3, "质押方"))],
    "one span in two roles of an event": [event("质押", (6, 8, TRIGGER), (0, 3, "质押方"), (0, 3, "质权方"))],
    "a span in two roles of two events": [
        event("质押", (6, 8, TRIGGER), (0, 3, "质押方")),
        event("融资", (14, 16, TRIGGER), (0, 3, "质权方")),
    ],
    "a listed value": [event("上市", (6, 8, TRIGGER), (6, 8, "环节", "筹备"), (0, 3, "公司"))],
    "nested spans": [event("质押", (6, 8, TRIGGER), (0, 3, "质押方"), (0, 1, "质押物"), (2, 3, "质押物"))],
    "several events on one trigger": [
        event("质押", (6, 8, TRIGGER), (0, 3, "质押方")),
        event("质押", (6, 8, TRIGGER), (9, 12, "质押方")),
    ],
    "nothing": [],
}


@pytest.mark.parametrize("events", CASES.values(), ids=CASES)
def test_events_come_back(events):
    task = task_of(example(TEXT, FIRST, *events))
    assert round_trip(task, example(TEXT, *events), TOKENIZER) == sorted(events, key=in_text_order)


def test_cells():
    document = Document.of("在 甲质押乙", TOKENIZER, 64)  # tokens 在甲质押乙 at 0, 2, 3, 4, 5
    gold = event("质押", (3, 5, TRIGGER), (2, 3, "质押方"), (5, 6, "质权方"))
    ids = {Label("质押", TRIGGER): 0, Label("质押", "质押方"): 1, Label("质押", "质权方"): 2}
    targets = encode([gold], document.encoding, Window(0, 5), ids)
    assert targets.spans == [SpanIndex(1, 2, 2), SpanIndex(0, 3, 4), SpanIndex(2, 5, 5)]
    assert targets.heads == [SpanIndex(0, 2, 3), SpanIndex(0, 2, 5), SpanIndex(0, 3, 5)]
    assert targets.tails == [SpanIndex(0, 2, 4), SpanIndex(0, 2, 5), SpanIndex(0, 4, 5)]
    assert encode([gold], document.encoding, Window(2, 5), ids).heads == [SpanIndex(0, 1, 3)]  # what lies inside
    twice = event("质押", (2, 3, "质押方"), (2, 3, "质权方"))
    assert encode([twice], document.encoding, Window(0, 5), ids).heads == [SpanIndex(0, 2, 2)]  # linked to itself


def test_a_span_in_two_roles_is_not_twice_in_an_event_unless_linked_to_itself():
    """The published self-link: two roles, of one event each, that share the trigger."""
    labels = [Label("质押", TRIGGER), Label("质押", "质押方"), Label("质押", "质权方")]
    document = Document.of("甲质押", TOKENIZER, 64)
    spans = [SpanIndex(0, 2, 3), SpanIndex(1, 1, 1), SpanIndex(2, 1, 1)]
    apart = assemble(document, [EventGraph(spans, [(0, 1, 1.0), (0, 2, 1.0)])], labels, 0.5, all_cliques=True)
    assert [[a.role for a in found.arguments] for found in apart] == [["质押方", TRIGGER], ["质权方", TRIGGER]]
    (one,) = assemble(document, [EventGraph(spans, [(0, 1, 1.0), (0, 2, 1.0), (1, 2, 1.0)])], labels, 0.5)
    assert [a.role for a in one.arguments] == ["质押方", "质权方", TRIGGER]


def test_scores_and_thresholds():
    """A graph found at a low floor gives at a higher threshold what is left of it; the weakest part is the score."""
    labels = [Label("质押", TRIGGER), Label("质押", "质押方"), Label("质押", "质权方")]
    document = Document.of("甲质押乙", TOKENIZER, 64)
    graph = EventGraph(
        [SpanIndex(0, 2, 3, 0.9), SpanIndex(1, 1, 1, 0.8), SpanIndex(2, 4, 4, 0.4)],
        [(0, 1, 0.7), (0, 2, 0.6), (1, 2, 0.5)],
    )
    (found,) = assemble(document, [graph], labels, 0.3)
    assert found.score == 0.4
    assert [a.score for a in found.arguments] == [0.8, 0.9, 0.4]
    for threshold in (0.5, 0.75):  # a link needs less
        (found,) = assemble(document, [graph], labels, threshold)
        assert (len(found.arguments), found.score) == (2, 0.7)
    (found,) = assemble(document, [graph], labels, 0.85)
    assert [a.score for a in found.arguments] == [0.9]


@pytest.mark.parametrize(("threshold", "probability", "events"), [(0.5, 0.19, 2), (0.5, 0.21, 1), (0.1, 0.11, 1)])
def test_spans_are_parts_of_one_event_if_their_link_is_likely(threshold, probability, events):
    labels = [Label("质押", TRIGGER), Label("质押", "质押方")]
    graph = EventGraph([SpanIndex(0, 2, 3, 0.9), SpanIndex(1, 1, 1, 0.8)], [(0, 1, probability)])
    found = assemble(Document.of("甲质押", TOKENIZER, 64), [graph], labels, threshold)
    assert len(found) == events
    assert min(event.score for event in found) == (probability if events == 1 else 0.8)
    assert len(assemble(Document.of("甲质押", TOKENIZER, 64), [graph], labels, threshold, triggered=True)) == 1


# --- readings of one event --------------------------------------------------------------------------------------------

# (label, first, last, score) of spans, and which of them are linked; the events as the scores of their spans.
# Tokens: 昨1 晚2 总3 决4 赛5 红6 队7 两8 度9 战10 胜11 蓝12 队13
MATCH = "昨晚总决赛红队两度战胜蓝队"
MATCH_LABELS = [Label("胜负", role) for role in (TRIGGER, "赛事", "胜者", "败者")] + [Label("交锋", TRIGGER)]
WON, BEATEN, BLUE = (0, 10, 11, 0.90), (0, 8, 11, 0.60), (3, 12, 13, 0.80)
RED, RED_LOSES, FINAL, LAST_NIGHTS = (2, 6, 7, 0.95), (3, 6, 7, 0.41), (1, 3, 5, 0.85), (1, 1, 5, 0.75)
READINGS = {
    "overlapping fillers of a role": ([WON, RED, FINAL, LAST_NIGHTS], [(2, 3)], [{0.90, 0.95, 0.85}]),
    "a span in two roles": ([WON, RED, RED_LOSES, BLUE], [(1, 2)], [{0.90, 0.95, 0.80}]),
    "both": ([WON, FINAL, LAST_NIGHTS, RED, RED_LOSES, BLUE], [(1, 2), (3, 4)], [{0.90, 0.85, 0.95, 0.80}]),
    "overlapping triggers": ([WON, BEATEN, RED], [(0, 1)], [{0.90, 0.95}]),
    "the other has a further argument, too": ([WON, RED, FINAL, LAST_NIGHTS], [(2, 3), (1, 2)], [{0.90, 0.95, 0.75}]),
    "a filler with the trigger and without": ([WON, FINAL, LAST_NIGHTS], [(0, 2), (1, 2)], [{0.90, 0.85}]),
    # not readings of one event
    "two events of a trigger": ([WON, RED, (2, 12, 13, 0.8)], [(1, 2)], [{0.90, 0.95}, {0.90, 0.80}]),
    "two triggers": ([WON, (0, 8, 9, 0.5), FINAL], [(0, 1)], [{0.90, 0.85}, {0.50, 0.85}]),
    "two types": ([WON, (4, 10, 11, 0.7), RED], [(0, 1), (1, 2)], [{0.90, 0.95}, {0.70}]),
    "overlapping fillers that are linked": ([WON, FINAL, LAST_NIGHTS], [], [{0.90, 0.85, 0.75}]),
    "two roles of a span that is linked to itself": ([WON, RED, RED_LOSES], [], [{0.90, 0.95, 0.41}]),
    "each has an argument that the other lacks": (
        [WON, FINAL, LAST_NIGHTS, RED, (2, 12, 13, 0.65)],
        [(1, 2), (1, 3), (2, 4), (3, 4)],
        [{0.90, 0.85, 0.65}, {0.90, 0.75, 0.95}],
    ),
}


def match(spans, apart, **settings):
    """The events of spans that are all linked but for the given pairs, as sets of the scores of their spans."""
    pairs = [pair for pair in combinations(range(len(spans)), 2) if pair not in apart]
    document = Document.of(MATCH, TOKENIZER, 64)
    graphs = [EventGraph([SpanIndex(*span) for span in spans], [(i, j, 1.0) for i, j in pairs])]
    return [
        {argument.score for argument in found.arguments}
        for found in assemble(document, graphs, MATCH_LABELS, 0.4, **settings)
    ]


@pytest.mark.parametrize(("probability", "events"), [(0.04, 2), (0.06, 1), (0.5, 1)])
def test_parts_that_share_a_trigger_are_one_event_if_their_link_is_possible(probability, events):
    spans = [SpanIndex(*span) for span in (WON, RED, BLUE)]
    graph = EventGraph(spans, [(0, 1, 0.9), (0, 2, 0.8), (1, 2, probability)])
    document = Document.of(MATCH, TOKENIZER, 64)
    found = assemble(document, [graph], MATCH_LABELS, 0.4)
    assert len(found) == events
    if events == 1:
        assert found[0].score == min(probability, 0.8)
        assert len(found[0].arguments) == 3
    every = assemble(document, [graph], MATCH_LABELS, 0.4, all_cliques=True)
    assert len(every) == (1 if probability > 0.2 else 2)


def test_parts_without_a_common_trigger_need_a_likely_link():
    graph = EventGraph([SpanIndex(*span) for span in (RED, BLUE)], [(0, 1, 0.15)])
    assert len(assemble(Document.of(MATCH, TOKENIZER, 64), [graph], MATCH_LABELS, 0.4)) == 2


@pytest.mark.parametrize(("spans", "apart", "expected"), READINGS.values(), ids=READINGS)
def test_readings_of_one_event_become_the_best_of_them(spans, apart, expected):
    found = match(spans, apart)
    assert sorted(map(sorted, found)) == sorted(map(sorted, expected))
    every = match(spans, apart, all_cliques=True)
    assert all(event in every for event in found)
    order = list(reversed(range(len(spans))))  # whatever order the spans come in
    turned = [(order.index(j), order.index(i)) for i, j in apart]
    assert match([spans[index] for index in order], turned) == found


def test_of_readings_whose_scores_differ_in_the_last_digits_the_earlier_stays():
    """So that the answer to a text which repeats itself does not depend on its batch."""
    document = Document.of(MATCH, TOKENIZER, 64)
    for first, second in ((0.7, 0.7000001), (0.7000001, 0.7)):
        spans = [SpanIndex(*WON), SpanIndex(1, 1, 2, first), SpanIndex(1, 2, 3, second)]
        (found,) = assemble(document, [EventGraph(spans, [(0, 1, 1.0), (0, 2, 1.0)])], MATCH_LABELS, 0.4)
        assert first in {argument.score for argument in found.arguments}


def test_of_equal_readings_the_earlier_and_longer_span_stays():
    document = Document.of(MATCH, TOKENIZER, 64)
    spans = [SpanIndex(1, 3, 5, 0.7), SpanIndex(1, 1, 5, 0.7), SpanIndex(1, 1, 2, 0.7)]
    for order in permutations(spans):
        graphs = [EventGraph([SpanIndex(*WON), *order], [(0, 1, 1.0), (0, 2, 1.0), (0, 3, 1.0)])]
        (one,) = assemble(document, graphs, MATCH_LABELS, 0.4)
        assert MATCH[one.arguments[0].start : one.arguments[0].end] == "昨晚总决赛"


def test_a_listed_value_stands_at_its_trigger():
    """The value is no rival of the trigger; two values of one role at one span are."""
    labels = [Label("上市", *role) for role in ((TRIGGER,), ("环节", "筹备"), ("环节", "正式"), ("公司",))]
    document = Document.of("甲公司上市", TOKENIZER, 64)
    spans = [SpanIndex(0, 4, 5, 0.9), SpanIndex(1, 4, 5, 0.6), SpanIndex(2, 4, 5, 0.7), SpanIndex(3, 1, 3, 0.8)]
    links = [(0, 1, 1.0), (0, 2, 1.0), (0, 3, 1.0), (1, 3, 1.0), (2, 3, 1.0)]
    (found,) = assemble(document, [EventGraph(spans, links)], labels, 0.5)
    assert {argument.value for argument in found.arguments} == {"", "正式"}
    assert found.trigger


def slow(outputs, mask, row, labels, threshold=0.0):
    """The events of a row as (type, {(label, first, last)}), by loops over the dense logits."""
    spans, heads, tails = (factors.dense()[row] for factors in (outputs.spans, outputs.heads, outputs.tails))
    size = int(mask[row].sum())
    inner = range(1, size - 1)
    events = []
    for type in sorted({label.type for label in labels}):
        nodes = [
            (index, i, j)
            for index, label in enumerate(labels)
            if label.type == type
            for i in inner
            for j in inner
            if i <= j and spans[index, i, j] > threshold
        ]
        linked = set()
        for (a, (la, ia, ja)), (b, (lb, ib, jb)) in combinations(enumerate(nodes), 2):
            head, tail = heads[0, min(ia, ib), max(ia, ib)], tails[0, min(ja, jb), max(ja, jb)]
            triggers = labels[la].role == labels[lb].role == TRIGGER
            if head > threshold and tail > threshold and not triggers:
                linked.add((a, b))
        if nodes:
            events += [
                (type, frozenset(nodes[i] for i in found)) for found in published(set(range(len(nodes))), linked)
            ]
    return Counter(events)


@settings(max_examples=30)
@given(st.integers(0, 10**6))
def test_the_search_is_that_of_the_slow_one(seed):
    labels = [Label(type, role) for type in ("收购", "质押") for role in (TRIGGER, "一", "二")]
    generator = torch.Generator().manual_seed(seed)
    spans, mask = random_factors(generator, 2, len(labels), 9, bias=-1.9)
    heads, tails = (random_factors(generator, 2, 1, 9, bias=0.2)[0] for _ in range(2))
    outputs = Linked(spans, heads, tails)
    graphs = decode(outputs, mask, 0.5, np.array([-1, 1, 1, -2, 2, 2]))
    for row, graph in enumerate(graphs):
        size = int(mask[row].sum())
        bounds = spans.pairs[row] + spans.starts[row].max(1)[:, None] + spans.ends[row].max(1)
        if (bounds[1 : size - 1, 1 : size - 1] > 0).sum() > max_candidates(mask)[row] or len(
            graph.spans
        ) >= max_candidates(mask)[row]:
            continue  # more candidates than the limit
        text = "中" * (size - 2)
        found = assemble(Document.of(text, TOKENIZER, 64), [graph], labels, 0.5, all_cliques=True)
        ids = {label: index for index, label in enumerate(labels)}
        got = Counter(
            (e.type, frozenset((ids[Label(e.type, a.role)], a.start + 1, a.end) for a in e.arguments)) for e in found
        )
        assert got == slow(outputs, mask, row, labels)


def test_only_wanted_labels_are_looked_for():
    some = task_of(example(TEXT, FIRST), include=(("质押", TRIGGER), ("质押", "质权方")))
    (found,) = round_trip(some, example(TEXT, FIRST), TOKENIZER)
    assert found == event("质押", (6, 8, TRIGGER), (9, 12, "质权方"))


# --- windows ----------------------------------------------------------------------------------------------------------

FILLER = "今天天气很好。"
LABELS = [Label("质押", role) for role in (TRIGGER, "质押方", "质押物", "质权方")]


def windows_of(*windows):
    text = "甲质押股份。" + FILLER * 3 + "质押给乙。甲甲"
    encoding = TOKENIZER.encode(text)
    return Document(text, encoding, [Window(*window) for window in windows])


def graph(window, *nodes):
    """All nodes (label, begin, end) of a document that lie in a window, all linked."""
    spans = [SpanIndex(label, begin - window[0] + 1, end - window[0]) for label, begin, end in nodes]
    return EventGraph(spans, [(i, j, 1.0) for i, j in combinations(range(len(spans)), 2)])


@pytest.mark.parametrize(
    ("second", "joined"),
    [
        ([(0, 27, 29), (1, 32, 33), (3, 30, 31)], True),  # the same party
        ([(0, 27, 29), (3, 30, 31)], False),  # another trigger, nothing shared
        ([(0, 27, 29), (1, 32, 33), (2, 30, 31)], False),  # shares the party, but another thing is pledged
        ([(0, 27, 29), (1, 30, 31), (3, 32, 33)], False),  # another party
    ],
)
def test_parts_of_an_event_are_joined_across_windows(second, joined):
    bounds = (0, 20), (15, 34)
    document = windows_of(*bounds)
    first = [(0, 1, 3), (1, 0, 1), (2, 3, 5)]
    found = assemble(document, [graph(bounds[0], *first), graph(bounds[1], *second)], LABELS, 0.5)
    if joined:
        (one,) = found
        assert one == event("质押", (1, 3, TRIGGER), (0, 1, "质押方"), (3, 5, "质押物"), (30, 31, "质权方"))
        assert one.parts == 2
    else:
        assert [one.parts for one in found] == [1, 1]


def test_what_one_window_sees_is_not_joined():
    bounds = (0, 34), (30, 34)
    document = windows_of(*bounds)
    both = EventGraph(
        [SpanIndex(0, 2, 3), SpanIndex(1, 1, 1), SpanIndex(0, 28, 29), SpanIndex(1, 33, 33)], [(0, 1, 1.0), (2, 3, 1.0)]
    )
    found = assemble(document, [both, EventGraph([], [])], LABELS, 0.5)
    assert [one.parts for one in found] == [1, 1]


def test_an_event_of_the_overlap_is_found_once():
    bounds = (0, 24), (10, 34)
    document = windows_of(*bounds)
    nodes = [(0, 14, 16), (1, 17, 18)]
    found = assemble(document, [graph(bounds[0], *nodes), graph(bounds[1], *nodes)], LABELS, 0.5)
    assert found == [event("质押", (14, 16, TRIGGER), (17, 18, "质押方"))]
    assert found[0].parts == 1


@settings(max_examples=40)
@given(st.integers(0, 10**6), st.integers(16, 40))
def test_events_narrower_than_the_overlap_come_back_from_windows(seed, limit):
    """Each in a stretch of its own, so that no two share anything."""
    chance = random.Random(seed)
    text, events = "", []
    for number in range(6):
        text += FILLER * chance.randint(1, 3)
        start = len(text)
        text += f"{chr(0x4E00 + number)}质{chr(0x5E00 + number)}"
        events.append(
            event("质押", (start + 1, start + 2, TRIGGER), (start, start + 1, "甲"), (start + 2, start + 3, "乙"))
        )
    gold = example(text, *events)
    assert round_trip(task_of(gold), gold, TOKENIZER, limit) == list(gold.events)
