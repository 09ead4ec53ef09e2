"""Events as a task: labels of types and roles, what a schema leaves out, and what a model refuses."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
import torch
from linker_support import random_factors, save_linker

from nlpkit.core.io.records import Line
from nlpkit.core.model.calibration import Calibration
from nlpkit.core.spans.linked import Linked
from nlpkit.core.spans.spans import SpanIndex
from nlpkit.core.text.document import Document
from nlpkit.core.text.tokenizer import SPECIALS, CharTokenizer
from nlpkit.errors import DataError, ModelError
from nlpkit.nn.backbones import build
from nlpkit.nn.factors import Factors
from nlpkit.tasks.event.codec import EventGraph
from nlpkit.tasks.event.data import TRIGGER, Argument, Event, Example
from nlpkit.tasks.event.task import EventSettings, EventTask, load

TOKENIZER = CharTokenizer(SPECIALS)
TEXT = "甲公司将股份质押给乙银行"
PLEDGE = Event("质押", (Argument(0, 3, "质押方"), Argument(6, 8, TRIGGER), Argument(9, 12, "质权方")))
PARTIES = Event("质押", (Argument(0, 3, "质押方"), Argument(9, 12, "质权方")))
LINE = Line("", "gold", 7)
GOLD = Example(TEXT, (PLEDGE,), LINE)
LABELS = (("收购", "买方", ""), ("质押", TRIGGER, ""), ("质押", "质押方", ""), ("质押", "质权方", ""))


def test_the_labels_of_a_task_are_those_of_its_training_set():
    task = EventTask.from_examples([GOLD], ["a"], head_size=16)
    assert task.settings == EventSettings(LABELS[1:], head_size=16, triggered=True)
    assert not EventTask.from_examples([GOLD, Example(TEXT, (PARTIES,), LINE)], ["a"]).settings.triggered
    with pytest.raises(DataError, match="a: no text has an event"):
        EventTask.from_examples([Example(TEXT, (), LINE)], ["a"])


def test_a_training_text_has_a_type_that_occurs():
    strange = replace(GOLD, events=(), types=frozenset({"投资", "收购"}))
    with pytest.raises(DataError, match=r'^gold:7: no text has an event of its "types": 投资, 收购$'):
        EventTask.from_examples([GOLD, strange], ["a"])


def test_events_of_types_without_annotation_are_neither_right_nor_wrong():
    task = EventTask(EventSettings(LABELS))
    bought = Event("收购", (Argument(0, 3, "买方", score=0.9),), score=0.9)
    restricted = replace(GOLD, types=frozenset({"质押"}))
    for gold, precision in ((GOLD, 2 / 3), (restricted, 1.0)):
        assert task.score([(gold, [PLEDGE, bought])])["argument_classification"]["precision"] == precision
    assert [len(task.outcomes([(gold, [PLEDGE, bought])])["event_ece"]) for gold in (GOLD, restricted)] == [2, 1]


def test_types_have_their_roles_without_the_trigger():
    assert EventTask(EventSettings(LABELS)).types == {"收购": ("买方",), "质押": ("质押方", "质权方")}


def test_changed_settings_keep_the_options():
    task = EventTask(EventSettings(LABELS), include=[("质押", TRIGGER)], all_cliques=True).changed(threshold=0.9)
    assert (task.settings.threshold, task.include, task.all_cliques) == (0.9, [("质押", TRIGGER)], True)


def assembled(task, *labels):
    """The events of spans with these labels, at different places and all linked."""
    places = [(1, 3), (7, 8), (10, 12)]
    spans = [SpanIndex(label, *place, 0.9) for label, place in zip(labels, places, strict=False)]
    links = [(i, j, 0.8) for i in range(len(spans)) for j in range(i + 1, len(spans))]
    return task.assemble(Document.of(TEXT, TOKENIZER, 64), [EventGraph(spans, links)], 0.5)


def test_a_model_of_triggered_events_returns_no_others():
    free, triggered = (EventTask(EventSettings(LABELS, triggered=triggered)) for triggered in (False, True))
    assert assembled(free, 2, 1, 3) == assembled(triggered, 2, 1, 3) == [PLEDGE]
    assert [len(event.arguments) for event in assembled(free, 2, 3)] == [2]
    assert assembled(triggered, 2, 3) == []


def test_targets_have_labels_and_links_of_one_kind():
    task, document = EventTask(EventSettings(LABELS)), Document.of(TEXT, TOKENIZER, 64)
    restricted = replace(GOLD, types=frozenset({"质押"}))
    targets = task.collate([task.target(example, document, document.windows[0]) for example in (GOLD, restricted)], 14)
    assert targets["annotated"].tolist() == [[True] * 4, [False, True, True, True]]
    targets = {name: value[:1] for name, value in targets.items()}
    assert targets["spans"].shape == (1, 4, 1)
    assert targets["spans"].flatten().tolist() == [-1, 7 * 14 + 8, 1 * 14 + 3, 10 * 14 + 12]
    assert targets["heads"].tolist() == [[[1 * 14 + 7, 1 * 14 + 10, 7 * 14 + 10]]]
    assert targets["tails"].tolist() == [[[3 * 14 + 8, 3 * 14 + 12, 8 * 14 + 12]]]


def test_only_spans_of_one_type_are_linked_and_no_two_triggers():
    task, generator = EventTask(EventSettings(LABELS)), torch.Generator().manual_seed(2)
    spans, mask = random_factors(generator, 2, 4, 9, bias=-0.3)
    links = Factors(np.full((2, 9, 9), 30.0), *(np.zeros((2, 9, 1)) for _ in range(2)))  # of all pairs
    kinds = set()
    for graph in task.decode(Linked(spans, links, links), mask, 0.5):
        linked = {(i, j) for i, j, _ in graph.links}
        for (i, one), (j, other) in combinations(enumerate(graph.spans), 2):
            same_type, triggers = (one.label == 0) == (other.label == 0), one.label == other.label == 1
            assert ((i, j) in linked) == (same_type and not triggers)
            kinds.add((same_type, triggers))
    assert kinds == {(True, False), (False, False), (True, True)}


def test_gold_that_cuts_a_token_is_counted_and_unknown_roles_are_errors():
    task = EventTask(EventSettings(LABELS[1:]))
    text = "e\u0301x"
    cut = Example(text, (Event("质押", (Argument(0, 1, "质押方"), Argument(2, 3, "质权方"))),), LINE)
    assert task.misaligned(cut, Document.of(text, TOKENIZER, 64)) == 1
    task.validate(GOLD)
    strange = Example(TEXT, (PLEDGE, Event("收购", (Argument(0, 3, "买方"), Argument(9, 12, "质权方")))), LINE)
    with pytest.raises(DataError) as caught:
        task.validate(strange)
    assert str(caught.value) == "gold:7: the model has no 买方 in 收购, no 质权方 in 收购; its types are: 质押"


def test_examples_are_joined_and_scored():
    task = EventTask(EventSettings(LABELS))
    joined = task.join([GOLD, GOLD])
    assert [event.arguments[0].start for event in joined.events] == [0, 12]
    assert task.score([(GOLD, [PLEDGE]), (joined, [PLEDGE])])[task.metric] == pytest.approx(0.8)
    assert list(task.to_fields(TEXT, [PLEDGE])) == ["events"]


def test_options_of_loading(tmp_path):
    folder = save_linker(tmp_path / "m", EventTask(EventSettings(LABELS)))
    (tmp_path / "schema.json").write_text('{"type": "质押", "roles": ["质押方"]}', encoding="utf-8")
    predictor = load(folder, "cpu", "fp32", threshold=0.7, schema=str(tmp_path / "schema.json"), all_cliques=True)
    assert predictor.settings.threshold == 0.7
    assert set(predictor.task.include) == {("质押", TRIGGER), ("质押", "质押方")}
    assert predictor.task.all_cliques
    assert load(folder, "cpu", "fp32").task.include is None
    (tmp_path / "schema.json").write_text('{"type": "裁员"}', encoding="utf-8")
    with pytest.raises(DataError, match=r"schema\.json:1: .*no type 裁员"):
        load(folder, "cpu", "fp32", schema=str(tmp_path / "schema.json"))
    with pytest.raises(ModelError, match="no such model"):
        load("none", "cpu", "fp32")


def test_spans_and_whole_events_have_calibrations_of_their_own():
    of_spans, of_events = Calibration(2.0, -0.5), Calibration(0.5, -2.0)
    task = EventTask(EventSettings(LABELS, calibration=of_spans, event_calibration=of_events))
    (event,) = task.calibrated(
        [Event("质押", (Argument(0, 3, "质押方", "", 0.9), Argument(6, 8, TRIGGER, "", 0.8)), 0.7)]
    )
    assert [argument.score for argument in event.arguments] == [of_spans.score(0.9), of_spans.score(0.8)]
    assert event.score == of_events.score(0.7)
    found = task.outcomes([(GOLD, [event])])
    assert found == {"ece": [(a.score, True) for a in event.arguments], "event_ece": [(event.score, False)]}
    changes = task.calibration_of(0.3, {"ece": [(0.9, True)], "event_ece": [(0.9, False)]})
    assert set(changes) == set(task.calibrated_fields)
    assert changes["threshold"] == changes["calibration"].score(0.3)


def test_labels_learn_with_those_that_have_similar_names():
    """A step for a role of one type moves the same role of the other type, too, and no other one."""
    task = EventTask(EventSettings((("产子", "时间", ""), ("上市", "时间", ""), ("上市", "地点", ""))))
    backbone = build({"type": "roformer_v2", "vocab_size": 9, "hidden_size": 64, "num_layers": 1, "num_heads": 1})
    network = task.network(backbone)
    task.prepare_training(network)
    head = network.spans.bias
    before = head.sums().detach()
    head(torch.ones(1, head.in_features))[:, :2].sum().backward()
    torch.optim.SGD(network.parameters(), 0.1).step()
    moved = (head.sums() - before).abs().sum(1)
    assert (moved > 0).tolist() == [True, True, True, True, False, False]
    assert moved[0] > moved[2]
