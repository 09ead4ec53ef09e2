"""Extraction: scores by hand, no summary that is too long, and units that are central and not the same twice."""

import math
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support import NASTY, texts

from nlpkit.core.text.normalization import normalize
from nlpkit.tasks.summarize.summarizer import (
    POSITION,
    REDUNDANCY,
    Sentence,
    Summarizer,
    by_centrality,
    centrality,
    joined,
)
from nlpkit.tasks.summarize.units import is_delimiter, units

NEWS = "今天开会。会上讨论了南山银行的贷款。有人迟到。南山银行的贷款利率下降。散会了。"
punctuated = st.text(st.sampled_from("甲乙丙ab1 。，！？.,\n“”（"), max_size=60)


def chosen(text, length, max_units=None, scorer=None):
    (found,) = Summarizer(length, max_units, scorer).summarize([text])
    return found


def summary(text, length, max_units=None):
    return joined(text, chosen(text, length, max_units))


def bigrams(text):
    """The pairs of neighbouring characters without delimiters."""
    normal = normalize(text)
    return [a + b for a, b in pairwise(normal) if not (is_delimiter(a) or is_delimiter(b))]


def slow_scores(text, spans):
    every = bigrams(text)
    sums = []
    for start, end in spans:
        own = set(bigrams(text[start:end]))
        sums.append(sum(every.count(gram) - 1 for gram in own) / math.sqrt(max(8, end - start)))
    top = max(sums, default=0)
    if not top:  # nothing comes again: only the position counts
        return [POSITION / rank / (1 + POSITION) for rank in range(1, len(sums) + 1)]
    return [(value / top + POSITION / rank) / (1 + POSITION) if value else 0 for rank, value in enumerate(sums, 1)]


@given(st.one_of(punctuated, texts), st.integers(1, 40))
def test_scores_are_those_of_a_slow_account(text, length):
    spans = units(text, length)
    found = centrality(text, spans)
    assert found == pytest.approx(slow_scores(text, spans))
    assert all(0 <= score <= 1 for score in found)
    assert not spans or max(found) > 0
    assert by_centrality([text, text], [spans, []]) == [found, []]


def test_scores_by_hand():
    """甲乙 and 乙丙 come twice, so two units have 2/√8; nothing of the third comes again."""
    text = "甲乙丙。甲乙丙！丁戊。"
    assert centrality(text, units(text, 20)) == pytest.approx([1.0, (1 + 0.2) / 1.4, 0])
    assert centrality("", []) == []


@given(st.one_of(punctuated, texts), st.integers(1, 40), st.none() | st.integers(1, 3))
@example(text="ab. c. d.", length=5, max_units=None)
@example(text=" ".join(NASTY), length=20, max_units=None)
def test_a_summary_of_any_text(text, length, max_units):
    """Spans of the text in its order, together with the spaces between them within the length."""
    found = chosen(text, length, max_units)
    assert len(joined(text, found)) <= length
    assert max_units is None or len(found) <= max_units
    last = 0
    for sentence in found:
        assert last <= sentence.start < sentence.end <= len(text)
        assert 0 < sentence.score <= 1
        last = sentence.end
    assert bool(found) == bool(units(text, length))


@given(st.one_of(punctuated, texts), st.integers(1, 40))
def test_units_are_left_out_only_if_they_do_not_fit(text, length):
    spans = units(text, length)
    scores = centrality(text, spans)
    starts = {sentence.start for sentence in chosen(text, length)}
    whole = [span for span in spans if span[0] in starts]
    for span, score in zip(spans, scores, strict=True):
        if score and span[0] not in starts:
            together = [Sentence(*each, 0.0) for each in sorted([*whole, span])]
            assert len(joined(text, together)) > length


def test_central_units_come_first():
    assert summary(NEWS, 13) == "会上讨论了南山银行的贷款。"
    assert summary(NEWS, 30) == "会上讨论了南山银行的贷款。南山银行的贷款利率下降。"
    assert summary(NEWS, 200, 1) == "会上讨论了南山银行的贷款。"
    assert summary(NEWS, 200) == "会上讨论了南山银行的贷款。南山银行的贷款利率下降。"  # the others are not central


