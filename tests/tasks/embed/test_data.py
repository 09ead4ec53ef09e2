"""Reading scored pairs in every published shape, and the training pairs of SimCSE."""

import json

import pytest
from support import write_jsonl

from nlpkit.core.io.records import ErrorPolicy
from nlpkit.errors import DataError
from nlpkit.tasks.embed.data import read_pairs, read_versions


def read(path, reader=read_pairs, **more):
    return [(pair.first, pair.second, pair.score) for pair in reader([str(path)], **more)]


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_tab_separated(tmp_path):
    path = write(
        tmp_path / "a.tsv", "甲\t乙\t1\n\n\t丙\t0.5\n丁\t戊\tentailment\n己\t庚\tNeutral \n辛\t壬\tcontradiction\n"
    )
    assert read(path) == [("甲", "乙", 1), ("", "丙", 0.5), ("丁", "戊", 2), ("己", "庚", 1), ("辛", "壬", 0)]


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        ({"sentence1": "甲", "sentence2": "乙", "score": 3}, [("甲", "乙", 3)]),
        ({"sentence1": "甲", "sentence2": "乙", "label": "neutral", "level": "easy"}, [("甲", "乙", 1)]),  # OCNLI
        ({"query": "甲", "title": "乙", "label": "2"}, [("甲", "乙", 2)]),  # QBQTC
        ({"query": "甲", "title": "乙", "neg_title": "丙"}, [("甲", "乙", 1), ("甲", "丙", 0)]),  # SimCLUE
    ],
)
def test_published_json(tmp_path, record, expected):
    assert read(write_jsonl(tmp_path / "a.jsonl", [record])) == expected
    path = write(tmp_path / "a.json", json.dumps(record) + "\n")
    assert read(path) == expected


@pytest.mark.parametrize(
    ("name", "line", "message"),
    [
        ("a.tsv", "甲\t乙", "2 column(s) where sentence1<TAB>sentence2<TAB>score"),
        ("a.tsv", "1\t甲\t2\t乙\t5.0", "5 column(s)"),
        ("a.tsv", "甲\t乙\t-", "the score '-' is neither a number nor one of"),
        ("a.tsv", "甲\t乙\tnan", "the score 'nan'"),
        ("a.jsonl", '{"sentence1": "甲", "sentence2": "乙"}', "it has sentence1, sentence2"),
        ("a.jsonl", '{"sentence1": "甲", "sentence2": 3, "score": 1}', "a sentence is not a string"),
        ("a.jsonl", '{"sentence1": "甲", "sentence2": "乙", "score": true}', "the score True"),
        ("a.jsonl", '{"sentence1": "甲", "sentence2": "乙", "score": null}', "not a record like"),
        ("a.jsonl", '{"sentence1": "甲", "sentence2": "乙", "score": [1]}', "the score [1]"),
    ],
)
def test_a_bad_record_is_named_or_skipped(tmp_path, name, line, message):
    good = '{"sentence1": "甲", "sentence2": "乙", "score": 1}' if name == "a.jsonl" else "甲\t乙\t1"
    path = write(tmp_path / name, f"{good}\n{line}\n{good}\n")
    with pytest.raises(DataError) as caught:
        read(path)
    assert str(caught.value).startswith(f"{path}:2: ")
    assert message in str(caught.value)
    errors = ErrorPolicy("skip")
    assert len(read(path, on_error=errors)) == 2
    assert errors.count == 1


def test_versions_are_a_sentence_twice_or_the_best_pairs_of_a_file(tmp_path):
    assert read(write(tmp_path / "a.txt", "甲\t乙\t1\n\n丙\n"), read_versions) == [
        ("甲\t乙\t1",) * 2 + (1,),
        ("丙", "丙", 1),
    ]
    assert read(write_jsonl(tmp_path / "t.jsonl", [{"text": "甲"}, {"text": " "}]), read_versions) == [("甲", "甲", 1)]
    scored = write(tmp_path / "a.tsv", "甲\t乙\t5\n丙\t丁\t4\n戊\t己\t5\n")
    assert read(scored, read_versions) == [("甲", "乙", 5), ("戊", "己", 5)]
    unscored = write_jsonl(tmp_path / "p.jsonl", [{"query": "甲", "title": "乙"}])
    assert read(unscored, read_versions) == [("甲", "乙", 1)]
    triplets = write_jsonl(tmp_path / "n.jsonl", [{"query": "甲", "title": "乙", "neg_title": "丙"}])
    assert read(triplets, read_versions) == [("甲", "乙", 1)]
