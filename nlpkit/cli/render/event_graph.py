"""Relations and events for people: marks and tables for a terminal or a web page, and graphs for dot or Mermaid.

The functions take the fields that a command adds to a record, `relations` or `events`.
"""

from collections.abc import Callable, Iterator
from typing import Any

from nlpkit.cli.render.text import Mark, Table

Fields = dict[str, Any]


def relation_marks(fields: Fields) -> list[Mark]:
    """Return the spans of subjects and objects, each once."""
    spans = {
        (relation[side]["start"], relation[side]["end"], side) for relation in fields["relations"]
        for side in ("subject", "object")
    }  # fmt: skip
    return [Mark(*span) for span in sorted(spans)]


def relation_tables(fields: Fields) -> list[Table]:
    """Return one table of all triples."""
    rows = [
        (r["subject"]["text"], r["predicate"], r["object"]["text"], f"{r['score']:.3f}") for r in fields["relations"]
    ]
    return [Table("relations", rows)] if rows else []


def event_marks(fields: Fields) -> list[Mark]:
    """Return the trigger of each event, labelled with its type, and its arguments, labelled with their roles."""
    marks = []
    for number, event in enumerate(fields["events"], 1):
        group = str(number)
        if event["trigger"]:
            trigger = event["trigger"]
            marks.append(Mark(trigger["start"], trigger["end"], event["type"], event["score"], group))
        marks += [Mark(a["start"], a["end"], _role(a), a["score"], group) for a in event["arguments"]]
    return marks


def event_tables(fields: Fields) -> list[Table]:
    """Return a table for each event: its type, and a row for the trigger and each argument."""
    tables = []
    for number, event in enumerate(fields["events"], 1):
        rows = [("trigger", event["trigger"]["text"], "")] if event["trigger"] else []
        rows += [(a["role"], _filler(a), f"{a['score']:.3f}") for a in event["arguments"]]
        tables.append(Table(f"{event['type']} {event['score']:.3f}", rows, str(number)))
    return tables


def dot(record: Fields) -> bytes:
    """Return a digraph for Graphviz with an edge from each event to each of its arguments, which events may share."""
    lines = ["digraph {", "  rankdir=LR", "  node [shape=plaintext]"]
    for name, label, is_event in _nodes(record):
        lines.append(f"  {name} [label={_quoted(label)}{' shape=box' if is_event else ''}]")
    lines += [f"  {event} -> {argument} [label={_quoted(role)}]" for event, role, argument in _edges(record)]
    return ("\n".join(lines) + "\n}\n").encode()


def mermaid(record: Fields) -> bytes:
    """Return the same graph as a Mermaid flowchart, followed by a blank line."""
    lines = ["flowchart LR"]
    for name, label, is_event in _nodes(record):
        opening, closing = ("[", "]") if is_event else ("(", ")")
        lines.append(f"  {name}{opening}{_entities(label)}{closing}")
    lines += [f"  {event} -->|{_entities(role)}| {argument}" for event, role, argument in _edges(record)]
    return ("\n".join(lines) + "\n\n").encode()


_SYNTAX = frozenset('"#;<>&`\\|[](){}')  # may be syntax of Mermaid
GRAPHS: dict[str, Callable[[Fields], bytes]] = {"dot": dot, "mermaid": mermaid}


def _nodes(record: Fields) -> Iterator[tuple[str, str, bool]]:
    """Yield (name, label, whether it is an event) of each event and of each span that has a role."""
    for number, event in enumerate(record["events"], 1):
        trigger = event["trigger"]
        yield f"e{number}", f"{event['type']}：{trigger['text']}" if trigger else event["type"], True
    spans = {_name(argument): _filler(argument) for event in record["events"] for argument in event["arguments"]}
    for name, label in spans.items():
        yield name, label, False


def _edges(record: Fields) -> Iterator[tuple[str, str, str]]:
    for number, event in enumerate(record["events"], 1):
        for argument in event["arguments"]:
            yield f"e{number}", argument["role"], _name(argument)


def _name(argument: Fields) -> str:
    """Return the name of a node: the place of its span and, for a value, the codes of its characters."""
    value = "".join(f"_{ord(character):x}" for character in argument.get("value", ""))
    return f"a{argument['start']}_{argument['end']}{value}"


def _filler(argument: Fields) -> str:
    return str(argument.get("value", argument["text"]))


def _role(argument: Fields) -> str:
    return f"{argument['role']}={argument['value']}" if "value" in argument else str(argument["role"])


def _quoted(text: str) -> str:
    """Return a string of the dot language."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\r", " ").replace("\n", " ").replace("\0", "")
    return f'"{escaped}"'


def _entities(text: str) -> str:
    """Return a quoted string of Mermaid, which has character codes instead of escapes."""
    return '"' + "".join(f"#{ord(c)};" if c in _SYNTAX or not c.isprintable() else c for c in text) + '"'
