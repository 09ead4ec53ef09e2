"""Units and their place in the text, for any text; ids as in the published tokenizers for plain Chinese."""

import subprocess
import sys
import unicodedata

import jieba
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support import NASTY, texts, vocabulary

from nlpkit.core.model.contents import load_tokenizer
from nlpkit.core.text.normalization import normalize
from nlpkit.core.text.tokenizer import SPECIALS, CharTokenizer, IdTokenizer, WordTokenizer, read_vocabulary
from nlpkit.errors import ModelError

PLAIN = (
    "叶老桂在浙商银行工作，王小明去了北京大学。",
    "2024年5月1日，他花了3,500.5元（约合$500）买了iPhone手机！",
    "这款GPU的性能是上一代的2.5倍；PyTorch-2.4也支持它？",
    "“走吧，”她说：《红楼梦》第12回——见www.abc.com/~x_y?a=1&b=2#c……",
    "email: Zhang.San@Example.COM [CLS] ## unaffable [MASK]",
    " 前面有空格  中间\t也有　全角的 ",
    "臺灣的繁體字與日本の仮名、한",
    "",
)
PIECES = ("gp", "##u", "py", "##to", "##rch", "un", "##aff", "##able", "20", "##24", "iphone", "www", "com", "##pl")
WORDS = ("北京", "大学", "北京大学", "银行", "工作", "手机", "性能", "支持", "红楼梦", "t恤", "gpu", "c++", "aa制")
CHAR = CharTokenizer(dict.fromkeys([*vocabulary("".join(PLAIN)), *PIECES]))
WORD = WordTokenizer(dict.fromkeys([*vocabulary("".join(PLAIN) + "恤与"), *PIECES, *WORDS]))
SILENT, EXTENDS = {"Cc", "Cf", "Zs", "Zl", "Zp"}, {"Mn", "Me"}


def spans(tokenizer, text):
    encoding = tokenizer.encode(text)
    assert len(encoding.ids) == len(encoding.starts) == len(encoding.ends) == len(encoding)
    return list(zip(encoding.starts, encoding.ends, strict=True))


def covered_by(text):
    """The characters that must be in a token: all but the ignored ones, and marks without a character before them."""
    wanted, stands = set(), False
    for index, character in enumerate(text):
        category = unicodedata.category(character)
        stands = category not in SILENT and (stands or category not in EXTENDS)
        if stands:
            wanted.add(index)
    return wanted


def all_nasty(test):
    for text in NASTY:
        test = example(text=text)(test)
    return test


@pytest.mark.parametrize("tokenizer", [CHAR, WORD], ids=["char", "word"])
@given(text=texts)
@all_nasty
def test_units_cover_every_character_that_can_be_seen_once(tokenizer, text):
    found = spans(tokenizer, text)
    positions = [position for start, end in found for position in range(start, end)]
    assert positions == sorted(covered_by(text))
    assert all(start < end for start, end in found)
    assert all(0 <= token < tokenizer.vocab_size for token in tokenizer.encode(text).ids)


@given(text=texts)
@all_nasty
def test_a_character_beyond_ascii_is_one_unit_with_its_marks(text):
    starts = {start for start, _ in spans(CHAR, text)}
    for start, end in spans(CHAR, text):
        if not text[start].isascii():
            assert all(unicodedata.category(character) in EXTENDS for character in text[start + 1 : end])
    for index, character in enumerate(text):
        if not character.isascii() and unicodedata.category(character) not in SILENT | EXTENDS:
            assert index in starts


@given(text=texts)
def test_words_of_jieba_are_units_or_are_cut_as_by_the_char_tokenizer(text):
    """An independent account: jieba's words over lower-case text; single marks are left out as they need neighbours."""
    text = "".join(c for c in text if unicodedata.category(c) not in EXTENDS)
    lower = "".join(c.lower() if c.isascii() else c for c in text)
    chars = CharTokenizer(WORD.tokens)
    expected, start = [], 0
    for word in jieba.lcut(lower, HMM=False):
        assert text[start : start + len(word)].lower() == word.lower()
        if len(word) > 1 and word in WORD.ids:
            expected.append((WORD.ids[word], start, start + len(word)))
        else:
            part = chars.encode(word)
            expected += [(i, start + a, start + b) for i, a, b in zip(part.ids, part.starts, part.ends, strict=True)]
        start += len(word)
    found = WORD.encode(text)
    assert list(zip(found.ids, found.starts, found.ends, strict=True)) == expected


PLAIN_ONLY = CharTokenizer(dict.fromkeys([*CHAR.tokens, *"台湾的银行与红楼梦学"]))
NORMAL = CharTokenizer(PLAIN_ONLY.tokens, normalize=True)
NORMAL_WORDS = WordTokenizer(WORD.tokens, normalize=True)


