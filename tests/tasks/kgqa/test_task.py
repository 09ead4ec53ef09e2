"""The task of kgqa: loading over a graph with options, batches, fields, scores."""

from dataclasses import fields, replace

import pytest
from kgqa_support import QUESTIONS, TOKENIZER, make_network, save_model
from support import SENTENCE, vocabulary

from nlpkit.core.io.records import ErrorPolicy, Line
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.errors import DataError, ModelError, UsageError
from nlpkit.tasks.kgqa.data import Answer, Example, Reply
from nlpkit.tasks.kgqa.settings import KgqaSettings
from nlpkit.tasks.kgqa.task import KgqaTask, load

GOLD = Example("红楼梦的作者是谁？", "红楼梦", "古典小说", "作者", "曹雪芹", Line("", "gold", 1))
RIGHT = Answer("红楼梦", "古典小说", "作者", ("曹雪芹", "高鹗"), 0.98765)
WRONG = Answer("红楼梦", "电视剧", "导演", ("王扶林",), 0.5, path=(RIGHT,))


@pytest.fixture(scope="module")
def task(model):
    return KgqaTask.from_examples([GOLD], ["gold"], graph=model.graph, ranker=0.5)


def test_options_change_the_settings_of_the_model(kgqa_graph, tmp_path):
    folder = save_model(tmp_path / "model", threshold=0.7, beam=5)
    assert load(folder, "cpu", "fp32", graph=kgqa_graph).settings == KgqaSettings(threshold=0.7, beam=5)
    changes = {"threshold": 0.2, "search": "beam", "beam": 2, "look_ahead": False}
    changed = load(folder, "cpu", "fp32", graph=kgqa_graph, **changes)
    assert changed.settings == replace(KgqaSettings(), **changes)
    assert len(changed.predict(["长江的长度是多少？"])[0].answers) <= 2


def test_rules_are_read_over_the_graph(kgqa_model, kgqa_graph, tmp_path):
    rules = tmp_path / "rules.tsv"
    rules.write_text("大江\t长江\n那条河\t没有\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"rules\.tsv:2: "):
        load(kgqa_model, "cpu", "fp32", graph=kgqa_graph, rules=str(rules))
    errors = ErrorPolicy("skip")
    model = load(kgqa_model, "cpu", "fp32", graph=kgqa_graph, rules=str(rules), on_error=errors)
    (reply,) = model.predict(["大江的长度是多少？"])
    assert (errors.count, reply.answers[0].objects) == (1, ("6300公里",))


def test_what_cannot_be_loaded(kgqa_model, kgqa_graph, tiny, tmp_path):
    with pytest.raises(DataError, match=r"none\.kg: no such graph"):
        load(kgqa_model, "cpu", "fp32", graph=str(tmp_path / "none.kg"))
    with pytest.raises(ModelError, match="ner"):
        load(tiny, "cpu", "fp32", graph=kgqa_graph)
    with pytest.raises(ModelError, match="object_tokens"):
        load(save_model(tmp_path / "model", object_tokens=65), "cpu", "fp32", graph=kgqa_graph)
    with pytest.raises(ModelError, match="no such model"):
        load(str(tmp_path / "none"), "cpu", "fp32", graph=kgqa_graph)


def test_the_settings_are_those_of_training_and_the_rest_defaults(task, model):
    assert task.settings == KgqaSettings(ranker=0.5)
    assert task.graph is model.graph
    assert set(task.calibrated_fields) <= {field.name for field in fields(KgqaSettings)}


def test_the_weights_of_the_losses_reach_the_network(task):
    """Each changes the loss by itself."""
    dataset = KgqaTask(KgqaSettings(), task.graph).dataset([GOLD], TOKENIZER, max_length=64, batch_size=1, seed=0)
    inputs, targets = dataset(0)
    names = ("ranker", "generator", "tree", "absence", "borders")
    nothing = dict.fromkeys(names, 0.0)

    def loss(**weights):
        settings = KgqaSettings(**nothing | weights)
        return make_network(task=KgqaTask(settings, task.graph)).loss(inputs, targets).item()

    assert loss() == 0
    whole = {name: loss(**{name: 1.0}) for name in names}
    assert all(value > 0 for value in whole.values())
    for name, value in whole.items():
        assert loss(**{name: 0.5}) == pytest.approx(value / 2, rel=1e-4)


def test_batches_are_of_questions_that_the_graph_answers(task):
    lost = replace(GOLD, name="黄河")
    dataset = task.dataset([GOLD, lost], TOKENIZER, max_length=64, batch_size=4, seed=0)
    assert dataset.diagnostics == {"sequences": 1, "not_in_graph": 1}
    with pytest.raises(UsageError, match="--join: questions cannot be joined; leave it out"):
        task.dataset([GOLD], TOKENIZER, max_length=64, batch_size=4, seed=0, join=2)
    other = CharTokenizer(vocabulary(SENTENCE))
    with pytest.raises(ModelError, match="tokenizer"):
        task.dataset([GOLD], other, max_length=64, batch_size=4, seed=0)


def test_a_reply_as_fields(task):
    right = {"subject": "红楼梦", "meaning": "古典小说", "predicate": "作者", "objects": ["曹雪芹", "高鹗"]}
    found = task.to_fields(GOLD.text, Reply("ok", (RIGHT, WRONG), truncated=True))
    assert found["status"] == "ok"
    assert found["answers"][0] == right | {"score": 0.9877}
    assert found["answers"][1]["path"] == [right | {"score": 0.9877}]
    assert found["truncated"] is True
    assert set(found) <= set(task.output_fields)


@pytest.mark.parametrize("status", ["ok", "unsure", "not_in_graph"])
def test_the_best_answer_of_any_status_is_scored(task, status):
    pairs = [(GOLD, Reply(status, (RIGHT, WRONG))), (GOLD, Reply(status, (WRONG, RIGHT))), (GOLD, Reply(status))]
    assert task.score(pairs[:1])["em"] == 1
    assert task.score(pairs)["em"] == pytest.approx(1 / 3)
    assert task.score(pairs[1:])["em"] == 0


def test_all_questions_of_the_samples_are_answered(model):
    """The model scores by strings alone, and the graph has the answers."""
    for reply, (question, triple) in zip(model.predict([text for text, _ in QUESTIONS]), QUESTIONS, strict=True):
        assert " ||| ".join(reply.answers[0].triple) == triple, question


def test_outcomes_are_the_scores_of_the_best_answers(task):
    """A rule has no probability, and a question without an answer has no score."""
    replies = [
        Reply("ok", (RIGHT, WRONG)),
        Reply("unsure", (WRONG,)),
        Reply("not_in_graph"),
        Reply("ok", (replace(RIGHT, score=1.0),), rule="rules.tsv:1"),
    ]
    assert task.outcomes([(GOLD, reply) for reply in replies]) == {"ece": [(0.98765, True), (0.5, False)]}
