"""`nlpkit train classify` and `nlpkit evaluate classify`: a toy set is learnt, and bad input is named."""

import json
import random

import pytest
from classify_support import save_encoder, save_ngram, task, toy_files, toy_reviews
from static_support import save_static
from support import invoke, records, write_jsonl

SMALL = ("-m", "roformer_v2:1x64", "--batch-size", 16, "--lr", "2e-3", "-q")
METRICS = ["accuracy", "precision", "recall", "f1", "macro_f1", "labels", "confusions", "auc", "interval", "ece",
           "texts", "seconds", "texts_per_second", "floors"]  # fmt: skip
chance = random.Random(0)
IDS = [{"text": " ".join([*chance.choices(["11", "12", "13"], k=6), "78"[n % 2]]), "label": n % 2} for n in range(40)]
CLUE = [{"sentence1": r["text"], "sentence2": "好", "label": r["label"]} for r in toy_reviews(24)]


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(folder, dev file, metrics) of an encoder that was trained on the toy set."""
    folder = tmp_path_factory.mktemp("trained")
    train, dev = toy_files(folder)
    result = invoke("train", "classify", train, "--dev", dev, "-o", folder / "model", *SMALL, "--epochs", 6)
    assert (result.exit_code, result.stderr) == (0, "")
    return folder / "model", dev, records(result)[0]


@pytest.fixture
def files(tmp_path):
    return toy_files(tmp_path, 24, 12)


@pytest.fixture
def train(nlpkit):
    """Trains for an epoch into the folder `model`; gives (metrics, stderr)."""

    def run(*args):
        result = nlpkit("train", "classify", "--epochs", 1, "-q", "-o", "model", *args)
        assert result.exit_code == 0, result.output
        return records(result)[0], result.stderr

    return run


def evaluated(*args):
    result = invoke("evaluate", "classify", *args)
    assert (result.exit_code, result.stderr) == (0, "")
    (metrics,) = records(result)
    return metrics


def test_the_toy_set_is_learnt(trained):
    _, _, metrics = trained
    assert list(metrics) == METRICS
    assert (metrics["accuracy"], metrics["auc"], metrics["texts"], metrics["confusions"]) == (1.0, 1.0, 32, [])
    assert metrics["interval"] == {"low": pytest.approx(0.025 ** (1 / 32)), "high": 1.0}
    assert metrics["floors"]["majority"] == {"accuracy": 0.5, "f1": 0.5, "macro_f1": pytest.approx(1 / 3)}
    assert metrics["floors"]["ngram"]["accuracy"] > 0.6


@pytest.mark.parametrize("runtime", ["onnx", "torch"])
def test_evaluating_gives_the_dev_metrics_again(trained, runtime):
    folder, dev, metrics = trained
    found = evaluated(dev, "--model", folder, "--runtime", runtime)
    names = [name for name in METRICS if name not in ("texts", "seconds", "texts_per_second", "floors")]
    assert list(found) == [*names, "floors", "texts", "seconds", "texts_per_second", "parameters"]
    same = ("accuracy", "labels", "confusions", "interval", "floors")
    assert {name: found[name] for name in same} == {name: metrics[name] for name in same}
    assert found["ece"] == pytest.approx(metrics["ece"], abs=1e-4)


def test_what_was_learnt_is_found(trained, nlpkit):
    folder, _, _ = trained
    results = [
        records(nlpkit("classify", "--model", folder, "--runtime", runtime, text="手机真好\n那里的手机坏了\n"))
        for runtime in ("onnx", "torch")
    ]
    assert [record["label"] for record in results[0]] == ["positive", "negative"]
    for one, other in zip(*results, strict=True):
        assert one["score"] == pytest.approx(other["score"], abs=2e-4)
    assert nlpkit("models", folder, "--check").exit_code == 0


def test_a_finished_run_is_not_repeated(train, files):
    data = (files[0], "--dev", files[1], *SMALL)
    metrics, _ = train(*data)
    again, _ = train(*data, "--resume")
    assert again == metrics
    assert train(*data, "--resume", "--threshold", "auto")[0] == metrics  # which is the default


def test_ngrams_are_trained_whatever_the_environment_says(train, files, nlpkit):
    """The environment of these tests names a device and a precision, which n-grams do not have."""
    metrics, _ = train(files[0], "--dev", files[1], "--backbone", "ngram", "--store", "int8", "--epochs", 5)
    assert list(metrics) == METRICS
    assert list(metrics["floors"]) == ["majority"]
    found = evaluated(files[1], "--model", "model")
    assert (found["accuracy"], found["floors"]) == (metrics["accuracy"], metrics["floors"])
    assert found["parameters"] == 2 * 2**18 + 1
    assert nlpkit("models", "model", "--check").exit_code == 0


@pytest.mark.parametrize(
    ("name", "content", "options"),
    [
        ("x.tsv", "".join(f"{r['text']}\t{r['label']}\n" for r in toy_reviews(24)), ["-f", "tsv"]),
        ("x.tsv", "".join(f"{r['label']}\t{r['text']}\n" for r in toy_reviews(24)), ["-f", "label-tsv"]),
        ("x.txt", "".join(f"__label__{r['label']} {r['text']}\n" for r in toy_reviews(24)), ["-f", "fasttext"]),
        ("x.csv", "l,t\n" + "".join(f"{r['label']},{r['text']}\n" for r in toy_reviews(24)),
         ["-f", "csv", "--field", "t", "--label", "l"]),
        ("x.jsonl", "".join(json.dumps({"t": r["text"], "l": r["label"]}) + "\n" for r in toy_reviews(24)),
         ["--field", "t", "--label", "l"]),
    ],
)  # fmt: skip
def test_formats(train, tmp_path, name, content, options):
    (tmp_path / name).write_text(content, encoding="utf-8")
    reading = [name, "--dev", name, "-m", "ngram"]
    metrics, stderr = train(*reading, *options)
    assert (metrics["texts"], set(metrics["labels"])) == (24, {"negative", "positive"})
    check = "24 dev text(s) are also in the training set, so the dev metrics are too high"
    assert stderr == f"nlpkit: check: {check}; leave them out of one of the two\n"
    assert evaluated(name, "--model", "model", *options)["accuracy"] == metrics["accuracy"]


def test_pairs_of_every_format(train, tmp_path):
    write_jsonl(tmp_path / "clue.jsonl", CLUE)
    (tmp_path / "pairs.tsv").write_text("".join("\t".join(r.values()) + "\n" for r in CLUE), encoding="utf-8")
    formats = {
        "clue.jsonl": ("-f", "clue"),
        "pairs.tsv": ("-f", "pair-tsv"),
        "./clue.jsonl": ("--field", "sentence1", "--pair", "sentence2"),
    }
    for name, options in formats.items():
        metrics, _ = train(name, "--dev", name, *options, *SMALL)
        assert (metrics["texts"], list(metrics["floors"])) == (24, ["majority"])
    for name, options in formats.items():  # the model of the last one
        assert evaluated(name, "--model", "model", *options)["accuracy"] == metrics["accuracy"]


def test_several_labels(train, tmp_path):
    several = [{"text": f"{text}{n}", "labels": list(text)} for n in range(8) for text in ("好", "坏", "好坏", "")]
    write_jsonl(tmp_path / "x.jsonl", several)
    metrics, _ = train("x.jsonl", "--dev", "x.jsonl", *SMALL, "--epochs", 12, "--batch-size", 4)
    assert [name for name in METRICS if name != "auc"] == list(metrics)
    assert metrics["f1"] == 1.0
    config = json.loads((tmp_path / "model" / "nlpkit.json").read_text(encoding="utf-8"))["config"]
    assert (config["multiple"], config["may_be_empty"]) == (True, True)
    result = invoke("classify", "--model", "model", text="好坏3\n7\n")
    assert [sorted(item["label"] for item in r["labels"]) for r in records(result)] == [sorted("好坏"), []]


def test_ids_and_texts_without_labels(train, files, tmp_path):
    write_jsonl(tmp_path / "ids.jsonl", IDS)
    metrics, _ = train("ids.jsonl", "--dev", "ids.jsonl", "--ids", *SMALL, "--epochs", 8)
    assert metrics["accuracy"] == 1.0
    (tmp_path / "raw.txt").write_text("房间\n早餐\n\n", encoding="utf-8")
    write_jsonl(tmp_path / "raw.jsonl", [{"text": "电影"}])
    more = ("--unlabelled", "raw.txt", "--unlabelled", "raw.jsonl", "--r-drop", 1, "--dropout", 0.2, "--mlm", 0.15)
    train(files[0], "--dev", files[1], *SMALL, *more)
    manifest = json.loads((tmp_path / "model" / "nlpkit.json").read_text(encoding="utf-8"))
    assert (manifest["training"]["unlabelled"], manifest["config"]["r_drop"], manifest["config"]["mlm"]) == (
        4,
        1.0,
        0.15,
    )


def test_labels_of_the_user_are_evaluated(tmp_path):
    path = write_jsonl(
        tmp_path / "x.jsonl", [{"text": "足球比赛", "label": "体育"}, {"text": "银行股", "label": "财经"}]
    )
    found = evaluated(path, "--labels", "体育=足球,财经=银行", "--model", "embed-static")
    assert (found["accuracy"], found["floors"]) == (1.0, {})


def test_records_that_the_model_does_not_fit_are_skipped(nlpkit, trained, tmp_path):
    folder, _, _ = trained
    write_jsonl(
        tmp_path / "x.jsonl", [*toy_reviews(4), {"text": "好", "label": "neutral"}, {"text": "好", "labels": []}]
    )
    result = nlpkit("evaluate", "classify", "x.jsonl", "--model", folder, "--on-error", "skip")
    assert (result.exit_code, records(result)[0]["texts"]) == (3, 4)
    assert result.stderr.splitlines() == [
        "nlpkit: skipped: x.jsonl:5: the model has no label neutral; it has: negative, positive",
        "nlpkit: skipped: x.jsonl:6: a list of labels, but the model gives one; pass records with one label",
        "nlpkit: 2 bad record(s) skipped",
    ]


@pytest.fixture
def material(files, tmp_path):
    """Files and models in the current folder, by their names."""
    one = {"text": "房间", "label": "positive"}
    write_jsonl(tmp_path / "strange.jsonl", [one, one, {"text": "房间", "label": "neutral"}])
    write_jsonl(tmp_path / "one.jsonl", [one, one])
    write_jsonl(tmp_path / "empty-label.jsonl", [one, {"text": "房间", "label": " "}])
    write_jsonl(tmp_path / "no-label.jsonl", [one, {"text": "房间", "stars": 5}])
    write_jsonl(tmp_path / "lists.jsonl", [one, {"text": "房间", "labels": ["positive", "negative"]}])
    write_jsonl(tmp_path / "pairs.jsonl", [{**one, "b": "好"}, {**one, "b": "坏", "label": "negative"}])
    write_jsonl(tmp_path / "clue.jsonl", [{"sentence": "房间", "label": "-"}])
    for name, content in {
        "empty": "", "raw.txt": "房间\n", "x.csv": "text,stars\n房间,5\n", "short.csv": "text,label\n房间\n",
        "x.tsv": "房间\tpositive\n早餐\n", "none.txt": "房间\n早餐\n", "some.txt": "__label__positive 房间\n早餐\n",
    }.items():  # fmt: skip
        (tmp_path / name).write_text(content, encoding="utf-8")
    save_encoder(tmp_path / "pair-model", task(pairs=True))
    save_ngram(tmp_path / "gram-model", task())
    save_static(tmp_path / "static")


TRAINING = [
    # (exit code, options after `train classify train.jsonl --dev dev.jsonl -o model`, what must be said)
    (1, "--dev strange.jsonl", "strange.jsonl:3: the model has no label neutral; it has: negative, positive"),
    (1, "--dev strange.jsonl -m ngram", "strange.jsonl:3: the model has no label neutral; it has: negative, positive"),
    (1, "--dev empty-label.jsonl", "empty-label.jsonl:2: the label is empty; name one, or leave the record out"),
    (
        1,
        "--dev no-label.jsonl",
        "no-label.jsonl:2: no field 'label' and no field 'labels' here (there are: text, stars)",
    ),
    (1, "--dev lists.jsonl", "lists.jsonl:2: a list of labels, but the model gives one; pass records with one label"),
    (1, "--dev empty", "the dev set is empty"),
    (1, "--dev none.jsonl", "none.jsonl: no such file"),
    (1, "--label stars", "train.jsonl:1: no field 'stars' here (there are: text, label); name it with --label"),
    (1, "--pair b", "train.jsonl:1: the record has no second text, or it is not a string; name its field with --pair"),
    (2, "--dev pairs.jsonl -f nosuch", "unknown format 'nosuch'; there are: nlpkit, clue, tsv"),
    (2, "--r-drop 4", "--r-drop: compares two passes with different dropout masks; pass --dropout 0.3"),
    (
        2,
        "--unlabelled raw.txt",
        "--unlabelled: nothing learns from texts without labels; pass --r-drop 4 or --mlm 0.15",
    ),
    (1, "--unlabelled none.txt.gz --mlm 0.1", "none.txt.gz: no such file"),
    (1, "--unlabelled raw.txt --mlm 0.1 --field text", "raw.txt:1: not valid JSON"),
    (2, "-m ngram --dropout 0.1", "--dropout: nothing that --backbone ngram has; leave out, or name an encoder"),
    (2, "-m ngram --ids --mlm 0.15 --fgm 1", "--fgm, --mlm, --ids: nothing that --backbone ngram has; leave out, or"),
    (2, "-m ngram --unlabelled raw.txt --mlm 0.1", "--mlm, --unlabelled: nothing that --backbone ngram has"),
    (2, "-m ngram --resume --max-length 64", "--max-length, --resume: nothing that --backbone ngram has"),
    (2, "--join 2", "No such option: --join"),
    (2, "--mlm 0.9", "Invalid value for '--mlm'"),
    (2, "--r-drop -1", "Invalid value for '--r-drop'"),
    (2, "--fgm 0.5 --gradient-penalty 1", "--fgm and --gradient-penalty: two ways to the same end; pass only one of"),
    (
        2,
        "--freeze-layers 1 --gradient-penalty 1",
        "--freeze-layers: keeps the embeddings fixed, which --gradient-penalty",
    ),
    (2, "--gradient-penalty 1", "--gradient-penalty: a part of this network has no second derivative; pass --fgm 0.5"),
    (1, "--ids", "--ids: no id comes 5 times; give more text, or leave out --ids for ordinary text"),
    (1, "-m sentiment", "sentiment: unknown backbone type 'ngram'"),
]


@pytest.mark.parametrize(("code", "options", "message"), TRAINING, ids=[row[1] for row in TRAINING])
def test_training_that_cannot_be(fails, material, tmp_path, code, options, message):
    words = options.split()
    reading = ["train.jsonl", *([] if "--dev" in words else ["--dev", "dev.jsonl"])]
    model = [] if "-m" in words else ["-m", "roformer_v2:1x64"]
    line = fails(code, "train", "classify", *reading, *model, "-q", "-o", "model", *words)
    assert message in line
    assert not (tmp_path / "model" / "nlpkit.json").exists()


@pytest.mark.parametrize(
    ("files", "options", "code", "message"),
    [
        (
            "one.jsonl",
            "",
            1,
            "one.jsonl: all examples have the label 'positive'; a classifier needs two labels or more",
        ),
        ("empty", "", 1, "empty: no example has a label; a classifier needs two labels or more"),
        ("none.txt", "-f fasttext", 1, "none.txt: no example has a label; a classifier needs two labels or more"),
        ("x.csv", "-f csv", 1, "x.csv:1: no column 'label' (there are: text, stars); name it with --label"),
        ("x.csv", "-f csv --label l", 1, "x.csv:1: no column 'l' (there are: text, stars); name it with --label"),
        ("x.csv", "-f csv --field t", 1, "x.csv:1: no column 't' (there are: text, stars); name it with --field"),
        ("short.csv", "-f csv", 1, "short.csv:2: 1 columns, but the first line has 2"),
        ("empty", "-f csv", 1, "empty: the file is empty; a table has the names of its columns in the first line"),
        ("x.tsv", "-f tsv", 1, "x.tsv:2: no TAB here; a line is text<TAB>label"),
        ("x.tsv", "-f pair-tsv", 1, "x.tsv:1: 2 column(s); a line is first text<TAB>second text<TAB>label"),
        ("x.tsv", "-f tsv --label l", 2, "--label l: the format tsv has no named fields; leave it out"),
        ("x.tsv", "-f tsv --field t", 2, "--field t: the format tsv is not JSON and has no fields; leave it out"),
        ("pairs.jsonl", "--pair b", 2, "--backbone ngram: reads single texts"),
        ("x.tsv", "-f pair-tsv --pair b", 2, "--pair b: the format pair-tsv has no named fields; leave it out"),
    ],
)
def test_data_that_cannot_be(fails, material, tmp_path, files, options, code, message):
    words = [files, "--dev", files, *options.split(), "-m", "ngram", "-q", "-o", "model"]
    assert fails(code, "train", "classify", *words).startswith(message)
    assert not (tmp_path / "model").exists()


def test_what_is_dropped_is_counted_before_the_error(nlpkit, material, tmp_path):
    files = ("clue.jsonl", "--dev", "clue.jsonl", "-f", "clue")
    result = nlpkit("train", "classify", *files, "-m", "ngram", "-q", "-o", "model")
    first, *_, last = result.stderr.splitlines()
    assert result.exit_code == 1
    assert first.startswith("nlpkit: dropped: 1 record (its label is -, without a")
    assert last.startswith("nlpkit: error: clue.jsonl: no example has")
    assert not (tmp_path / "model").exists()


def test_single_texts_without_labels_do_not_train_a_model_of_pairs(fails, material, tmp_path):
    """The format has no fields that could name a second text."""
    (tmp_path / "pairs.tsv").write_text("房间\t好\t1\n房间\t坏\t0\n", encoding="utf-8")
    words = ("pairs.tsv", "--dev", "pairs.tsv", "-f", "pair-tsv", *SMALL, "--mlm", 0.1, "--unlabelled", "raw.txt")
    line = fails(2, "train", "classify", *words, "-o", "model")
    assert line == "the model reads pairs of texts; name the field of the second one with --pair"


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ("strange.jsonl", 1, "strange.jsonl:3: the model has no label neutral; it has: negative, positive"),
        (
            "strange.jsonl -m gram-model",
            1,
            "strange.jsonl:3: the model has no label neutral; it has: negative, positive",
        ),
        ("lists.jsonl", 1, "lists.jsonl:2: a list of labels, but the model gives one; pass records with one label"),
        (
            "some.txt -f fasttext",
            1,
            "some.txt:2: a list of labels, but the model gives one; pass records with one label",
        ),
        ("empty", 1, "empty: no gold texts in it"),
        ("pairs.jsonl --pair b", 2, "the model reads single texts, not pairs; leave out --pair"),
        ("pairs.jsonl --pair b -m gram-model", 2, "the model reads single texts, not pairs; leave out --pair"),
        (
            "pairs.jsonl -m pair-model",
            2,
            "the model reads pairs of texts; name the field of the second one with --pair",
        ),
        (
            "pairs.jsonl --pair c -m pair-model",
            1,
            "pairs.jsonl:1: the record has no second text, or it is not a string",
        ),
        (
            "train.jsonl --runtime onnx",
            2,
            "--runtime onnx: sentiment has no network, only n-gram weights; leave it out",
        ),
        ("train.jsonl --labels positive", 2, "--labels: one label only; name two or more, separated by commas"),
        ("train.jsonl --labels a,b -m static", 1, "train.jsonl:1: the model has no label positive; it has: a, b"),
        ("train.jsonl --labels ,", 2, "--labels: '' has no name or no description; write NAME or NAME=DESCRIPTION"),
    ],
)
def test_evaluations_that_cannot_be(fails, material, arguments, code, message):
    assert fails(code, "evaluate", "classify", *arguments.split()).startswith(message)