@pytest.mark.parametrize("tokenizer", [NORMAL, NORMAL_WORDS], ids=["char", "word"])
@given(text=texts)
@all_nasty
def test_normalizing_leaves_the_spans_in_the_text(tokenizer, text):
    found = spans(tokenizer, text)
    assert [position for start, end in found for position in range(start, end)] == sorted(covered_by(text))


@given(text=texts)
def test_text_in_the_usual_forms_has_the_ids_that_it_had(text):
    usual = "".join(c for c in text if normalize(c) == c.lower() or c in "！（），：；？～")
    assert NORMAL.encode(usual) == PLAIN_ONLY.encode(usual)


@pytest.mark.parametrize(
    ("text", "usual"),
    [
        ("Ｐｙｔｈｏｎ　３", "Python　3"),
        ("ＰＹＴＯＲＣＨ－２．４", "PyTorch-2.4"),
        ("臺灣的銀行與紅樓夢", "台湾的银行与红楼梦"),
        ("这款ＧＰＵ，性能是上一代的２．５倍！", "这款GPU，性能是上一代的2.5倍！"),
    ],
)
def test_full_width_and_traditional_text_has_the_ids_of_the_usual(text, usual):
    assert NORMAL.encode(text) == NORMAL.encode(usual)
    assert PLAIN_ONLY.encode(text) != PLAIN_ONLY.encode(usual)


def test_words_are_found_in_traditional_text():
    assert tokens(NORMAL_WORDS, "他在北京大學工作，支持ＧＰＵ") == ["他", "在", "北京大学", "工作", "，", "支持", "gpu"]


def test_a_traditional_character_keeps_its_own_token_where_the_simplified_one_has_none():
    tokenizer = CharTokenizer([*SPECIALS, "[RARE0]", "[RARE1]", "樓", "門", "门"], normalize=True)
    assert tokens(tokenizer, "樓門") == ["樓", "门"]
    assert tokens(tokenizer, "爱") == tokens(tokenizer, "愛")


def test_the_setting_is_part_of_the_fingerprint_and_kept(tmp_path):
    assert NORMAL.fingerprint != PLAIN_ONLY.fingerprint
    NORMAL.save(tmp_path)
    again = load_tokenizer(tmp_path, NORMAL.settings, NORMAL.vocab_size)
    assert (again.normalize, again.fingerprint) == (True, NORMAL.fingerprint)
    assert CHAR.settings == {"kind": "char", "lowercase": True}  # as manifests had it before there was the setting
    assert load_tokenizer(tmp_path, CHAR.settings, NORMAL.vocab_size).fingerprint == PLAIN_ONLY.fingerprint


def tokens(tokenizer, text):
    return [tokenizer.tokens[token] for token in tokenizer.encode(text).ids]


def test_words():
    assert tokens(WORD, "他在北京大学工作") == ["他", "在", "北京大学", "工作"]
    assert tokens(WORD, "T恤，C++与GPU") == ["t", "恤", "，", "c++", "与", "gpu"]  # lower-cased before it is cut
    assert tokens(WORD, "[CLS]北京") == ["[", "c", "##l", "##s", "]", "北京"]


def test_words_are_cut_in_silence():
    """Neither jieba's account of how it loads nor warnings about its imports; in a process that has not loaded it."""
    code = (
        "from nlpkit.core.text.tokenizer import SPECIALS, WordTokenizer\n"
        "print(WordTokenizer([*SPECIALS, '北京大学']).encode('北京大学').ids)"
    )
    result = subprocess.run(
        [sys.executable, "-W", "always::UserWarning", "-c", code], capture_output=True, text=True, check=True
    )
    assert (result.stdout, result.stderr) == ("[5]\n", "")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("GPUs", [("gp", 0, 2), ("##u", 2, 3), ("##s", 3, 4)]),
        ("cafe\u0301 x", [("c", 0, 1), ("##a", 1, 2), ("##f", 2, 3), ("##e", 3, 5), ("x", 6, 7)]),
        ("[CLS]", [("[", 0, 1), ("c", 1, 2), ("##l", 2, 3), ("##s", 3, 4), ("]", 4, 5)]),
        ("Ａ", [("a", 0, 1)]),
        ("é", [("e", 0, 1)]),
        ("中\u200b文", [("中", 0, 1), ("文", 2, 3)]),
        ("\u0301中", [("中", 1, 2)]),
        ("中\n\u0301", [("中", 0, 1)]),
    ],
)
def test_examples(text, expected):
    tokenizer = CharTokenizer(dict.fromkeys([*vocabulary("中文"), *PIECES]))
    encoding = tokenizer.encode(text)
    named = [tokenizer.tokens[token] for token in encoding.ids]
    assert list(zip(named, encoding.starts, encoding.ends, strict=True)) == expected


