"""Tagged tokens: schemes, spaces between words, a sentence per line, bad lines, and what is written."""

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ner_support import TEXT, columns, summary
from support import texts

from nlpkit.core.formats.annotation import Annotation, Mark, Sink, Tally
from nlpkit.core.io.records import ErrorPolicy, Line
from nlpkit.errors import DataError
from nlpkit.tasks.ner.conll import writer
from nlpkit.tasks.ner.data import Entity
from nlpkit.tasks.ner.formats import read_examples


def test_conll_line_numbers_documents_and_single_characters(read):
    content = "\n-DOCSTART-\tO\n\n" + columns("S-x O", "甲乙") + " \t\n" + columns("B-x B-x", "丙丁")
    expected = [("甲乙", [Entity(0, 1, "x")], 4), ("丙丁", [Entity(0, 1, "x"), Entity(1, 2, "x")], 7)]
    assert summary(read(content, "conll")) == expected


@pytest.mark.parametrize("space", ["\tI-x", " I-x", "  I-x", " \tI-x"])
def test_conll_space_character(read, space):
    assert summary(read(f"甲\tB-x\n{space}\n乙\tI-x\n", "conll")) == [("甲 乙", [Entity(0, 3, "x")], 1)]


def test_conll_keeps_wide_space(read):
    assert read("甲 O\n\u3000 O\n", "conll")[0].text == "甲\u3000"


@pytest.mark.parametrize(
    ("tokens", "text"),
    [
        ("我 用 iPhone 12 Pro Max 拍", "我用iPhone 12 Pro Max拍"),
        ("John Smith lives in New York .", "John Smith lives in New York."),
        ("C++ Primer 第 5 版", "C++ Primer第5版"),
        ("a b 1 2", "ab12"),  # characters, as most Chinese data have them
        ("2019 - 05 年", "2019-05年"),
        ("Windows 7 、 Ｗin 10", "Windows 7、Ｗin 10"),
        ("Café 北京 naïve 。", "Café北京naïve。"),
    ],
)
def test_conll_spaces_between_words(read, tokens, text):
    [example] = read("".join(f"{token}\tB-x\n" for token in tokens.split(" ")), "conll")
    assert example.text == text
    assert [text[e.start : e.end] for e in example.entities] == tokens.split(" ")


def test_conll_an_entity_of_several_words(read):
    [example] = read("去 O\nNew B-LOC\nYork I-LOC\nCity E-LOC\n玩 O", "conll")
    assert (example.text, example.entities) == ("去New York City玩", (Entity(1, 14, "LOC"),))


@pytest.mark.parametrize("tags", ["B-x L-x O U-y", "B-x E-x O S-y", "B-x I-x O B-y"])
def test_conll_schemes(read, tags):
    assert read(columns(tags, "甲乙丙丁"), "bioes")[0].entities == (Entity(0, 2, "x"), Entity(3, 4, "y"))


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("I-x I-x O I-y", [(0, 2, "x"), (3, 4, "y")]),
        ("I-x B-x I-x I-y", [(0, 1, "x"), (1, 3, "x"), (3, 4, "y")]),
        ("B-x I-y O O", [(0, 1, "x"), (1, 2, "y")]),
    ],
)
def test_iob1(read, tags, spans):
    assert read(columns(tags, "甲乙丙丁"), "iob1")[0].entities == tuple(Entity(*place) for place in spans)


ROWS = {
    "spaces": "王 小 明 去 沪\tB-PER I-PER I-PER O B-LOC\n",
    "several spaces": "王  小 明 去 沪 \tB-PER I-PER  I-PER O B-LOC \n",
    "none in the text": "王小明去沪\tB-PER I-PER I-PER O B-LOC\n",
    "Paddle": "王\x02小\x02明\x02去\x02沪\tB-PER\x02I-PER\x02I-PER\x02O\x02B-LOC\n",
    "Paddle with its header": "text_a\tlabel\n王\x02小\x02明\x02去\x02沪\tB-PER\x02I-PER\x02I-PER\x02O\x02B-LOC\n",
}


@pytest.mark.parametrize("case", ROWS)
def test_a_sentence_with_its_tags_in_a_row(read, case):
    sentence = ("王小明去沪", [Entity(0, 3, "PER"), Entity(4, 5, "LOC")])
    begin = ROWS[case].count("\n")
    found = summary(read(ROWS[case] + "\n" + "沪\tB-LOC\n李 强\tB-PER I-PER\n", "conll"))
    last = [("沪", [Entity(0, 1, "LOC")], begin + 2), ("李强", [Entity(0, 2, "PER")], begin + 3)]
    assert found == [(*sentence, begin), *last]


def test_rows_of_words(read):
    [example] = read("去 New York 玩\tO B-LOC I-LOC O\n", "conll")
    assert (example.text, example.entities) == ("去New York玩", (Entity(1, 9, "LOC"),))


def test_weibo_positions_of_two_digits(read):
    assert read("110\tO\n\ufffd\ufffd0\tO\n年1\tO", "weibo")[0].text == "1\ufffd\ufffd年"


@pytest.mark.parametrize("bad", [0, 1, 2])
def test_skip_leaves_out_a_sentence_that_lost_a_line(read, bad):
    lines = [b"a O\n", b"b O\n", b"c O"]
    lines[bad] = b"\xff O\n"
    on_error = ErrorPolicy("skip")
    examples = read(b"x O\n\n" + b"".join(lines), "conll", on_error)
    assert ([e.text for e in examples], on_error.count) == (["x"], 1)


