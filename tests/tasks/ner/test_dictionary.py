"""A dictionary against a slow search, as lines and mapped; what is read, refused and reported."""

import gzip
import json
import string
import unicodedata
import zlib

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support import texts

from nlpkit.core.io.records import ErrorPolicy
from nlpkit.core.text.normalization import normalize
from nlpkit.errors import DataError
from nlpkit.tasks.ner.codec import flatten
from nlpkit.tasks.ner.dictionary import MAX_NAME, load_dictionary

LATIN = {*string.ascii_letters, *string.digits, "_"}
LATIN |= {chr(code) for code in (*range(0xC0, 0x250), *range(0x370, 0x530)) if chr(code) not in "×÷"}


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """Writes a dictionary; gives its path."""
    path = tmp_path_factory.mktemp("dictionary") / "names.tsv"

    def write(*entries):
        path.write_text("".join(f"{name}\t{label}\n" for name, label in entries), encoding="utf-8")
        return str(path)

    return write


def spans(dictionary, text):
    return [(e.start, e.end, e.label) for e in dictionary.find(text)]


def form(text):
    """The normal form without format characters, and the place of each of its characters."""
    kept = [(normalize(c), place) for place, c in enumerate(text) if unicodedata.category(c) != "Cf"]
    return [c for c, _ in kept], [place for _, place in kept]


def slow(entries, text):
    """Every span whose normal form is that of a name, unless a letter or digit goes on at one of its ends."""
    labels = {}
    for name, label in entries:
        labels.setdefault("".join(form(name)[0]).strip(), label)
    characters, places = form(text)
    found = []
    for start in range(len(characters)):
        for end in range(start + 1, len(characters) + 1):
            label = labels.get("".join(characters[start:end]))
            cut = any(
                0 < edge < len(characters) and {*characters[edge - 1 : edge + 1]} <= LATIN for edge in (start, end)
            )
            if label and not cut:
                found.append((places[start], places[end - 1] + 1, label))
    return sorted(found)


alphabet = st.sampled_from("中文騰讯腾訊Ａa１1 bé_龍龙\U00020bb7𠮷，（(\u200b\u3000")
names = st.text(alphabet, min_size=1, max_size=4).filter(lambda name: form(name.strip())[0] and name.strip())
names = names.filter(lambda name: "".join(form(name)[0]).strip())


@given(st.lists(st.tuples(names, st.sampled_from(["甲", "乙"])), min_size=1, max_size=6), st.data())
@example([("騰訊", "甲"), ("腾讯QQ", "乙")], None)
def test_every_place_of_every_name_is_found(written, entries, data):
    dictionary = load_dictionary(written(*entries))
    pieces = [name for name, _ in entries]
    text = "腾讯ＱＱ和騰\u200b訊qq1" if data is None else "".join(
        data.draw(st.lists(st.one_of(st.sampled_from(pieces), alphabet, texts), max_size=6))
    )  # fmt: skip
    found = dictionary.find(text)
    assert spans(dictionary, text) == slow(entries, text)
    assert all(0 <= e.start < e.end <= len(text) for e in found)
    assert all(e.score == 1.0 and e.source == "dict" for e in found)
    assert dictionary.matched <= len(dictionary)


def test_the_longest_name_first(written):
    dictionary = load_dictionary(written(("北京", "地"), ("北京大学", "校"), ("大学生", "人"), ("学生会", "组织")))
    found = dictionary.find("北京大学生会")
    assert [(e.start, e.end) for e in found] == [(0, 2), (0, 4), (2, 5), (3, 6)]
    assert [(e.start, e.end) for e in flatten(found)] == [(0, 4)]


@pytest.mark.parametrize(
    ("name", "text", "found"),
    [
        ("ios", "radios", []),
        ("iOS", "新的IOS系统", ["IOS"]),
        ("ios", "ios15和ios_x与ｉｏｓ", ["ｉｏｓ"]),
        ("QQ音乐", "xQQ音乐和QQ音乐盒", ["QQ音乐"]),
        ("C++", "会C++的人", ["C++"]),
        ("3M", "13M与3M，3Mb", ["3M"]),
        ("New York", "在Ｎｅｗ　York工作", ["Ｎｅｗ　York"]),
        ("紅樓夢", "读红楼梦和《紅樓夢》", ["红楼梦", "紅樓夢"]),
        ("红楼梦", "讀紅\u200b樓夢", ["紅\u200b樓夢"]),
        ("王\u200b芳", "王芳来了", ["王芳"]),
        ("A股(深圳)", "Ａ股（深圳）", ["Ａ股（深圳）"]),
        ("𠮷野家", "在𠮷野家😀吃", ["𠮷野家"]),
        ("Мир", "Мира, Мир", ["Мир"]),
        ("α", "α干扰素", ["α"]),
    ],
)
def test_names_are_compared_in_their_normal_form_and_words_as_wholes(written, name, text, found):
    dictionary = load_dictionary(written((name, "x")))
    assert [text[e.start : e.end] for e in dictionary.find(text)] == found