@pytest.mark.parametrize("lowercase", [True, False])
def test_ids_of_plain_chinese_are_those_of_bert(tmp_path, lowercase):
    """한 is given by its parts in BERT's tokenizer, so the vocabulary does without it."""
    transformers = pytest.importorskip("transformers")
    names = list(dict.fromkeys([*SPECIALS, *CHAR.tokens, *"ABCDEFGHIJKLMNOPQRSTUVWXYZ"]))
    if not lowercase:
        names += ["##" + letter for letter in "ABCDEFGHIJKLMNOPQRSTUVWXYZ"]
    ours = CharTokenizer(names, lowercase=lowercase)
    ours.save(tmp_path)
    theirs = transformers.BertTokenizer(str(tmp_path / "vocab.txt"), do_lower_case=lowercase)
    for text in PLAIN:
        text = text.replace("한", "").replace("[MASK]", "").replace("[CLS]", "")  # theirs takes them for its own
        assert ours.encode(text).ids == theirs(text, add_special_tokens=False)["input_ids"], text


def test_rare_characters_share_tokens():
    rare = [CHAR.ids[f"[RARE{number}]"] for number in range(8)]
    assert CHAR.rare_ids == rare
    assert CHAR.encode("龘龙").ids == [rare[ord("龘") % 8], rare[ord("龙") % 8]]
    plain = CharTokenizer([*SPECIALS, "中"])
    assert plain.encode("龘中").ids == [plain.unk_id, plain.ids["中"]]


def test_a_word_without_pieces_is_cut_into_characters():
    plain = CharTokenizer([*SPECIALS, "a", "##b"])
    assert (tokens(plain, "abz"), spans(plain, "abz")) == (["a", "##b", "[UNK]"], [(0, 1), (1, 2), (2, 3)])
    assert len(CHAR.encode("a" * 101)) == 101


@given(st.lists(texts, max_size=5))
def test_a_text_is_cut_the_same_whatever_came_before(found):
    fresh = CharTokenizer(CHAR.tokens)
    assert [fresh.encode(text) for text in found] == [CHAR.encode(text) for text in found]


@pytest.mark.parametrize("kind", [CharTokenizer, WordTokenizer])
@pytest.mark.parametrize("lowercase", [True, False])
def test_saved_and_loaded(tmp_path, kind, lowercase):
    before = kind([*WORD.tokens, "\u2028", "\x85", "　"], lowercase=lowercase)
    before.save(tmp_path)
    after = load_tokenizer(tmp_path, {"kind": before.kind, "lowercase": lowercase}, before.vocab_size)
    assert (type(after), after.tokens, after.lowercase) == (kind, before.tokens, lowercase)
    assert after.encode("他在北京大学用GPU") == before.encode("他在北京大学用GPU")


def test_vocabularies_that_do_not_go(tmp_path):
    with pytest.raises(ModelError, match=r"has no \[CLS\] \[SEP\]; it is not a BERT-style"):
        CharTokenizer(["[PAD]", "[UNK]", "a"])
    with pytest.raises(ModelError, match=r"vocab.txt: no such file"):
        read_vocabulary(tmp_path / "vocab.txt")
    (tmp_path / "vocab.txt").write_bytes("中".encode("gbk"))
    with pytest.raises(ModelError, match="not UTF-8"):
        read_vocabulary(tmp_path / "vocab.txt")
    with pytest.raises(ModelError, match="unknown tokenizer kind 'bpe'"):
        load_tokenizer(tmp_path, {"kind": "bpe"}, 100)


IDS = IdTokenizer([*SPECIALS, "12", "7", "A"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12 7", [("12", 0, 2), ("7", 3, 4)]),
        (" 7\t12\u3000a A\n", [("7", 1, 2), ("12", 3, 5), ("[UNK]", 6, 7), ("A", 8, 9)]),
        ("127 １２", [("[UNK]", 0, 3), ("[UNK]", 4, 6)]),
        ("[UNK] 7", [("[UNK]", 0, 5), ("7", 6, 7)]),
        ("", []),
        (" \n", []),
    ],
)
def test_ids_are_words_between_white_space(text, expected):
    encoding = IDS.encode(text)
    named = [IDS.tokens[token] for token in encoding.ids]
    assert list(zip(named, encoding.starts, encoding.ends, strict=True)) == expected


@given(text=texts)
@all_nasty
def test_ids_cover_everything_but_white_space(text):
    found = spans(IDS, text)
    assert [text[start:end] for start, end in found] == text.split()


def test_a_tokenizer_of_ids_is_stored(tmp_path):
    assert IDS.settings == {"kind": "id", "lowercase": True}
    IDS.save(tmp_path)
    again = load_tokenizer(tmp_path, IDS.settings, IDS.vocab_size)
    assert (type(again), again.tokens, again.fingerprint) == (IdTokenizer, IDS.tokens, IDS.fingerprint)
    assert IDS.fingerprint != CharTokenizer(IDS.tokens).fingerprint
