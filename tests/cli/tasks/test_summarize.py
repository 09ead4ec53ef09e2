"""`nlpkit summarize` and `nlpkit evaluate summarize` without a model; with one see `cli/train/test_summarize.py`."""

import json

import pytest
from support import NASTY, records, toy_records, write_jsonl

NEWS = "今天开会。会上讨论了南山银行的贷款。有人迟到。南山银行的贷款利率下降。散会了。"
SUMMARY = "会上讨论了南山银行的贷款。"


@pytest.fixture
def run(nlpkit):
    """Runs the command; gives the records."""

    def run(*args, text=None):
        result = nlpkit("summarize", *args, text=text)
        assert (result.exit_code, result.stderr) == (0, "")
        return records(result)

    return run


def test_a_line_of_text_gives_a_line_of_json(run):
    (found,) = run("--length", 13, text=NEWS + "\n")
    assert list(found) == ["text", "summary", "sentences"]
    assert list(found["sentences"][0]) == ["start", "end", "score"]
    assert (found["text"], found["summary"]) == (NEWS, SUMMARY)


def test_every_line_gives_a_record_in_order_within_the_length(run, tmp_path):
    lines = [*NASTY, *(record["text"] for record in toy_records(20)), "", NEWS * 3]
    (tmp_path / "in.txt").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    found = run("in.txt", "--length", 20)
    assert [record["text"] for record in found] == lines
    assert all(len(record["summary"]) <= 20 for record in found)
    assert sum(bool(record["summary"]) for record in found) > 20
    for record in found:
        parts = [record["text"][span["start"] : span["end"]] for span in record["sentences"]]
        assert "".join(parts).replace(" ", "") == record["summary"].replace(" ", "")
        assert all(0 <= span["score"] <= 1 for span in record["sentences"])


def test_the_default_length_and_the_number_of_sentences(run):
    text = NEWS * 9
    (found,) = run(text=text)
    assert 60 < len(found["summary"]) <= 120
    (found,) = run("--sentences", 1, text=text)
    assert found["summary"] == SUMMARY


def test_fields_of_the_input_come_first(run, tmp_path):
    write_jsonl(tmp_path / "in.jsonl", [{"id": 7, "fact": NEWS}, {"fact": "", "id": 8}])
    first, second = run("in.jsonl", "--field", "fact", "--length", 13)
    assert (list(first), first["id"], first["summary"]) == (["id", "fact", "summary", "sentences"], 7, SUMMARY)
    assert second == {"fact": "", "id": 8, "summary": "", "sentences": []}
    (nested, _) = run("in.jsonl", "--field", "fact", "--length", 13, "--nest", "nlp")
    assert nested == {"id": 7, "fact": NEWS, "nlp": {name: first[name] for name in ("summary", "sentences")}}


def test_a_page_marks_the_sentences(run, tmp_path):
    (found,) = run("--length", 30, "--html", "page.html", text=NEWS)
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.count("<mark") == len(found["sentences"]) == 2


def test_output_is_what_an_evaluation_reads(run, nlpkit, tmp_path):
    run("--length", 13, "-o", "out.jsonl", text=f"{NEWS}\n甲乙。丙丁。\n")
    result = nlpkit("evaluate", "summarize", "out.jsonl", "--length", 13)
    (scores,) = records(result)
    assert (result.exit_code, scores["rouge_l"], scores["rouge_2"], scores["texts"]) == (0, 1.0, 1.0, 2)


def test_an_evaluation_has_floors(nlpkit, tmp_path):
    write_jsonl(tmp_path / "dev.jsonl", [{"fact": NEWS, "short": SUMMARY}])
    (tmp_path / "dev.tsv").write_text(f"{NEWS}\t{SUMMARY}\n", encoding="utf-8")
    results = [
        nlpkit("evaluate", "summarize", *arguments, "--length", 13, "--sentences", 1)
        for arguments in (("dev.jsonl", "--field", "fact", "--summary", "short"), ("dev.tsv",))
    ]
    found, same = (records(result)[0] for result in results)
    names = ["rouge_l", "rouge_1", "rouge_2", "floors", "characters", "texts", "texts_per_second"]
    assert list(found) == names
    assert found["rouge_1"] == 1.0
    assert found["floors"]["first_unit"]["rouge_2"] == 0.0
    assert [found.pop("texts_per_second") is None, same.pop("texts_per_second") is None] != [None, None]
    assert found == same


@pytest.mark.parametrize(
    ("code", "arguments", "message"),
    [
        (2, ["summarize", "--length", "0"], "Invalid value for '--length'"),
        (2, ["summarize", "--sentences", "0"], "Invalid value for '--sentences'"),
        (2, ["summarize", "--threshold", "0.5"], "No such option: --threshold"),
        (1, ["summarize", "none.txt"], "none.txt: no such file"),
        (1, ["summarize", "in.jsonl"], "in.jsonl:1: the field 'summary' would be overwritten by the output"),
        (1, ["summarize", "in.jsonl", "--field", "fact"], "in.jsonl:1: no field 'fact' here"),
        (1, ["evaluate", "summarize", "empty"], "empty: no texts in it"),
        (1, ["evaluate", "summarize", "lines"], "lines:2: no TAB here; a line is text<TAB>summary"),
        (1, ["evaluate", "summarize", "in.jsonl", "--summary", "s"], "in.jsonl:1: no field 's' here"),
        (1, ["evaluate", "summarize", "in.jsonl", "--field", "s"], "in.jsonl:1: no field 's' here"),
        (1, ["evaluate", "summarize", "none"], "none: no such file"),
        (2, ["evaluate", "summarize"], "Missing argument"),
    ],
)
def test_bad_input(fails, tmp_path, code, arguments, message):
    write_jsonl(tmp_path / "in.jsonl", [{"text": NEWS, "summary": SUMMARY}])
    (tmp_path / "lines").write_text(f"{NEWS}\t{SUMMARY}\n{NEWS}\n", encoding="utf-8")
    (tmp_path / "empty").touch()
    line = fails(code, *arguments, text=NEWS)
    assert line.startswith(message)
    assert "--pair" not in line


def test_a_missing_summary_names_its_option_and_is_skipped(fails, nlpkit, tmp_path):
    write_jsonl(tmp_path / "in.jsonl", [{"text": NEWS}, {"text": NEWS, "summary": SUMMARY}])
    assert fails(1, "evaluate", "summarize", "in.jsonl").endswith("name the text field with --summary")
    result = nlpkit("evaluate", "summarize", "in.jsonl", "--length", 13, "--on-error", "skip")
    assert (result.exit_code, json.loads(result.stdout)["texts"]) == (3, 1)
    assert result.stderr.splitlines()[-1] == "nlpkit: 1 bad record(s) skipped"
