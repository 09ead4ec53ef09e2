"""Reading scored pairs in every published shape, and the training pairs of SimCSE."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import texts, write_jsonl

from nlpkit.core.io.records import ErrorPolicy
from nlpkit.errors import DataError
from nlpkit.tasks.embed.data import holds_pairs, read_pairs, read_versions


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


lines = texts.map(lambda text: text.replace("\t", " ")).filter(
    lambda text: not set(text) & set("\n\r") and "\0" not in text
)


@given(st.lists(st.tuples(lines, lines, st.floats(-5, 5)), max_size=5))
def test_tab_separated_round_trip(tmp_path_factory, pairs):
    path = tmp_path_factory.getbasetemp() / "pairs.tsv"
    rows = [f"{first}\t{second}\t{score}\n" for first, second, score in pairs]
    path.write_bytes("".join(["\n", *rows]).encode())  # a mark at the very beginning would be a byte order mark
    assert read(path) == pairs


@given(st.lists(st.tuples(texts, texts, st.floats(-5, 5)), max_size=5))
def test_json_round_trip(tmp_path_factory, pairs):
    path = tmp_path_factory.getbasetemp() / "pairs.jsonl"
    write_jsonl(path, [{"sentence1": first, "sentence2": second, "score": score} for first, second, score in pairs])
    assert read(path) == pairs


def test_lines_are_numbered_and_files_told_apart(tmp_path):
    first, second = write(tmp_path / "a.tsv", "\n甲\t乙\t1\n"), write(tmp_path / "b.tsv", "丙\t丁\t0\n")
    pairs = list(read_pairs([str(first), str(second)]))
    assert [(pair.line.source, pair.line.number) for pair in pairs] == [(str(first), 2), (str(second), 1)]
    assert pairs[0].text == "甲\n乙"


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.tsv", "", True),
        ("a.tsv.gz", None, True),  # by its name alone
        ("a.txt", "甲\t乙\t1\n", False),
        ("a.jsonl", '{"query": "甲", "title": "乙"}\n', True),
        ("a.jsonl", '{"text": "甲", "sentence1": "甲"}\n', False),
        ("a.jsonl", "", False),
    ],
)
def test_which_files_hold_pairs(tmp_path, name, content, expected):
    path = tmp_path / name if content is None else write(tmp_path / name, content)
    assert holds_pairs(str(path)) == expected


def test_a_field_makes_sentences_of_json(tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"sentence1": "甲", "sentence2": "乙", "score": 1}])
    assert read(path, read_versions) == [("甲", "乙", 1)]
    assert read(path, read_versions, field="sentence2") == [("乙", "乙", 1)]


def test_json_in_a_file_of_another_name(tmp_path):
    path = write(tmp_path / "a.txt", '{"sentence1": "甲", "sentence2": "乙", "score": 1}\n')
    with pytest.raises(DataError, match=r"a\.txt:1: JSON where .* is expected; give JSON Lines as a file whose name"):
        read(path)
