"""Gold events in files: nlpkit's own format, those in which Chinese data are published, and brat's.

    nlpkit    see `data`
    duee      {"text": "…", "event_list": [{"event_type": "组织关系-裁员", "trigger": "裁员", "trigger_start_index": 15,
               "arguments": [{"role": "裁员人数", "argument": "900余人", "argument_start_index": 17}]}]}      DuEE 1.0
    duee-fin  {"title": "…", "text": "…", "event_list": [{"event_type": "公司上市", "trigger": "IPO",
               "arguments": [{"role": "环节", "argument": "筹备上市"}]}]}
    fewfc     {"content": "…", "events": [{"type": "质押", "mentions": [{"word": "质押", "span": [46, 48],
               "role": "trigger"}]}]}
    brat      see `core.exchange.brat`

All but brat are JSON Lines. A record of DuEE-fin without `event_list` has no event. Its text here is title, line feed,
text; it has no offsets: of all occurrences of the trigger the one is taken that has occurrences of all arguments
nearest, and those (`gold.locate`). The 环节 of its 公司上市 is one of four values, which stand at the trigger.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from nlpkit.core.formats.annotation import Format, Source, Tally, examples, json_lines
from nlpkit.core.formats.gold import locate, shaped_like
from nlpkit.core.formats.schema import read_schema as objects
from nlpkit.core.formats.tools import tools
from nlpkit.core.io.records import Line, OnError
from nlpkit.tasks.event.data import TRIGGER, Example, Happening, Mention, make_example
from nlpkit.tasks.event.exchange import from_annotation

Fields: TypeAlias = dict[str, Any]

_LISTED = {("公司上市", "环节"): ("筹备上市", "暂停上市", "正式上市", "终止上市")}


def read_examples(
    paths: Sequence[str],
    format: str = "nlpkit",
    encoding: str = "utf-8",
    on_error: OnError | None = None,
    field: str | None = None,
    *,
    annotator: str | None = None,
    offsets: str | None = None,
    tally: Tally | None = None,
) -> Iterator[Example]:
    """Return texts with their gold events.

    Args:
        paths: files, or `-` for stdin; compressed ones, too.
        format: one of `FORMATS`.
        encoding: of the files.
        on_error: what to do with a record that does not fit; raises by default.
        field: the one that holds the text; its usual name when None.
        annotator: whose annotation to take; see `core.formats.annotation.Source`.
        offsets: what the offsets of doccano count; see `core.formats.annotation.Source`.
        tally: counts what is dropped and repaired.

    Raises:
        UsageError: no such format, or an option that it does not have.
        DataError: a record that does not fit (unless `on_error` skips it), or a file that cannot be read.
    """
    source = Source(paths, encoding, on_error or OnError(), field, annotator, offsets, tally or Tally())
    return examples(FORMATS, format, source)


def read_schema(path: str, types: Mapping[str, Sequence[str]]) -> tuple[tuple[str, str], ...]:
    """The (type, role) pairs of a schema, triggers among them.

    A schema is {"type": "质押", "roles": ["质押方"]} for each type, or DuEE's {"event_type": …, "role_list": [{"role":
    …}]}, as JSON Lines or an array; a type without its roles means all of them. Roles that are not among a type's are
    passed over, as a published schema names some that its data never fill.

    Raises:
        DataError: a record that does not fit, or a type that is not among `types`.
    """
    pairs: dict[tuple[str, str], None] = {}
    for line, fields in objects(path):
        with shaped_like(line, '{"type": "质押", "roles": ["质押方", "质押物"]}'):
            type = fields["type"] if "type" in fields else fields["event_type"]
            roles = [role["role"] for role in fields["role_list"]] if "role_list" in fields else fields.get("roles")
        if type not in types:
            raise line.error(f"the model has no type {type}; it has: {', '.join(types)}")
        known = [role for role in types[type] if roles is None or role in roles]
        pairs |= dict.fromkeys((type, role) for role in (TRIGGER, *known))
    return tuple(pairs)


def parse_record(line: Line, fields: Fields, field: str | None) -> Example:
    """Return the events of a record of nlpkit's own format."""
    found = fields.get("events")
    if not isinstance(found, list):
        raise line.error('no "events" here, or not a list; a text without any has "events": []')
    shape = '{"text": "…", "events": [{"type": "质押", "trigger": {"start": 6, "end": 8}, "arguments": [{"role": …}]}]}'
    with shaped_like(line, shape):
        happenings = []
        for event in found:
            trigger = [{**event["trigger"], "role": TRIGGER}] if event.get("trigger") is not None else []
            for argument in event["arguments"]:
                if argument["role"] == TRIGGER:
                    raise line.error(f'an argument has the role "{TRIGGER}"; that is the event\'s own "trigger"')
            happenings.append(Happening(event["type"], [_mention(a) for a in (*trigger, *event["arguments"])]))
    return make_example(line, fields.get(field or "text"), happenings, fields.get("located", True))


