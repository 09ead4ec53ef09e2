"""The Python API: what `nlpkit.load` returns, and that importing nlpkit is cheap."""

import subprocess
import sys
from itertools import count, islice

import numpy as np
import pytest
from embed_support import save_embedder
from kgqa_support import make_graph, save_model
from support import SENTENCE, invoke, records

import nlpkit
from nlpkit.errors import ModelError, UsageError


def test_importing_nlpkit_loads_nothing_heavy():
    code = "import nlpkit, sys; print([m for m in ('torch', 'transformers', 'numpy', 'typer') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"
    assert nlpkit.__version__


def test_answers_are_those_of_the_command(tiny):
    texts = [SENTENCE, "", SENTENCE * 3]
    predictor = nlpkit.load("ner", tiny, device="cpu", dtype="fp32", threshold=0.6)
    written = records(invoke("ner", "-m", tiny, "--dtype", "fp32", "--threshold", 0.6, text="\n".join(texts) + "\n"))
    assert [fields["entities"] for fields in predictor.records(texts)] == [record["entities"] for record in written]
    answers = predictor.predict(texts)
    assert len(answers[0]) > 0
    assert [[e.label for e in answer] for answer in answers] == [[e["label"] for e in r["entities"]] for r in written]
    assert predictor.predict(text for text in texts) == answers
    assert predictor.predict([]) == []


def test_a_stream_reads_only_a_chunk_ahead(tiny):
    predictor = nlpkit.load("ner", tiny, device="cpu", dtype="fp32")
    read = []

    def endless():
        for number in count():
            read.append(number)
            yield SENTENCE

    answers = list(islice(predictor.stream(endless(), chunk=4), 6))
    assert len(answers) == 6
    assert len(read) == 8
    assert answers == predictor.predict([SENTENCE] * 6)


def test_vectors(tmp_path):
    embedder = nlpkit.load("embed", save_embedder(tmp_path / "m"), device="cpu", dtype="fp32")
    vectors = embedder.encode([SENTENCE, "小明"])
    assert (vectors.dtype, vectors.shape) == (np.float32, (2, embedder.dim))
    np.testing.assert_allclose(np.stack(list(embedder.stream(iter([SENTENCE, "小明"])))), vectors, atol=1e-6)


def test_questions(tmp_path):
    make_graph(tmp_path / "g.kg")
    predictor = nlpkit.load("kgqa", save_model(tmp_path / "m"), graph=str(tmp_path / "g.kg"))
    (reply,) = predictor.predict(["长江的长度是多少？"])
    assert (reply.answers[0].subject, reply.answers[0].predicate) == ("长江", "长度")
    (fields,) = predictor.records(["长江的长度是多少？"])
    assert list(fields) == ["status", "answers"]


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        ("nre", {}, r"no task 'nre'; there are: ner, relation, event, classify, embed, kgqa"),
        ("ner", {"graph": "g.kg"}, r"ner has no option graph; there are: runtime, threshold, nested, labels"),
        ("kgqa", {}, "kgqa needs the option graph"),
        ("kgqa", {"graph": "g.kg", "labels": ["a"]}, "kgqa has no option labels"),
        ("embed", {"labels": ["a"]}, "embed has no option labels"),
    ],
)
def test_wrong_arguments(task, options, message):
    with pytest.raises(UsageError, match=message):
        nlpkit.load(task, **options)


def test_wrong_models(tiny):
    with pytest.raises(ModelError, match="a model for `nlpkit ner`, not for `nlpkit event`"):
        nlpkit.load("event", tiny)
    with pytest.raises(ModelError, match="no such model"):
        nlpkit.load("ner", "no-such-model")


def test_a_single_string_is_refused(tiny, tmp_path):
    predictor = nlpkit.load("ner", tiny, device="cpu", dtype="fp32")
    embedder = nlpkit.load("embed", save_embedder(tmp_path / "m"), device="cpu", dtype="fp32")
    for call in (predictor.predict, predictor.stream, predictor.records, embedder.encode, embedder.stream):
        with pytest.raises(UsageError, match="pass a list of strings"):
            call(SENTENCE)