def test_where_nothing_comes_again_the_beginning_is_taken():
    assert summary("甲乙。丙丁。戊己。", 6) == "甲乙。丙丁。"


@pytest.mark.parametrize(("score", "expected"), [(0.41, "甲乙丙。丁戊己。"), (0.39, "甲乙丙。甲乙丙！")])
def test_a_unit_that_repeats_a_chosen_one_is_penalized(score, expected):
    """The second unit has all bigrams of the first, so half of the similarity, 1, is taken from its score."""
    text = "甲乙丙。甲乙丙！丁戊己。"
    assert REDUNDANCY == 0.5
    assert joined(text, chosen(text, 8, scorer=lambda texts, spans: [[1.0, 0.9, score]])) == expected


def test_the_similarity_is_the_cosine_of_the_bigrams():
    """甲乙丙 and 甲乙丁 have one bigram of two in common: a cosine of 1/2."""
    text = "甲乙丙。甲乙丁！戊己庚。"
    for score, expected in ((0.66, "甲乙丙。戊己庚。"), (0.64, "甲乙丙。甲乙丁！")):
        assert joined(text, chosen(text, 8, scorer=lambda texts, spans, s=score: [[1.0, 0.9, s]])) == expected


def test_a_text_without_a_unit_that_fits_is_cut():
    assert summary("这是一个没有逗号的很长的句子。", 5) == "这是一个没"
    (found,) = chosen("这是一个没有逗号的很长的句子。", 5)
    assert (found.start, found.end) == (0, 5)


def test_the_units_are_those_with_the_best_scores():
    text, scores = "甲乙。丙丁。戊己。庚辛。", [0.2, 0.9, 0.0, 0.5]
    calls = []

    def scorer(texts, spans):
        calls.append((texts, spans))
        return [scores]

    for length, expected in ((3, "丙丁。"), (6, "丙丁。庚辛。"), (9, "甲乙。丙丁。庚辛。"), (99, "甲乙。丙丁。庚辛。")):
        found = chosen(text, length, scorer=scorer)
        assert joined(text, found) == expected
        assert [sentence.score for sentence in found] == [scores[sentence.start // 3] for sentence in found]
    assert calls[0] == ([text], [units(text, 3)])
    scores[:] = [0.0] * 4
    assert joined(text, chosen(text, 6, scorer=scorer)) == "甲乙。丙丁。"  # of units with 0 the first ones


def test_texts_are_scored_together():
    texts = [NEWS, "", "甲乙。丙丁。"]
    found = Summarizer(13).summarize(texts)
    assert found == [chosen(text, 13) for text in texts]
    assert found[1] == []


def test_the_last_clause_has_no_comma():
    text = "南山银行贷款下降，南山银行存款上升，他没有来开会。"
    assert summary(text, 10) == "南山银行贷款下降"
    assert summary(text, 18) == "南山银行贷款下降，南山银行存款上升"


def test_units_that_are_not_chinese_are_joined_by_a_space():
    assert joined("ab.cd.甲", [Sentence(0, 3, 1), Sentence(3, 6, 1), Sentence(6, 7, 1)]) == "ab. cd.甲"
    assert joined("甲。ab", [Sentence(0, 2, 1), Sentence(2, 4, 1)]) == "甲。ab"
    assert joined("ab", []) == ""
    assert summary("It rains. It pours.", 19) == "It rains. It pours."
    assert summary("ab. c.", 5) == "ab."  # a space would be one character too many


def test_the_fields():
    summarizer = Summarizer(13)
    (prediction,) = summarizer.predictions([NEWS])
    fields = summarizer.to_fields(NEWS, prediction.answer)
    assert fields == {
        "summary": "会上讨论了南山银行的贷款。",
        "sentences": [{"start": 5, "end": 18, "score": round(prediction.answer[0].score, 4)}],
    }
    assert tuple(fields) == summarizer.output_fields
    assert summarizer.to_fields("", []) == {"summary": "", "sentences": []}
    assert prediction.windows == 1
    assert summarizer.predictions([]) == []
