"""File formats of events: nlpkit's own, those of published Chinese datasets, and those of annotation tools.

    nlpkit    see `data`
    duee      {"text": "…", "event_list": [{"event_type": "组织关系-裁员", "trigger": "裁员", "trigger_start_index": 15,
               "arguments": [{"role": "裁员人数", "argument": "900余人", "argument_start_index": 17}]}]}      DuEE 1.0
    duee-fin  {"title": "…", "text": "…", "event_list": [{"event_type": "公司上市", "trigger": "IPO",
               "arguments": [{"role": "环节", "argument": "筹备上市"}]}]}
    fewfc     {"content": "…", "events": [{"type": "质押", "mentions": [{"word": "质押", "span": [46, 48],
               "role": "trigger"}]}]}
    brat      see `core.formats.brat`

All but brat are JSON Lines. In DuEE-fin a record without `event_list` has no events. Its text becomes title, line feed,
text. It has no offsets: the chosen occurrence of the trigger is the one nearest to occurrences of all arguments, and
these are the spans (`gold.locate`). The role 环节 of 公司上市 has one of four values, with the span of the trigger.
"""

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from nlpkit.core.formats.annotation import Format, Layer, Reader, json_lines
from nlpkit.core.formats.gold import locate, shaped_like
from nlpkit.core.formats.schema import read_schema as objects
from nlpkit.core.formats.tools import tools
from nlpkit.core.io.records import Line
from nlpkit.tasks.event.data import TRIGGER, Example, Mention, RawEvent, make_example, to_record
from nlpkit.tasks.event.exchange import from_annotation, to_annotation

Fields: TypeAlias = dict[str, Any]

_LISTED = {("公司上市", "环节"): ("筹备上市", "暂停上市", "正式上市", "终止上市")}


def read_schema(path: str, types: Mapping[str, Sequence[str]]) -> tuple[tuple[str, str], ...]:
    """Return the (type, role) pairs of a schema, triggers included.

    A schema is {"type": "质押", "roles": ["质押方"]} for each type, or DuEE's {"event_type": …, "role_list": [{"role":
    …}]}, as JSON Lines or an array; a type without roles has all of them. Roles that the model does not have are
    ignored, as published schemas have roles that do not occur in the data.

    Args:
        path: of the schema.
        types: the types of the model, each with its roles.

    Raises:
        DataError: an invalid record, or an unknown type.
    """
    pairs: dict[tuple[str, str], None] = {}
    for line, fields in objects(path):
        with shaped_like(line, '{"type": "质押", "roles": ["质押方", "质押物"]}'):
            type = fields["type"] if "type" in fields else fields["event_type"]
            roles = [role["role"] for role in fields["role_list"]] if "role_list" in fields else fields.get("roles")
            if not isinstance(type, str) or not isinstance(roles, list | None):
                raise TypeError
        if type not in types:
            raise line.error(f"the model has no type {type}; it has: {', '.join(types)}")
        included = [role for role in types[type] if roles is None or role in roles]
        pairs |= dict.fromkeys((type, role) for role in (TRIGGER, *included))
    return tuple(pairs)


def parse_record(line: Line, fields: Fields, field: str | None) -> Example:
    """Return the events of a record of nlpkit's own format."""
    events = fields.get("events")
    if not isinstance(events, list):
        raise line.error('no "events" here, or not a list; a text without any has "events": []')
    shape = '{"text": "…", "events": [{"type": "质押", "trigger": {"start": 6, "end": 8}, "arguments": [{"role": …}]}]}'
    with shaped_like(line, shape):
        raw_events = []
        for event in events:
            trigger = [{**event["trigger"], "role": TRIGGER}] if event.get("trigger") is not None else []
            for argument in event["arguments"]:
                if argument["role"] == TRIGGER:
                    raise line.error(f'an argument has the role "{TRIGGER}"; that is the event\'s own "trigger"')
            raw_events.append(RawEvent(event["type"], [_mention(a) for a in (*trigger, *event["arguments"])]))
    return make_example(line, fields.get(field or "text"), raw_events, fields.get("located", True), fields.get("types"))


def _mention(a: Fields) -> Mention:
    return Mention(a["role"], a["start"], a["end"], a.get("text"), a.get("value", ""), a.get("score", 1.0))


def _duee(line: Line, fields: Fields, field: str | None) -> Example:
    if "event_list" not in fields:
        raise line.error('no "event_list" here; a test split without gold cannot be used')
    with shaped_like(line, '{"text": "…", "event_list": [{"event_type": "…", "trigger": "…", "arguments": [{…}]}]}'):
        raw_events = []
        for event in fields["event_list"]:
            strings = [(TRIGGER, event["trigger"], event["trigger_start_index"])]
            strings += [(a["role"], a["argument"], a["argument_start_index"]) for a in event["arguments"]]
            mentions = [Mention(role, start, start + len(string), string) for role, string, start in strings]
            raw_events.append(RawEvent(event["event_type"], mentions))
    return make_example(line, fields.get(field or "text"), raw_events)


def _duee_fin(line: Line, fields: Fields, field: str | None) -> Example:
    with shaped_like(line, '{"title": "…", "text": "…", "event_list": [{"event_type": "…", "arguments": [{…}]}]}'):
        body = fields[field or "text"]
        text = f"{fields['title']}\n{body}" if fields.get("title") else body
        raw_events = [_locate(line, text, event) for event in fields.get("event_list", [])]
    return make_example(line, text, raw_events, located=False)


def _locate(line: Line, text: str, event: Fields) -> RawEvent:
    type, trigger = event["event_type"], event["trigger"]
    listed = [a for a in event["arguments"] if a["argument"] in _LISTED.get((type, a["role"]), ())]
    strings = [(TRIGGER, trigger), *((a["role"], a["argument"]) for a in event["arguments"] if a not in listed)]
    spans = locate(text, [string for _, string in strings])
    mentions = []
    for (role, string), span in zip(strings, spans, strict=True):
        if span is None:
            raise line.error(f"{string!r}, {role} of {type}, does not occur in title and text")
        mentions.append(Mention(role, *span))
    return RawEvent(type, mentions + [mentions[0]._replace(role=a["role"], value=a["argument"]) for a in listed])


def _fewfc(line: Line, fields: Fields, field: str | None) -> Example:
    if "events" not in fields:
        raise line.error('no "events" here; a test split without gold cannot be used')
    with shaped_like(line, '{"content": "…", "events": [{"type": "…", "mentions": [{"word": "…", "span": [0, 2]}]}]}'):
        raw_events = [
            RawEvent(
                event["type"], [Mention(m["role"], m["span"][0], m["span"][1], m["word"]) for m in event["mentions"]]
            )
            for event in fields["events"]
        ]
    return make_example(line, fields.get(field or "content"), raw_events)


def _to_record(example: Example, scores: bool) -> Fields:
    return to_record(example.text, example.events, located=example.located)


FORMATS: dict[str, Format[Example]] = {
    "nlpkit": json_lines(parse_record),
    "duee": json_lines(_duee),
    "duee-fin": json_lines(_duee_fin),
    "fewfc": json_lines(_fewfc),
    **tools("events", from_annotation),
}
read_examples = Reader(FORMATS)
LAYER = Layer("events", FORMATS, parse_record, from_annotation, to_annotation, _to_record)
