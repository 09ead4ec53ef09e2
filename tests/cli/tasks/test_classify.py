"""`nlpkit classify` in this process: what goes in, what comes out, and what bad input gets."""

import pytest
from classify_support import LABELS, save_encoder, save_ngram, task, toy_reviews
from embed_support import save_embedder
from static_support import save_static
from support import NASTY, SENTENCE, records, write_jsonl

from nlpkit.tasks.classify.formats import read_examples

REVIEW = "这家的房间真好"
NAMED = ("--field", "question", "--pair", "candidate")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Tiny models with random weights, by name."""
    folder = tmp_path_factory.mktemp("classify")
    return {
        "encoder": save_encoder(folder / "encoder", task("abcdefg")),
        "ngram": save_ngram(folder / "ngram", task("abcdefg")),
        "two": save_encoder(folder / "two", task()),
        "several": save_encoder(folder / "several", task("abcdefg", multiple=True, threshold=0.5)),
        "pairs": save_encoder(folder / "pairs", task(("0", "1"), pairs=True)),
        "ids": save_encoder(folder / "ids", task(ids=True)),
        "static": save_static(folder / "static"),
        "embed": save_embedder(folder / "embed"),
    }


@pytest.fixture
def run(nlpkit, models):
    """Runs the command with a tiny model; gives the records."""

    def run(model, *args, text=None):
        result = nlpkit("classify", "--model", models[model], *args, text=text)
        assert (result.exit_code, result.stderr) == (0, "")
        return records(result)

    return run


def test_without_a_model_the_embedded_one_tells_the_sentiment(nlpkit):
    result = nlpkit("classify", text="房间很干净\n太差了，再也不来\n\n")
    assert (result.exit_code, result.stderr) == (0, "")
    first, second, blank = records(result)
    assert list(first) == ["text", "label", "score", "labels"]
    assert list(first["labels"][0]) == ["label", "score"]
    assert (first["label"], second["label"]) == ("positive", "negative")
    assert first["score"] == first["labels"][0]["score"] > 0.9
    assert sum(item["score"] for item in first["labels"]) == pytest.approx(1, abs=1e-3)
    assert blank == {"text": "", "label": None, "score": None, "labels": []}


@pytest.mark.parametrize("model", ["encoder", "ngram", "several", "ids"])
def test_every_line_gives_a_record_in_order(run, tmp_path, model):
    lines = [*NASTY, *(record["text"] for record in toy_reviews(30)), "", SENTENCE * 9]
    (tmp_path / "in.txt").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    found = run(model, "in.txt")
    assert [record["text"] for record in found] == lines
    for record in found:
        scores = [item["score"] for item in record["labels"]]
        assert scores == sorted(scores, reverse=True)
        if model == "several":
            assert "label" not in record
        elif scores:
            assert (record["label"], record["score"]) == tuple(record["labels"][0].values())
    assert ("windows" in found[-1]) is (model != "ngram")
    assert found[0]["labels"] == found[1]["labels"] == []
    assert "windows" not in found[3]


@pytest.mark.parametrize("model", ["encoder", "ngram"])
def test_top_and_threshold(run, model):
    everything = run(model, "--top", 7, text=REVIEW)[0]
    assert len(everything["labels"]) == 7
    assert sum(item["score"] for item in everything["labels"]) == pytest.approx(1, abs=1e-3)
    for top, arguments in ((5, ()), (1, ("--top", 1)), (6, ("--top", 6))):
        (found,) = run(model, *arguments, text=REVIEW)
        assert found == everything | {"labels": everything["labels"][:top]}
    (above,) = run(model, "--top", 7, "--threshold", everything["score"] - 1e-3, text=REVIEW)
    assert above == everything
    (below,) = run(model, "--top", 7, "--threshold", everything["score"] + 1e-3, text=REVIEW)
    assert below == everything | {"label": None}


def test_several_labels_are_those_above_the_threshold(run):
    (everything,) = run("several", "--threshold", 0.01, text=REVIEW)
    scores = [item["score"] for item in everything["labels"]]
    assert scores[0] > 0.5 > scores[-1] > 0.01
    (some,) = run("several", text=REVIEW)
    assert some == everything | {"labels": [item for item in everything["labels"] if item["score"] >= 0.5]}
    (two,) = run("several", "--threshold", 0.01, "--top", 2, text=REVIEW)
    assert two["labels"] == everything["labels"][:2]
    (best,) = run("several", "--threshold", 0.99, text=REVIEW)
    assert best["labels"] == everything["labels"][:1]  # all training texts had a label


def test_a_long_text_is_read_in_windows(run):
    (found,) = run("encoder", text=SENTENCE * 9)
    assert list(found) == ["text", "label", "score", "labels", "windows"]
    assert found["windows"] > 5
    assert "windows" not in run("ngram", text=SENTENCE * 9)[0]


def pairs(tmp_path, *items):
    return write_jsonl(tmp_path / "pairs.jsonl", [{"question": a, "candidate": b} for a, b in items])


def test_pairs(run, tmp_path):
    path = pairs(tmp_path, ("房间好", "早餐坏"), ("早餐坏", "房间好"), ("房间" * 30, "好"), ("", ""))
    first, swapped, long, empty = run("pairs", path, *NAMED)
    assert list(first) == ["question", "candidate", "label", "score", "labels"]
    assert first["score"] != swapped["score"]
    assert list(long) == ["question", "candidate", "label", "score", "labels", "truncated"]
    assert long["truncated"] is True
    assert empty["label"] in ("0", "1")
    assert "windows" not in long
    (cut,) = run("pairs", pairs(tmp_path, ("房间" * 14, "好")), *NAMED)  # 28 tokens of 29 are left for it
    assert (cut["score"], "truncated" in cut) == (long["score"], False)


def test_pairs_from_stdin_and_with_the_usual_field(run):
    lines = '{"text": "房间好", "b": "坏"}\n{"text": "电影", "b": ""}\n'
    found = run("pairs", "--pair", "b", text=lines)
    assert [list(record) for record in found] == [["text", "b", "label", "score", "labels"]] * 2


def test_fields_of_the_input_come_first_and_are_kept(run, tmp_path):
    path = write_jsonl(tmp_path / "in.jsonl", [{"id": 7, "review": REVIEW}, {"review": "", "id": 8}])
    first, second = run("two", path, "--field", "review")
    assert (list(first), first["id"]) == (["id", "review", "label", "score", "labels"], 7)
    assert second == {"review": "", "id": 8, "label": None, "score": None, "labels": []}
    (nested, _) = run("two", path, "--field", "review", "--nest", "nlp")
    assert nested == {"id": 7, "review": REVIEW, "nlp": {n: first[n] for n in ("label", "score", "labels")}}


@pytest.mark.parametrize("name", ["label", "score", "labels", "truncated", "windows"])
def test_a_field_of_the_input_is_not_overwritten(fails, run, models, tmp_path, name):
    path = write_jsonl(tmp_path / "in.jsonl", [{"text": REVIEW, name: 5}])
    line = fails(1, "classify", path, "--model", models["two"])
    assert line.startswith(f"{path}:1: the field {name!r} would be overwritten")
    assert run("two", path, "--nest", "nlp")[0][name] == 5


@pytest.mark.parametrize("model", ["two", "several"])
def test_output_is_training_data(run, tmp_path, model):
    run(model, "-o", "out.jsonl", text=f"{REVIEW}\n电影坏\n")
    found = records(tmp_path / "out.jsonl")
    examples = list(read_examples([str(tmp_path / "out.jsonl")]))
    expected = [(r["label"],) if model == "two" else tuple(item["label"] for item in r["labels"]) for r in found]
    assert [example.labels for example in examples] == expected
    assert [example.multiple for example in examples] == [model == "several"] * 2


def test_pairs_with_their_output_are_training_data(run, tmp_path):
    run("pairs", pairs(tmp_path, ("房间好", "早餐坏")), *NAMED, "-o", "out.jsonl")
    (example,) = read_examples([str(tmp_path / "out.jsonl")], field="question", pair="candidate")
    assert (example.input, example.labels[0] in "01") == (("房间好", "早餐坏"), True)


def test_a_page_has_a_table_of_the_labels(run, tmp_path):
    (found, _) = run("two", "--html", "page.html", text=REVIEW + "\n\n")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<table") == 1  # none of the blank text
    assert f"<caption>{found['label']}</caption>" in page
    for item in found["labels"]:
        assert f"<td>{item['label']}</td><td>{item['score']:.4f}</td>" in page
    run("several", "--html", "page.html", text=REVIEW)
    assert "<caption></caption>" in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_the_labels_of_the_user(nlpkit):
    arguments = ("--labels", "体育=足球比赛, 财经=股市银行,,天气", "--model", "embed-static")
    result = nlpkit("classify", *arguments, "--top", 2, text="昨晚的足球比赛很精彩\n银行股大涨\n\n")
    assert (result.exit_code, result.stderr) == (0, "")
    first, second, blank = records(result)
    assert (first["label"], second["label"], blank["label"]) == ("体育", "财经", None)
    assert [len(record["labels"]) for record in (first, second, blank)] == [2, 2, 0]
    assert list(first) == ["text", "label", "score", "labels"]


def test_the_labels_of_the_user_with_another_encoder(run):
    (found,) = run("embed", "--labels", "a,b,c", text=REVIEW)
    assert sorted(item["label"] for item in found["labels"]) == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("code", "model", "arguments", "message"),
    [
        (2, "two", ["--pair", "b"], "the model reads single texts, not pairs; leave out --pair"),
        (2, "ngram", ["--pair", "b"], "the model reads single texts, not pairs; leave out --pair"),
        (2, "pairs", [], "the model reads pairs of texts; name the field of the second one with --pair"),
        (2, "pairs", ["--field", "text"], "the model reads pairs of texts; name the field of the second one"),
        (
            1,
            "pairs",
            ["--pair", "c"],
            "<stdin>:1: no field 'c' here (there are: text, b); name the text field with --p",
        ),
        (1, "pairs", ["--pair", "b", "--field", "q"], "<stdin>:1: no field 'q' here (there are: text, b); name the te"),
        (1, "pairs", ["in.jsonl", "--pair", "b"], "in.jsonl:1: field 'b' is not a string"),
        (2, "encoder", ["--top", "8"], "--top 8: the model has 7 labels; pass a number up to 7"),
        (2, "ngram", ["--top", "8"], "--top 8: the model has 7 labels; pass a number up to 7"),
        (2, "several", ["--top", "0"], "Invalid value for '--top'"),
        (2, "two", ["--threshold", "2"], "Invalid value for '--threshold'"),
        (2, "ids", ["--runtime", "onnx"], "--runtime onnx: `nlpkit classify` computes in torch only; leave it out"),
        (2, "static", ["--labels", ""], "--labels: '' has no name or no description; write NAME or NAME=DESCRIPTION"),
        (2, "static", ["--labels", " , "], "--labels: '' has no name or no description"),
        (2, "static", ["--labels", "a=,b"], "--labels: 'a=' has no name or no description"),
        (2, "two", ["--labels", "a,b"], "--labels: "),
        (2, "ngram", ["--labels", "a,b"], "--labels: "),
        (2, "static", ["--labels", "a"], "--labels: one label only; name two or more, separated by commas"),
        (2, "static", ["--labels", "a,b,a"], "--labels: a is given twice; give each label once"),
        (2, "static", ["--labels", "a,b", "--top", "3"], "--top 3: the model has 2 labels; pass a number up to 2"),
        (2, "static", ["--labels", "a,b", "--pair", "b"], "the model reads single texts, not pairs; leave out --pair"),
    ],
)
def test_options_that_do_not_fit(fails, models, tmp_path, code, model, arguments, message):
    write_jsonl(tmp_path / "in.jsonl", [{"text": "x", "b": 5}])
    line = fails(code, "classify", "--model", models[model], *arguments, text='{"text": "x", "b": "y"}\n')
    assert line.startswith(message)


@pytest.mark.parametrize("runtime", ["onnx", "torch"])
def test_ngrams_have_no_runtime(fails, models, runtime):
    line = fails(2, "classify", "--runtime", runtime, text="x")
    assert line == f"--runtime {runtime}: sentiment has no network, only n-gram weights; leave it out"
    assert f"{models['ngram']} has no network" in fails(2, "classify", "-m", models["ngram"], "--runtime", runtime)


def test_models_of_other_tasks_are_refused(fails, tiny, models):
    assert "a model for `nlpkit ner`, not for `nlpkit classify`" in fails(1, "classify", "-m", tiny, text="x")
    assert "a model for `nlpkit classify`, not for `nlpkit ner`" in fails(1, "ner", "-m", models["two"], text="x")
    assert "a model for `nlpkit embed`, not" in fails(1, "classify", "-m", models["static"], text="x")
    assert LABELS == ("negative", "positive")