BAD = [
    ("conll", "甲\tO\n乙\n", 2, "a character and its tag are expected, this is only '乙'"),
    ("conll", "甲\tO\n乙\tX\n", 2, "'X' is not a tag of BIO, BIOES, BMES or BILOU"),
    ("conll", "甲\tB-PER\n乙\tI-LOC\n", 2, "I-LOC does not continue an entity (the tag before is B-PER)"),
    ("conll", "甲\tB-PER\n\n乙\tI-PER\n", 3, "I-PER does not continue an entity (the tag before is none)"),
    ("conll", "甲\tO\n乙\tE-PER\n", 2, "E-PER does not continue an entity (the tag before is O)"),
    ("conll", "甲\tB-P\n乙\tE-P\n丙\tI-P\n", 3, "I-P does not continue an entity (the tag before is E-P)"),
    ("conll", "口0\tO\n腔1\tO\n溃2\tO\n", 1, "each character has a position behind it; this is the format weibo"),
    ("conll", "甲 乙 丙\tB-x O\n", 1, "3 tokens, but 2 tags; both are separated by spaces, or both by \\x02"),
    ("conll", "甲\x02乙\tO\x02O\n甲\x02乙\tO\x02O\x02O\n", 2, "2 tokens, but 3 tags"),
    ("conll", "甲乙\tB-x,I-x\n", 1, "'B-x,I-x' looks like several tags; separate them"),
    ("conll", "甲 乙\tI-x O\n", 1, "I-x does not continue an entity (the tag before is none)"),
    ("conll", "甲\tI-x\n", 1, "I-x does not continue an entity (the tag before is none); an entity starts with B- (or"),
    ("iob1", "甲\tS-x\n", 1, "'S-x' is not a tag of IOB1, such as O, I-PER or B-PER"),
    ("weibo", "口0\tO\n腔\tO\n", 2, "'腔' is not a character and its position"),
]  # fmt: skip


@pytest.mark.parametrize(("format", "content", "number", "message"), BAD)
def test_a_bad_line_is_named(read, tmp_path, format, content, number, message):
    with pytest.raises(DataError) as caught:
        read(content, format)
    assert str(caught.value).startswith(f"{tmp_path / 'gold'}:{number}: {message}")


# --- writing ----------------------------------------------------------------------------------------------------------


def written(scheme, text, *spans):
    """The sentence in a scheme, and the messages."""
    tally = Tally()
    annotation = Annotation(text, Line("", "gold", 7), tuple(Mark(*span) for span in spans))
    return writer(scheme)(annotation, Sink(tally=tally)).decode(), tally.messages()


@pytest.mark.parametrize(
    ("scheme", "tags"),
    [
        ("bio", "B-n I-n I-n O B-c I-c I-c B-n"),
        ("bioes", "B-n I-n E-n O B-c I-c E-c S-n"),
    ],
)
def test_each_character_has_its_tag(scheme, tags):
    content, messages = written(scheme, TEXT, (0, 3, "n"), (4, 7, "c"), (7, 8, "n"))
    assert (content, messages) == (columns(tags) + "\n", [])


def test_of_overlapping_entities_the_longest_and_then_the_first_is_kept():
    content, messages = written("bio", "甲乙丙丁", (0, 2, "a"), (0, 3, "b"), (2, 4, "c"), (3, 4, "d"), (3, 4, "e"))
    assert content == columns("B-b I-b I-b B-d", "甲乙丙丁") + "\n"
    assert messages == [
        "dropped: 3 entities (tags cannot hold them beside a longer one that overlaps), first in gold:7"
    ]


@pytest.mark.parametrize(
    ("text", "label", "message"),
    [
        ("", "x", "an empty text; conll cannot hold it"),
        ("甲\n", "x", r"the text has the character '\n', which conll cannot hold; take it out"),
        ("甲\t", "x", r"the text has the character '\t'"),
        ("甲乙", "a\tb", r"the label 'a\tb' has white space that tags cannot hold, or looks like tags; rename it"),
        ("甲乙", "a ", "the label 'a ' has white space"),
        ("甲乙", "a\n", r"the label 'a\n' has white space"),
        ("甲乙", "x,I-x", "the label 'x,I-x' has white space"),
        ("甲乙", "x O", "the label 'x O' has white space"),
    ],
)
def test_what_tags_cannot_hold_is_one_line(text, label, message):
    with pytest.raises(DataError) as caught:
        written("bio", text, *([(0, 1, label)] if text else []))
    assert str(caught.value).startswith(f"gold:7: {message}")


@pytest.mark.parametrize("scheme", ["bio", "bioes"])
@settings(max_examples=40)
@given(texts.filter(lambda text: text and not set(text) & set("\n\r\t\ufeff")), st.data())
def test_a_written_sentence_is_read_as_it_was(tmp_path_factory, scheme, text, data):
    ends = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)))
    spans = [(*span, data.draw(st.sampled_from(["PER", "人名"]))) for span in pairwise(ends)]
    path = tmp_path_factory.getbasetemp() / "written.conll"
    path.write_bytes(written(scheme, text, *spans)[0].encode())
    (example,) = read_examples([str(path)], "conll" if scheme == "bio" else "bioes")
    assert (example.text, example.entities) == (text, tuple(Entity(*span) for span in spans))