def _mention(a: Fields) -> Mention:
    return Mention(a["role"], a["start"], a["end"], a.get("text"), a.get("value", ""), a.get("score", 1.0))


def _duee(line: Line, fields: Fields, field: str | None) -> Example:
    if "event_list" not in fields:
        raise line.error('no "event_list" here; a test split without gold cannot be used')
    with shaped_like(line, '{"text": "…", "event_list": [{"event_type": "…", "trigger": "…", "arguments": [{…}]}]}'):
        happenings = []
        for event in fields["event_list"]:
            strings = [(TRIGGER, event["trigger"], event["trigger_start_index"])]
            strings += [(a["role"], a["argument"], a["argument_start_index"]) for a in event["arguments"]]
            mentions = [Mention(role, start, start + len(string), string) for role, string, start in strings]
            happenings.append(Happening(event["event_type"], mentions))
    return make_example(line, fields.get(field or "text"), happenings)


def _duee_fin(line: Line, fields: Fields, field: str | None) -> Example:
    with shaped_like(line, '{"title": "…", "text": "…", "event_list": [{"event_type": "…", "arguments": [{…}]}]}'):
        body = fields[field or "text"]
        text = f"{fields['title']}\n{body}" if fields.get("title") else body
        happenings = [_looked_up(line, text, event) for event in fields.get("event_list", [])]
    return make_example(line, text, happenings, located=False)


def _looked_up(line: Line, text: str, event: Fields) -> Happening:
    type, trigger = event["event_type"], event["trigger"]
    listed = [a for a in event["arguments"] if a["argument"] in _LISTED.get((type, a["role"]), ())]
    strings = [(TRIGGER, trigger), *((a["role"], a["argument"]) for a in event["arguments"] if a not in listed)]
    places = locate(text, [string for _, string in strings])
    mentions = []
    for (role, string), place in zip(strings, places, strict=True):
        if place is None:
            raise line.error(f"{string!r}, {role} of {type}, does not occur in title and text")
        mentions.append(Mention(role, *place))
    return Happening(type, mentions + [mentions[0]._replace(role=a["role"], value=a["argument"]) for a in listed])


def _fewfc(line: Line, fields: Fields, field: str | None) -> Example:
    if "events" not in fields:
        raise line.error('no "events" here; a test split without gold cannot be used')
    with shaped_like(line, '{"content": "…", "events": [{"type": "…", "mentions": [{"word": "…", "span": [0, 2]}]}]}'):
        happenings = [
            Happening(
                event["type"], [Mention(m["role"], m["span"][0], m["span"][1], m["word"]) for m in event["mentions"]]
            )
            for event in fields["events"]
        ]
    return make_example(line, fields.get(field or "content"), happenings)


FORMATS: dict[str, Format[Example]] = {
    "nlpkit": json_lines(parse_record),
    "duee": json_lines(_duee),
    "duee-fin": json_lines(_duee_fin),
    "fewfc": json_lines(_fewfc),
    **tools("events", from_annotation),
}
