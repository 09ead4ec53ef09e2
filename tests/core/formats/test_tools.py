"""The formats of all annotation tools: every tool reads and writes, and malformed records are one clear line each."""

import copy
import json

import pytest
from formats_support import EVENT, LINES, TEXT, doccano, link, region, several, task
from hypothesis import given, settings
from hypothesis import strategies as st

from nlpkit.core.formats.annotation import Annotation, Mark, Sink, Source
from nlpkit.core.formats.tools import TOOLS
from nlpkit.core.io.records import ErrorPolicy, Line
from nlpkit.errors import DataError, NlpkitError
from nlpkit.tasks.event.formats import read_examples as read_events
from nlpkit.tasks.ner.formats import read_examples
from nlpkit.tasks.relation.formats import read_examples as read_relations

JUNK = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(-3, 12), st.floats(allow_nan=False), st.text(max_size=3)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.sampled_from(["id", "text"]), inner)),
    max_leaves=4,
)
PREDICTED = {"data": {"text": TEXT}, "predictions": [{"result": [region(0, 2, "人名")]}]}
DIALOGUE = region("0", "0", "人名", kind="paragraphlabels", text="李娜", startOffset=0, endOffset=2)
HTML = region("/p", "/p", "人名", kind="hypertextlabels", text="李娜", globalOffsets={"start": 0, "end": 2})
WHOLE = {
    "labelstudio": [
        task(
            region(0, 2, "人名", text="李娜"), region(5, 9, "公司", id="b"), link("a", "b", "任职", direction="right")
        ),
        several(),
        PREDICTED,
        task(DIALOGUE, data={"dialogue": [{"text": TEXT}]}),
        task(HTML, text=f"<p>{TEXT}</p>"),
    ],
    "doccano": [doccano(), {"text": TEXT, "label": [[0, 2, "人名"]]}, {"data": TEXT, "labels": [[0, 2, "人名"]]}],
}


def places(value, path=()):
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def spoilt(value, path, junk, remove):
    value = copy.deepcopy(value)
    if not path:
        return junk
    *head, last = path
    inner = value
    for key in head:
        inner = inner[key]
    if remove:
        del inner[last]
    else:
        inner[last] = junk
    return value


def error_of(action):
    """The message of the only kind of error that an action may have; None where it has none."""
    try:
        action()
    except NlpkitError as error:
        message = str(error)
        return message if "\n" not in message else "several lines"
    return None


@settings(max_examples=150)
@given(st.data())
def test_a_record_that_is_spoilt_anywhere_is_one_line_with_its_place(tmp_path_factory, data):
    format = data.draw(st.sampled_from(sorted(WHOLE)))
    record = data.draw(st.sampled_from(WHOLE[format]))
    bad = spoilt(record, data.draw(st.sampled_from(list(places(record)))), data.draw(JUNK), data.draw(st.booleans()))
    path = tmp_path_factory.getbasetemp() / "spoilt.jsonl"
    path.write_text(json.dumps(bad) + "\n", encoding="utf-8")
    for reader in (read_examples, read_relations):
        for annotator in (None, "17") if format == "labelstudio" else (None,):
            found = error_of(lambda read=reader, by=annotator: list(read([str(path)], format, annotator=by)))
            assert found is None or found.startswith(f"{path}:1: ") or "no task has an annotation" in found


@settings(max_examples=150)
@given(st.lists(st.sampled_from([*LINES, *EVENT, "A2\tX T1", "#1\tN T1\tx"]), max_size=8), st.data())
def test_standoff_that_is_spoilt_anywhere_is_one_line_with_its_place(tmp_path_factory, lines, data):
    content = "\n".join(lines)
    if content:
        at = data.draw(st.integers(0, len(content) - 1))
        content = content[:at] + data.draw(st.text(max_size=2)) + content[at + data.draw(st.integers(0, 3)) :]
    folder = tmp_path_factory.getbasetemp()
    (folder / "s.txt").write_text(TEXT, encoding="utf-8")
    (folder / "s.ann").write_bytes(content.encode("utf-8", "replace"))
    errors = ErrorPolicy("skip")
    for reader in (read_examples, read_relations, read_events):
        found = error_of(lambda read=reader: list(read([str(folder / "s.ann")], "brat")))
        assert found is None or found.startswith(f"{folder / 's.ann'}:")
        list(reader([str(folder / "s.ann")], "brat", on_error=errors))


@pytest.mark.parametrize("format", ["doccano", "brat"])
def test_the_label_of_spans_without_one_cannot_be_that_of_an_entity(tmp_path, format):
    annotation = Annotation(TEXT, Line("", "gold", 7), entities=(Mark(0, 2, "unlabelled"),))
    tool = TOOLS[format]
    action = (lambda: tool.write_folder([annotation], Sink(), tmp_path)) if format == "brat" else None
    action = action or (lambda: tool.write(annotation, Sink()))
    with pytest.raises(DataError, match="gold:7: the label unlabelled is kept for spans without a label; rename it"):
        action()


def test_every_tool_can_be_read_and_written():
    assert all(format.write or format.write_folder for format in TOOLS.values())
    assert all(callable(format.read) and format.holds for format in TOOLS.values())
    assert list(TOOLS["doccano"].read(Source([]))) == []
