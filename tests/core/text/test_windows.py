"""Windows over long texts: nothing is lost, nothing too long, and every span has one best view."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nlpkit.core.text.tokenizer import SPECIALS, CharTokenizer
from nlpkit.core.text.windows import OVERLAP, Window, best_window, split

TOKENIZER = CharTokenizer(SPECIALS)
prose = st.text(st.sampled_from("中文字，。！？\n.ab 　…”"), max_size=300)
limits = st.integers(1, 80)


def windows_of(text, limit):
    return split(text, TOKENIZER.encode(text), limit)


@given(prose, limits)
def test_every_token_is_in_a_window_of_at_most_the_limit(text, limit):
    size = len(TOKENIZER.encode(text))
    windows = windows_of(text, limit)
    assert {token for window in windows for token in range(window.begin, window.end)} == set(range(size))
    assert all(len(window) <= limit for window in windows)
    assert len(windows) == 1 or size > limit
    assert all(a.begin < b.begin and a.end < b.end for a, b in pairwise(windows))


@given(prose, limits, st.data())
def test_a_span_within_the_overlap_has_a_window_and_one_best_view(text, limit, data):
    size = len(TOKENIZER.encode(text))
    windows = windows_of(text, limit)
    begin = data.draw(st.integers(0, max(0, size - 1)))
    length = data.draw(st.integers(1, max(1, min(OVERLAP, limit // 4))))
    end = min(size, begin + length)
    if begin == end:
        return
    holders = [index for index, w in enumerate(windows) if w.begin <= begin and end <= w.end]
    assert holders
    best = best_window(windows, begin, end)
    assert best in holders

    def margin(index):
        window, far = windows[index], size
        left = begin - window.begin if window.begin else far
        return min(left, window.end - end if window.end < size else far)

    assert best == max(holders, key=lambda index: (margin(index), -index))


def test_positions_in_a_window_are_those_of_its_tokens_after_cls():
    window = Window(5, 9)
    assert window.to_positions(5, 7) == (1, 2)
    assert window.to_tokens(1, 2) == (5, 7)
    assert window.contains(5, 9)
    assert not window.contains(4, 6)
    assert not window.contains(8, 10)


def test_no_window_contains_it():
    with pytest.raises(ValueError, match="no window contains the tokens 2:8"):
        best_window([Window(0, 6), Window(4, 10)], 2, 8)


@pytest.mark.parametrize(
    ("text", "limit", "expected"),
    [
        ("", 10, [""]),
        ("十个字的一句话在这里。", 11, ["十个字的一句话在这里。"]),
        ("前面的话说完了。后面的话", 10, ["前面的话说完了。", "了。后面的话"]),
        ("一二三四五六七八九十一二", 8, ["一二三四五六七八", "七八九十一二"]),
        ("他说：“走吧。”大家都走了", 12, ["他说：“走吧。”", "吧。”大家都走了"]),
        ("见a.com. 然后呢", 9, ["见a.com.", "m. 然后呢"]),
    ],
)
def test_windows_end_at_sentences(text, limit, expected):
    encoding = TOKENIZER.encode(text)
    found = [
        text[encoding.starts[w.begin] : encoding.ends[w.end - 1]] if len(w) else "" for w in windows_of(text, limit)
    ]
    assert found == expected
