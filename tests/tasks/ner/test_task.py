"""NER as a task: labels, a dictionary beside the model, and what a model refuses."""

import numpy as np
import pytest
from hypothesis import given, settings
from support import SENTENCE, texts

from nlpkit.core.io.records import Line
from nlpkit.core.model.calibration import Calibration
from nlpkit.core.spans.spans import SpanIndex
from nlpkit.core.text.document import Document
from nlpkit.core.text.tokenizer import SPECIALS, CharTokenizer
from nlpkit.core.text.windows import Window
from nlpkit.errors import DataError, ModelError, UsageError
from nlpkit.tasks.ner.data import Entity, Example
from nlpkit.tasks.ner.dictionary import load_dictionary
from nlpkit.tasks.ner.settings import NerSettings, parse_group
from nlpkit.tasks.ner.task import NerTask, load

TOKENIZER = CharTokenizer(SPECIALS)
LABELS = ("company", "name")
TEXT = "叶老桂在浙商银行"
GOLD = Example(TEXT, (Entity(0, 3, "name"), Entity(4, 8, "company")), Line("", "gold", 7))


@pytest.fixture
def dictionary(tmp_path):
    (tmp_path / "names.tsv").write_text("浙商\tbrand\n老桂\tname\n", encoding="utf-8")
    return load_dictionary(str(tmp_path / "names.tsv"))


def task(*, nested=False, **options):
    return NerTask(NerSettings(LABELS, nested=nested), **options)


def spans_of(entities):
    return [(e.start, e.end, e.label, e.source) for e in entities]


def test_the_labels_of_a_task_are_those_of_its_training_set():
    made = NerTask.from_examples([GOLD], ["a"], head_size=16)
    assert made.settings == NerSettings(LABELS, head_size=16)
    assert made.matrices_per_sequence == 2
    with pytest.raises(DataError, match=r"^a, b: no text has an entity"):
        NerTask.from_examples([Example(TEXT, (), GOLD.line)], ["a", "b"])


def coarse(*labels):
    return Example(TEXT, (Entity(4, 8, "ORG"),), Line("", "coarse", 3), frozenset(labels))


def test_a_group_is_a_label_of_the_data_and_not_of_the_model():
    group = parse_group("ORG=company, name")
    made = NerTask.from_examples([GOLD, coarse("ORG")], ["a"], groups=(group,))
    assert made.settings.labels == LABELS
    document = Document.of(TEXT, TOKENIZER, 32)
    targets = [made.target(example, document, document.windows[0]) for example in (GOLD, coarse("ORG"))]
    collated = made.collate(targets, 10)
    assert collated["annotated"].tolist() == [[True, True, False], [False, False, True]]
    assert collated["spans"].tolist() == [[[5 * 10 + 8], [1 * 10 + 3], [-1]], [[-1], [-1], [5 * 10 + 8]]]


@pytest.mark.parametrize("text", ["ORG", "=company", "ORG=", "ORG=,"])
def test_a_group_that_is_not_one_is_an_error(text):
    with pytest.raises(
        UsageError, match=rf"^--group {text}: write it as NAME=LABEL,LABEL, e\.g\. ORG=company,government$"
    ):
        parse_group(text)


def test_a_group_of_unknown_labels_or_a_text_without_any_known_label_is_an_error():
    with pytest.raises(UsageError, match=r"^--group ORG: the training data has no label x; it has: company, name$"):
        NerTask.from_examples([GOLD], ["a"], groups=(parse_group("ORG=name,x"),))
    with pytest.raises(DataError, match=r'^coarse:3: no text has an entity of its "labels": LOC, PER$'):
        NerTask.from_examples([GOLD, Example(TEXT, (), Line("", "coarse", 3), frozenset({"PER", "LOC"}))], ["a"])


def test_a_group_that_is_given_twice_is_an_error():
    groups = (parse_group("ORG=name"), parse_group("ORG=company"))
    with pytest.raises(UsageError, match=r"^--group ORG: given twice; list all of its labels in one$"):
        NerTask.from_examples([GOLD, coarse("ORG")], ["a"], groups=groups)


def test_an_entity_of_a_group_needs_the_annotated_labels():
    """Otherwise the text would say that none of its spans has a label of the model."""
    incomplete = Example(TEXT, (Entity(4, 8, "ORG"),), Line("", "coarse", 3))
    with pytest.raises(
        DataError, match=r"^coarse:3: an entity has the label ORG of --group; list the annotated labels"
    ):
        NerTask.from_examples([GOLD, incomplete], ["a"], groups=(parse_group("ORG=company"),))


def test_a_label_is_in_a_group_once():
    assert parse_group("ORG=company, name,company").labels == ("company", "name")


def test_labels_without_annotation_are_not_scored():
    answer = [Entity(0, 3, "name"), Entity(4, 8, "company")]
    gold = Example(TEXT, (Entity(0, 3, "name"),), GOLD.line, frozenset({"name"}))
    assert task().score([(gold, answer)])["f1"] == 1.0
    assert len(task().outcomes([(gold, answer)])["ece"]) == 1


def test_labels_that_nobody_has_are_errors(dictionary):
    with pytest.raises(UsageError, match="the model has no label brand, x; it has: company, name"):
        task(include=["x", "name", "brand"])
    with pytest.raises(UsageError, match="the model and the dictionary have no label x; they have: company, name, br"):
        task(include=["x", "brand"], dictionary=dictionary)


def test_changed_settings_keep_labels_and_dictionary(dictionary):
    made = task(include=["name", "brand"], dictionary=dictionary, dict_mode="override")
    changed = made.changed(threshold=0.9, nested=True)
    assert (changed.settings.threshold, changed.settings.nested) == (0.9, True)
    assert (changed.include, changed.dictionary, changed.dict_mode) == (("name", "brand"), dictionary, "override")