def test_a_built_dictionary_is_the_same(written, tmp_path):
    entries = [("騰訊", "公司"), ("iOS", "产品"), ("腾讯", "别的"), ("甲", "公司")]
    dictionary = load_dictionary(written(*entries))
    dictionary.save(tmp_path / "names.dict")
    built = load_dictionary(str(tmp_path / "names.dict"))
    text = "腾讯的ｉｏｓ版，甲"
    assert spans(built, text) == spans(dictionary, text) == [(0, 2, "公司"), (3, 6, "产品"), (8, 9, "公司")]
    assert (built.labels, built.counts.names, len(built)) == (dictionary.labels, 3, 3)
    assert dictionary.counts.first_shadowed.endswith("names.tsv:3: 腾讯")
    assert built.matched == 3
    dictionary.save(tmp_path / "names.dict")  # over one that is mapped
    assert spans(built, text) == spans(dictionary, text)
    assert [path.name for path in tmp_path.iterdir()] == ["names.dict"]


def test_every_changed_byte_of_a_built_dictionary_is_noticed(written, tmp_path):
    path = tmp_path / "names.dict"
    load_dictionary(written(("腾讯", "公司"), ("iOS", "产品"))).save(path)
    content = path.read_bytes()
    for position in range(16, len(content), 7):
        path.write_bytes(content[:position] + bytes([content[position] ^ 4]) + content[position + 1 :])
        with pytest.raises(DataError, match="build it again"):
            load_dictionary(str(path))
    for length in (17, 40, len(content) // 2, len(content) - 1):
        path.write_bytes(content[:length])
        with pytest.raises(DataError, match="build it again"):
            load_dictionary(str(path))


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2}, {"labels": 7}, {"labels": []}, {"longest": "x"}, {"longest": None},
    ],
)  # fmt: skip
def test_a_built_dictionary_with_another_description_is_refused(written, tmp_path, change):
    """The checksum is right: someone has made it so."""
    from nlpkit.tasks.ner.dictionary import _FOOTER

    path = tmp_path / "names.dict"
    load_dictionary(written(("腾讯", "公司"))).save(path)
    content = path.read_bytes()
    *sizes, _, kind = _FOOTER.unpack(content[-_FOOTER.size :])
    parts = content[: sum(sizes[:2])], content[sum(sizes[:2]) : sum(sizes)]
    description = json.dumps(json.loads(parts[1]) | change).encode()
    body = parts[0] + description
    path.write_bytes(body + _FOOTER.pack(*sizes[:2], len(description), zlib.crc32(body), kind))
    with pytest.raises(DataError, match="build it again"):
        load_dictionary(str(path))


@pytest.mark.parametrize(
    ("content", "line", "message"),
    [
        ("腾讯 公司\n", 1, "name<TAB>label is expected, this line has 1 column"),
        ("甲\tx\n腾讯\t公司\t3\n", 2, "3 column"),
        ("\t公司\n", 1, "the name is empty"),
        (" \u200b \t公司\n", 1, "the name is empty"),
        ("腾讯\t \n", 1, "the label is empty"),
        ("王芳\tname\n腾\0讯\t公司\n", 2, "the name has a NUL byte; remove it"),
        ("\n" + "长" * (MAX_NAME + 1) + "\tx\n", 2, f"the name has {MAX_NAME + 1} characters; {MAX_NAME} is the limit"),
        ("", None, "has no entry; name<TAB>label is expected"),
    ],
)
def test_what_is_no_entry_is_refused_by_line(tmp_path, content, line, message):
    path = tmp_path / "names.tsv"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=message) as caught:
        load_dictionary(str(path))
    assert (caught.value.source, caught.value.line) == (str(path), line)
    if line:
        path.write_text(content + "王芳\tname\n", encoding="utf-8")
        skipped = []
        dictionary = load_dictionary(str(path), on_error=ErrorPolicy("skip", skipped.append))
        assert spans(dictionary, "王芳") == [(0, 2, "name")]
        assert [error.line for error in skipped] == [line]


def test_repeated_and_shadowed_entries_are_counted_and_files_may_be_compressed(tmp_path):
    lines = ["腾讯\t公司", "騰訊\t公司", "ＱＱ\t产品", "qq\t公司", " 王芳 \t 人 ", "", "QQ\t产品"]
    (tmp_path / "names.tsv.gz").write_bytes(gzip.compress("\r\n".join(lines).encode("gb18030"), mtime=0))
    dictionary = load_dictionary(str(tmp_path / "names.tsv.gz"), "gb18030")
    counts = dictionary.counts
    assert (counts.names, counts.repeated, counts.shadowed) == (3, 2, 1)
    assert counts.first_shadowed.endswith("names.tsv.gz:4: qq")
    assert spans(dictionary, "王芳用QQ") == [(0, 2, "人"), (3, 5, "产品")]
