"""Relations and events as marks, tables and graphs."""

import re

TEXT = "南山银行收购了北斗科技，长城汽车起诉了西湖医院，今天天气很好。"


def test_what_the_languages_take_for_their_own_is_escaped():
    from nlpkit.cli.render.event_graph import dot, mermaid

    role = {"role": 'a"b', "start": 0, "end": 3, "text": 'x\\"\n]', "score": 1.0}
    listed = {"role": "环节", "start": 0, "end": 3, "text": "x", "value": "正式", "score": 1.0}
    record = {"events": [{"type": "t;", "trigger": None, "arguments": [role, listed], "score": 1.0}]}
    assert '  a0_3 [label="x\\\\\\" ]"]' in dot(record).decode().splitlines()
    assert "正式" in dot(record).decode()
    lines = mermaid(record).decode().splitlines()
    assert '  e1["t#59;"]' in lines
    assert '  e1 -->|"a#34;b"| a0_3' in lines


def test_a_terminal_shows_tables(capsys, monkeypatch):
    from nlpkit.cli.render.event_graph import event_marks, event_tables, relation_marks, relation_tables
    from nlpkit.cli.render.text import show

    trigger = {"start": 4, "end": 6, "text": "收购"}
    buyer = {"role": "买方", "start": 0, "end": 4, "text": "南山银行", "score": 0.75}
    found = {"events": [{"type": "并购", "trigger": trigger, "arguments": [buyer], "score": 0.5}]}
    show(TEXT[:11], event_marks(found), event_tables(found))
    shown = capsys.readouterr().out
    assert "南山银行[买方]收购[并购]了北斗科技" in shown
    assert re.search(r"^并购 0.500 *\n *trigger +收购 *\n *买方 +南山银行 +0.750 *$", shown, re.M)
    one = {"subject": {"start": 0, "end": 4, "text": "南山银行"}, "predicate": "收购", "score": 0.5,
           "object": {"start": 7, "end": 11, "text": "北斗科技"}}  # fmt: skip
    show(TEXT[:11], relation_marks({"relations": [one, one]}), relation_tables({"relations": [one]}))
    shown = capsys.readouterr().out
    assert "南山银行[subject]收购了北斗科技[object]" in shown
    assert re.search(r"南山银行 +收购 +北斗科技 +0.500", shown)