def logits_of(document, *spans):
    """+10 at (label, first, last) in positions of the sequence, −10 elsewhere."""
    size = len(document.encoding) + 2
    logits = np.full((1, len(LABELS), size, size), -10.0, np.float32)
    for label, first, last in spans:
        logits[0, label, first, last] = 10.0
    return logits, np.ones((1, size), np.bool_)


def found(made, *spans):
    document = Document.of(TEXT, TOKENIZER, 64)
    return made.assemble(document, made.decode(*logits_of(document, *spans), 0.5), 0.5)


NAME, COMPANY, INNER = (1, 1, 3), (0, 5, 8), (1, 5, 6)


def test_targets_are_found_again():
    made, document = task(), Document.of(TEXT, TOKENIZER, 64)
    target = made.target(GOLD, document, document.windows[0])
    assert target.spans == [SpanIndex(1, 1, 3), SpanIndex(0, 5, 8)]
    first = made.target(GOLD, document, Window(0, 5))
    assert first.spans == [SpanIndex(1, 1, 3)]
    assert made.collate([target, first._replace(spans=[])], 10)["spans"].tolist() == [
        [[5 * 10 + 8], [1 * 10 + 3]],
        [[-1], [-1]],
    ]
    assert found(made, NAME, COMPANY) == list(GOLD.entities)


def test_nested_entities_are_returned_on_request():
    flat, nested = found(task(), NAME, COMPANY, INNER), found(task(nested=True), NAME, COMPANY, INNER)
    assert spans_of(flat) == [(0, 3, "name", ""), (4, 8, "company", "")]
    assert spans_of(nested) == [(0, 3, "name", ""), (4, 6, "name", ""), (4, 8, "company", "")]


def test_labels_that_are_left_out_do_not_suppress_others():
    assert spans_of(found(task(include=["name"]), COMPANY, INNER)) == [(4, 6, "name", "")]


def test_names_of_the_dictionary_join_those_of_the_model(dictionary):
    assert spans_of(found(task(dictionary=dictionary), NAME)) == [(0, 3, "name", ""), (4, 6, "brand", "dict")]
    override = task(dictionary=dictionary, dict_mode="override")
    assert spans_of(found(override, NAME)) == [(1, 3, "name", "dict"), (4, 6, "brand", "dict")]
    only = task(dictionary=dictionary, include=["brand"])
    assert spans_of(found(only, NAME, COMPANY)) == [(4, 6, "brand", "dict")]


def test_gold_that_cuts_a_token_is_counted_and_unknown_labels_are_errors(dictionary):
    cut = Example("e\u0301x", (Entity(0, 1, "name"), Entity(2, 3, "name")), GOLD.line)
    assert task().misaligned(cut, Document.of(cut.text, TOKENIZER, 64)) == 1
    strange = Example(TEXT, (Entity(0, 1, "z"), Entity(0, 1, "brand"), Entity(0, 3, "name")), GOLD.line)
    with pytest.raises(DataError, match="gold:7: the model has no label brand, z; it has: company, name"):
        task().validate(strange)
    with pytest.raises(DataError, match="has no label z; it has: company, name, brand"):
        task(dictionary=dictionary).validate(strange)
    task().validate(GOLD)


def test_examples_are_joined_and_scored():
    made = task()
    joined = made.join([GOLD, GOLD])
    assert [e.start for e in joined.entities] == [0, 4, 8, 12]
    scores = made.score([(GOLD, [Entity(0, 3, "name"), Entity(4, 8, "name")]), (joined, list(joined.entities))])
    assert (scores["precision"], scores["recall"], scores["support"]) == (5 / 6, 5 / 6, 6)


def test_fields_are_those_of_the_command():
    (item,) = task().to_fields(TEXT, [Entity(0, 3, "name", 0.98765)])["entities"]
    assert item == {"start": 0, "end": 3, "label": "name", "text": "叶老桂", "score": 0.9877}


def test_options_of_loading(tiny, dictionary):
    predictor = load(tiny, "cpu", "fp32", threshold=0.7, nested=True, labels=["name"], dictionary=dictionary)
    assert (predictor.settings.threshold, predictor.settings.nested) == (0.7, True)
    assert (predictor.task.include, predictor.task.dictionary) == (("name",), dictionary)
    own = load(tiny, "cpu", "fp32").settings
    assert (own.threshold, own.nested) == (0.9, False)
    with pytest.raises(UsageError, match="the model has no label x"):
        load(tiny, "cpu", "fp32", labels=["x"])
    with pytest.raises(ModelError, match="no such model"):
        load("none", "cpu", "fp32")


@settings(max_examples=10)
@given(texts)
def test_answers_have_only_the_labels_that_were_asked_for(model, text):
    predictor = model.changed(nested=True, threshold=0.5)
    predictor.task.include = ("name",)
    answer = predictor.predict([text, SENTENCE])[0]
    assert {entity.label for entity in answer} <= {"name"}


def test_scores_are_calibrated_but_not_those_of_the_dictionary():
    calibration = Calibration(2.0, -0.5)
    entities = [Entity(0, 3, "name", 0.9), Entity(4, 8, "brand", 1.0, "dict")]
    calibrated = task().changed(calibration=calibration).calibrated(entities)
    assert [entity.score for entity in calibrated] == [calibration.score(0.9), 1.0]
    assert calibrated == entities  # scores are not compared
    assert task().calibrated(entities)[0].score == 0.9
    assert task().outcomes([(GOLD, entities)]) == {"ece": [(0.9, True)]}
