"""Normal forms: one for all spellings of a name, and as long as the text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import texts

from nlpkit.core.text.normalization import half_width, normalize, simplify


@given(st.one_of(texts, st.text()))
def test_the_length_stays(text):
    assert len(normalize(text)) == len(half_width(text)) == len(text)


@given(st.characters())
def test_every_character_by_itself(character):
    assert normalize("中" + character + "a") == "中" + normalize(character) + "a"


@given(st.text(st.characters(max_codepoint=0x7E)))
def test_ascii_is_lower_case_in_any_width(text):
    wide = "".join(chr(ord(c) + 0xFEE0) if "!" <= c <= "~" else c for c in text)
    assert normalize(wide) == normalize(text) == text.lower()


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("《紅樓夢》", "《红楼梦》"),
        ("Ｐｙｔｈｏｎ\u3000３", "python 3"),
        ("臺灣積體電路製造", "台湾积体电路制造"),
        ("後宮與皇后", "后宫与皇后"),
        ("乾隆", "干隆"),  # not in context
        ("İstanbul ÉTÉ ﾃｽﾄ￥", "İstanbul été テスト¥"),
        ("a\u00a0b\t\u200b", "a b\t\u200b"),
        ("￣▽￣", "￣▽￣"),
        ("", ""),
    ],
)
def test_forms(text, normal):
    assert normalize(text) == normal


def test_only_what_is_usual_in_chinese_stays_wide_for_the_tokenizer():
    assert half_width("Ｃ＋＋（１．５％），～！") == "C++（1.5%），～！"


def test_the_table_is_that_of_opencc():
    opencc = pytest.importorskip("opencc", reason="the table is kept in the repository")
    convert = opencc.OpenCC("t2s").convert
    for code in range(0x4E00, 0xA000):
        expected = convert(chr(code))
        assert simplify(chr(code)) == (expected if len(expected) == 1 else chr(code))
