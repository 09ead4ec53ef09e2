"""Relations and events as marks, tables and graphs; what is drawn is read back."""

import re

import pytest
from hypothesis import given
from support import texts

from nlpkit.cli.render.event_graph import (
    GRAPHS,
    dot,
    event_marks,
    event_tables,
    mermaid,
    relation_marks,
    relation_tables,
)
from nlpkit.cli.render.text import Mark, Table, show

TEXT = "南山银行收购了北斗科技"
TRIGGER = {"start": 4, "end": 6, "text": "收购"}
BUYER = {"role": "买方", "start": 0, "end": 4, "text": "南山银行", "score": 0.75}
BOUGHT = {"role": "标的", "start": 7, "end": 11, "text": "北斗科技", "score": 0.5}
STAGE = {"role": "环节", "start": 4, "end": 6, "text": "收购", "value": "完成", "score": 0.25}
EVENTS = {
    "events": [
        {"type": "并购", "trigger": TRIGGER, "arguments": [BUYER, BOUGHT], "score": 0.5},
        {"type": "交易", "trigger": None, "arguments": [BUYER, STAGE], "score": 0.25},
    ]
}
RELATION = {
    "subject": {"start": 0, "end": 4, "text": "南山银行"},
    "predicate": "收购",
    "object": {"start": 7, "end": 11, "text": "北斗科技"},
    "score": 0.5,
}


def test_events_as_marks():
    """Triggers have the type of the event, arguments their role; a value is shown; each event has a group."""
    assert event_marks(EVENTS) == [
        Mark(4, 6, "并购", 0.5, "1"),
        Mark(0, 4, "买方", 0.75, "1"),
        Mark(7, 11, "标的", 0.5, "1"),
        Mark(0, 4, "买方", 0.75, "2"),
        Mark(4, 6, "环节=完成", 0.25, "2"),
    ]


def test_events_as_tables():
    assert event_tables(EVENTS) == [
        Table(
            "并购 0.500", [("trigger", "收购", ""), ("买方", "南山银行", "0.750"), ("标的", "北斗科技", "0.500")], "1"
        ),
        Table("交易 0.250", [("买方", "南山银行", "0.750"), ("环节", "完成", "0.250")], "2"),
    ]


def test_relations_as_marks_and_a_table():
    """A span with the same side in several relations is marked once."""
    other = RELATION | {"predicate": "控股"}
    found = {"relations": [RELATION, other]}
    assert relation_marks(found) == [Mark(0, 4, "subject"), Mark(7, 11, "object")]
    (table,) = relation_tables(found)
    assert table.rows == [("南山银行", "收购", "北斗科技", "0.500"), ("南山银行", "控股", "北斗科技", "0.500")]
    assert relation_tables({"relations": []}) == relation_marks({"relations": []}) == []


def test_on_a_terminal(capsys):
    show(TEXT, event_marks({"events": EVENTS["events"][:1]}), event_tables({"events": EVENTS["events"][:1]}))
    shown = capsys.readouterr().out
    assert "南山银行[买方]收购[并购]了北斗科技[标的]" in shown
    assert re.search(r"^并购 0.500 *\n *trigger +收购 *\n *买方 +南山银行 +0.750 *$", shown, re.M)
    show(TEXT, relation_marks({"relations": [RELATION]}), relation_tables({"relations": [RELATION]}))
    shown = capsys.readouterr().out
    assert "南山银行[subject]收购了北斗科技[object]" in shown
    assert re.search(r"南山银行 +收购 +北斗科技 +0.500", shown)


def read_dot(drawn):
    """Nodes {name: (label, is event)} and edges [(event, role, argument)]."""
    lines = drawn.decode().split("\n")
    assert (lines[0], lines[-2:]) == ("digraph {", ["}", ""])
    unquote = lambda text: re.sub(r"\\(.)", r"\1", text)  # noqa: E731
    nodes = {
        match[1]: (unquote(match[2]), bool(match[3]))
        for line in lines
        if (match := re.fullmatch(r'  (\w+) \[label="((?:[^"\\]|\\.)*)"( shape=box)?\]', line))
    }
    edges = [
        (match[1], unquote(match[3]), match[2])
        for line in lines
        if (match := re.fullmatch(r'  (\w+) -> (\w+) \[label="((?:[^"\\]|\\.)*)"\]', line))
    ]
    assert len(lines) == len(nodes) + len(edges) + 5
    return nodes, edges


def read_mermaid(drawn):
    """The same of a flowchart."""
    lines = drawn.decode().split("\n")
    assert (lines[0], lines[-2:]) == ("flowchart LR", ["", ""])
    unquote = lambda text: re.sub(r"#(\d+);", lambda match: chr(int(match[1])), text)  # noqa: E731
    nodes = {
        match[1]: (unquote(match[3]), match[2] == "[")
        for line in lines
        if (match := re.fullmatch(r'  (\w+)([\[(])"([^"]*)"[\])]', line))
    }
    edges = [
        (match[1], unquote(match[2]), match[3])
        for line in lines
        if (match := re.fullmatch(r'  (\w+) -->\|"([^"]*)"\| (\w+)', line))
    ]
    assert len(lines) == len(nodes) + len(edges) + 3
    return nodes, edges


@pytest.mark.parametrize("read_back", [lambda: read_dot(dot(EVENTS)), lambda: read_mermaid(mermaid(EVENTS))])
def test_events_share_their_arguments(read_back):
    nodes, edges = read_back()
    assert nodes == {
        "e1": ("并购：收购", True),
        "e2": ("交易", True),
        "a0_4": ("南山银行", False),
        "a7_11": ("北斗科技", False),
        "a4_6_5b8c_6210": ("完成", False),  # a value is not the text at its place
    }
    assert edges == [("e1", "买方", "a0_4"), ("e1", "标的", "a7_11"), ("e2", "买方", "a0_4"),
                     ("e2", "环节", "a4_6_5b8c_6210")]  # fmt: skip


visible = texts.filter(lambda text: not set(text) & set("\n\r\0"))


@given(visible, visible, visible)
def test_any_text_is_read_back(type_, role, text):
    """Whatever the languages take for their own is escaped."""
    argument = {"role": role, "start": 0, "end": 1, "text": text, "score": 1.0}
    record = {"events": [{"type": type_, "trigger": None, "arguments": [argument], "score": 1.0}]}
    for nodes, edges in (read_dot(dot(record)), read_mermaid(mermaid(record))):
        assert nodes == {"e1": (type_, True), "a0_1": (text, False)}
        assert edges == [("e1", role, "a0_1")]


def test_a_line_break_is_a_space_in_dot_and_kept_in_mermaid():
    record = {"events": [{"type": "a\nb\r\0", "trigger": None, "arguments": [], "score": 1.0}]}
    assert read_dot(dot(record))[0]["e1"] == ("a b ", True)
    assert read_mermaid(mermaid(record))[0]["e1"] == ("a\nb\r\0", True)


def test_a_text_without_events_is_an_empty_graph():
    assert {"dot": dot, "mermaid": mermaid} == GRAPHS
    assert read_dot(dot({"events": []})) == read_mermaid(mermaid({"events": []})) == ({}, [])
