"""What every predictor does with texts and gold examples, shown by one without a network."""

from collections import namedtuple

import pytest
from toy_task import LabelSettings, LabelTask

from nlpkit.core.io.stream import CHUNK_SIZE
from nlpkit.core.model.predictor import Prediction, Predictor
from nlpkit.errors import UsageError

Example = namedtuple("Example", ["text", "label"])


class Lengths(Predictor):
    """Labels a text by whether it is longer than 3 characters; `calls` has the texts of each call."""

    def predictions(self, texts):
        self.calls.append(len(texts))
        return [Prediction(("long" if len(text) > 3 else "short", 0.75)) for text in texts]

    def diagnostics(self, examples):
        return {"empty": sum(not example.text for example in examples)}


@pytest.fixture
def predictor():
    made = Lengths(LabelTask(LabelSettings(("long", "short"))), None, None, 16)
    made.calls = []
    return made


def test_answers_are_in_the_order_of_the_texts(predictor):
    texts = ["四个字的", "三个字", ""]
    assert [label for label, _ in predictor.predict(texts)] == ["long", "short", "short"]
    assert predictor.predict(iter(texts)) == predictor.predict(texts) == list(predictor.stream(texts))
    assert predictor.predict([]) == []


def test_a_stream_reads_chunk_by_chunk(predictor):
    read = []
    stream = predictor.stream((read.append(number) or "x" for number in range(7)), chunk=3)
    assert (read, predictor.calls) == ([], [])
    next(stream)
    assert (read, predictor.calls) == ([0, 1, 2], [3])
    assert len(list(stream)) == 6
    assert predictor.calls == [3, 3, 1]


def test_records_are_what_the_command_adds(predictor):
    assert predictor.records(text for text in ("四个字的", "")) == [
        {"label": "long", "score": 0.75},
        {"label": "short", "score": 0.75},
    ]


def test_a_single_string_is_an_error_at_once(predictor):
    for call in (predictor.predict, predictor.stream, predictor.records):
        with pytest.raises(UsageError, match="texts is one string; pass a list of strings"):
            call("三个字")


def test_an_evaluation_has_metrics_counts_and_speed(predictor):
    gold = [Example("四个字的", "long"), Example("三个字", "long"), Example("", "short"), Example("", "long")]
    result = predictor.evaluate(gold, lambda pairs: {"pairs": len(pairs), "first": pairs[0][1][0]})
    seconds, speed = result.pop("seconds"), result.pop("texts_per_second")
    assert result == {"accuracy": 0.5, "pairs": 4, "first": "long", "texts": 4, "empty": 2}
    assert 0 <= seconds < 10
    assert speed > 0.4


def test_an_evaluation_reads_a_chunk_at_a_time(predictor):
    predictor.evaluate([Example("x", "short")] * (CHUNK_SIZE + 1))
    assert predictor.calls == [CHUNK_SIZE, 1]


def test_changed_settings_share_the_network(predictor):
    predictor.runner = object()
    changed = predictor.changed(threshold=0.9)
    assert (changed.settings.threshold, predictor.settings.threshold) == (0.9, 0.5)
    assert changed.runner is predictor.runner
    assert type(changed) is Lengths


def test_nothing_is_calibrated_unless_the_predictor_says_so(predictor):
    assert predictor.calibrate([]) == {}


def test_a_predictor_is_an_annotator(predictor):
    """It says which fields it adds; a subclass may add others than its task."""

    class Upper(Lengths):
        output_fields = ("label",)

        def to_fields(self, text, answer):
            return {"label": answer[0].upper()}

    assert predictor.output_fields == ("label", "score")
    assert predictor.to_fields("三个字", ("short", 0.75)) == {"label": "short", "score": 0.75}
    made = Upper(predictor.task, None, None, 16)
    made.calls = []
    assert made.records(["三个字"]) == [{"label": "SHORT"}]
    assert made.output_fields == ("label",)
