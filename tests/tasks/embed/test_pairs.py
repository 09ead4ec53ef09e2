"""Reading scored pairs in every published shape, and the rank correlation of what comes out."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import write_jsonl

from nlpkit.core.io.records import ErrorPolicy
from nlpkit.errors import DataError
from nlpkit.tasks.embed.data import read_pairs, read_versions
from nlpkit.tasks.embed.metric import pair_scores, ranks, spearman
from nlpkit.tasks.embed.pairs import cosines, sentences, side_by_side


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


@given(st.lists(st.tuples(st.integers(0, 5), st.floats(-1, 1, width=16)), min_size=2))
def test_spearman_equals_scipy(values):
    stats = pytest.importorskip("scipy.stats")
    x, y = zip(*values, strict=True)
    assert np.array_equal(ranks(x), stats.rankdata(x))
    if len(set(x)) > 1 and len(set(y)) > 1:
        assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-9)
    else:
        assert spearman(x, y) == 0


def test_files_are_scored_each_on_its_own_scale(tmp_path):
    first = write(tmp_path / "a.tsv", "甲\t乙\t0\n丙\t丁\t1\n")
    second = write(tmp_path / "b.tsv", "甲\t乙\t5\n丙\t丁\t1\n戊\t己\t3\n")
    pairs = list(read_pairs([str(first), str(second)]))
    found = pair_scores(zip(pairs, [0.1, 0.2, 0.3, 0.5, 0.4], strict=True))
    assert found == {
        "files": {str(first): pytest.approx(100), str(second): pytest.approx(-100)},
        "mean": pytest.approx(0),
    }


def test_a_file_with_one_score_is_refused(tmp_path):
    pairs = list(read_pairs([str(write(tmp_path / "a.tsv", "甲\t乙\t1\n丙\t丁\t1\n"))]))
    with pytest.raises(DataError, match=r"a\.tsv: all 2 scores are 1; a rank correlation needs scores that differ"):
        pair_scores((pair, 0.5) for pair in pairs)


def test_every_sentence_is_encoded_once(tmp_path):
    path = write(tmp_path / "a.tsv", "甲\t乙\t1\n乙\t甲\t0\n甲\t甲\t1\n")
    pairs = list(read_pairs([str(path)]))
    calls = []

    def encode(texts):
        calls.append(list(texts))
        return np.array([[3.0, 0.0], [1.0, 1.0]], np.float32)

    assert cosines(encode, pairs) == pytest.approx([0.5**0.5, 0.5**0.5, 1])
    assert calls == [["甲", "乙"]] == [sentences(pairs)]


def test_two_files_side_by_side(tmp_path):
    first, second = write(tmp_path / "a.txt", "甲\n\n丙\n"), write(tmp_path / "b.txt", "子\n丑\n寅\n")
    found = [(pair.first, pair.second) for pair in side_by_side(str(first), str(second))]
    assert found == [("甲", "子"), ("", "丑"), ("丙", "寅")]
    longer = write(tmp_path / "c.txt", "子\n丑\n寅\n卯\n")
    for pair in ((first, longer), (longer, first)):
        with pytest.raises(DataError, match=r"c\.txt:4: goes on where .*a\.txt has ended"):
            list(side_by_side(*map(str, pair)))
