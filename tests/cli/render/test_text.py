"""Marked text: HTML that says what the text says, and colours on a terminal."""

import html
import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import texts

from nlpkit.cli.render.text import Mark, Page, marked_up, show

TEXT = "叶老桂在<浙商>银行"


@st.composite
def marked(draw):
    text = draw(texts)
    spans = draw(st.lists(st.tuples(st.integers(0, len(text)), st.integers(0, len(text))), max_size=6))
    labels = st.sampled_from(["name", 'a"b<c', "company"])
    return text, [Mark(min(s), max(s), draw(labels), draw(st.sampled_from([None, 0.5]))) for s in spans if s[0] != s[1]]


def elements(page):
    """(text inside, labels) of each stretch between tags, and that tags are well nested."""
    stack = []
    for tag, text in re.findall(r"<([^>]*)>|([^<]+)", page):
        if tag == "/mark":
            stack.pop()
        elif tag:
            stack.append(html.unescape(re.search('title="([^"]*)"', tag)[1]).removesuffix(" 0.500"))
        else:
            yield html.unescape(text), list(stack)
    assert not stack


@given(marked())
def test_marks_cover_their_text_and_nothing_else(sample):
    text, marks = sample
    position = 0
    for piece, labels in elements(marked_up(text, marks)):
        for offset in range(position, position + len(piece)):
            assert sorted(labels) == sorted(m.label for m in marks if m.start <= offset < m.end)
        position += len(piece)
    assert position == len(text)
    assert "".join(piece for piece, _ in elements(marked_up(text, marks))) == text


@given(marked())
def test_each_mark_shows_its_label_once(sample):
    text, marks = sample
    assert marked_up(text, marks).count("data-label=") == len(marks)


def test_nested_marks_and_escapes():
    page = marked_up(TEXT, [Mark(4, 10, "company"), Mark(5, 7, "<i>", 0.98765)])
    assert "&lt;" in page
    assert 'title="&lt;i&gt; 0.988"' in page
    assert re.search(r'<mark [^>]*title="company"><mark [^>]*title="&lt;i&gt; 0.988">浙商</mark></mark>', page)


def test_a_page(tmp_path):
    with Page.open(str(tmp_path / "page.html")) as page:
        page.write(Page.paragraph(TEXT, [Mark(0, 3, "name", 0.9)]))
        page.write(Page.paragraph("", []))
    content = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert content.count("<p>") == 2
    assert 'charset="utf-8"' in content
    assert "叶老桂</mark>在&lt;浙商&gt;银行</p>" in content


@pytest.fixture
def shown(monkeypatch, capsys):
    def run(text, marks, colour):
        monkeypatch.setenv("COLUMNS", "20")
        for name, value in (("FORCE_COLOR", "1"), ("TERM", "xterm")) if colour else (("NO_COLOR", "1"),):
            monkeypatch.setenv(name, value)
        show(text, marks)
        return capsys.readouterr().out

    return run


def test_on_a_terminal(shown):
    marks = [Mark(0, 3, "name"), Mark(4, 10, "company"), Mark(5, 7, "place")]
    assert shown(TEXT, marks, colour=False) == "叶老桂[name]在<浙商[place]>银行[company]\n"
    coloured = shown(TEXT, marks, colour=True)
    assert re.search("\x1b\\[[0-9;]+m叶老桂\x1b\\[0m\x1b\\[[0-9;]+m\\[name\\]\x1b\\[0m在", coloured)


def test_control_characters_do_not_reach_the_terminal(shown):
    controls = "".join(map(chr, [*range(32), *range(0x7F, 0xA0)]))
    seen = shown(f"甲{controls}乙丙\n", [Mark(66, 68, "na\x1bme")], colour=False)
    assert seen.startswith("甲␀␁␂")
    assert seen.endswith("乙丙[na␛me]\n\n")
    assert "␛" in seen.split("乙")[0]
    assert not [char for char in seen if unicodedata.category(char) == "Cc" and char not in "\t\n"]
    assert seen.count("\ufffd") == 32


@pytest.mark.parametrize("text", ["[bold]x[/bold] :smile: [/]", "中" * 99, "a b  c   d", ""])
def test_text_is_shown_as_it_is(shown, text):
    assert shown(text, [], colour=False) == text + "\n"
