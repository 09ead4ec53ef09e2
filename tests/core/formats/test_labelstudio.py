"""Label Studio's JSON: offsets, regions and relations, annotators, and what is written."""

import orjson
import pytest
from formats_support import ALI, LI, TEXT, link, region, several, task

from nlpkit.core.formats.annotation import Annotation, Link, Mark, Sink
from nlpkit.core.formats.labelstudio import write
from nlpkit.core.io.records import Line
from nlpkit.errors import DataError, UsageError
from nlpkit.tasks.ner.data import Entity
from nlpkit.tasks.relation.formats import read_examples as read_relations


@pytest.mark.parametrize(
    ("text", "results", "entities", "said"),
    [
        ("😀李娜", [region(1, 3, "人名", text="李娜")], [(1, 3)], None),
        ("😀李娜", [region(2, 4, "人名", text="李娜")], [(1, 3)], "repaired: 1 region (offsets that count UTF-16 code"),
        ("甲\r\n李娜", [region(3, 5, "人名", text="李娜")], [(3, 5)], None),
        (
            "甲\r\n李娜",
            [region(2, 4, "人名", text="李娜")],
            [(3, 5)],
            "repaired: 1 region (offsets that count characters",
        ),
        ("𠮷\r\n李娜", [region(3, 5, "人名", text="李娜")], [(3, 5)], None),
        (
            "𠮷𠮷\r\n李娜",
            [region(5, 7, "人名", text="李娜")],
            [(4, 6)],
            "repaired: 1 region (offsets that count UTF-16",
        ),
        ("甲  李\t\t娜", [region(3, 7, "人名", text="李 娜")], [(3, 7)], "repaired: 1 region (its string has other"),
        (
            "甲   李娜",
            [region(2, 4, "人名", text="李娜")],
            [(4, 6)],
            "repaired: 1 region (offsets that count characters, a",
        ),
        ("李\n娜", [region(0, 3, "人名", text="李\\n娜")], [(0, 3)], "repaired: 1 region (its string has other white"),
        ("甲\r\n李娜", [region(2, 4, "人名")], [(2, 4)], None),  # nothing to check it against
    ],
)
def test_offsets_of_label_studio(read, text, results, entities, said):
    example, messages = read([task(*results, text=text)])
    assert [(e.start, e.end) for e in example.entities] == entities
    assert example.text == text
    assert [message[: len(said or "")] for message in messages] == ([said] if said else [])


@pytest.mark.parametrize("text", ["李四", "李 ", "娜任"])
def test_a_region_with_another_string_shows_both(read, text):
    with pytest.raises(DataError, match=f"task 3: the text at 0:2 is '李娜', but the annotation says '{text}'"):
        read([task(region(0, 2, "人名", text=text))])


def test_regions_of_every_kind_that_marks_text(read):
    offsets = {"startOffset": 0, "endOffset": 2, "globalOffsets": {"start": 0, "end": 2}}
    html = region("/p[1]/text()[1]", "/p[1]/text()[1]", "人名", kind="hypertextlabels", text="李娜", **offsets)
    bold = {**offsets, "globalOffsets": {"start": 5, "end": 9}}
    more = region("/b", "/b", "公司", kind="hypertextlabels", text="阿里巴巴", **bold)
    example, messages = read([task(html, more, text="<p>李娜任职于<b>阿里</b>巴巴&amp;</p><script>x</script>")])
    assert (example.text, example.entities) == (f"{TEXT}&", (LI, ALI))
    assert messages == [
        "repaired: 1 text (read without its HTML tags; offsets are those of the visible text), first in HERE: task 3"
    ]
    assert read([task(region(0, 2, "人名", kind="namedlabels"))])[0].entities == (LI,)


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("</script>李娜<style>p {}</style>任", "李娜任"),
        ("<script><style></style>x</script>李娜", "李娜"),
        ("李<br>娜<head><title>x</title></head>", "李\n娜"),
        ("李娜<p>&lt;任&gt;", "李娜<任>"),
    ],
)
def test_the_visible_text_of_html(read, html, text):
    place = {"startOffset": 0, "endOffset": 1, "globalOffsets": {"start": 0, "end": 1}}
    example, _ = read([task(region("/p", "/p", "x", kind="hypertextlabels", **place), text=html)])
    assert example.text == text


def test_a_dialogue(read):
    turns = [{"author": "甲", "text": "你好"}, {"author": "乙", "text": TEXT}]
    first = region("1", "1", "人名", kind="paragraphlabels", text="李娜", startOffset=0, endOffset=2)
    example, _ = read([task(first, data={"dialogue": turns})])
    assert (example.text, example.entities) == (f"你好\n{TEXT}", (Entity(3, 5, "人名"),))


def test_what_does_not_mark_text_is_counted(read):
    box = {"id": "b", "type": "rectanglelabels", "value": {"x": 1, "y": 2, "rectanglelabels": ["车"]}}
    choice = {"id": "c", "type": "choices", "value": {"choices": ["好"]}}
    results = [region(0, 2, "人名"), box, choice, choice, link("a", "b", "画"), region(2, 4, id="e")]
    example, messages = read([task(*results)])
    assert example.entities == (LI,)
    assert [message.split(", first in ")[0] for message in messages] == [
        "dropped: 1 result of type rectanglelabels (it does not mark text)",
        "dropped: 2 results of type choices (it does not mark text)",
        "dropped: 1 relation (it has an end that does not mark text)",
        "dropped: 1 region (without a label)",
    ]
    assert all(message.endswith(", first in HERE: task 3") for message in messages)


def test_relations_of_label_studio(read):
    ends = [region(0, 2, "人名"), region(5, 9, id="b"), region(2, 4, "x", id="free"), region(3, 4, id="none")]
    links = [
        link("a", "b", "任职", "在", direction="right"),
        link("a", "b", "雇", direction="left"),
        link("a", "b", "认识", direction="bi"),
        link("a", "b"),
    ]
    example, messages = read([task(*ends, *links)], reader=read_relations)
    found = [(r.subject.start, r.predicate, r.object.start) for r in example.relations]
    assert found == sorted([(0, "任职", 5), (0, "在", 5), (5, "雇", 0), (0, "认识", 5), (5, "认识", 0)])
    assert [message.split(" (")[0] for message in messages] == [
        "dropped: 1 relation",
        "dropped: 2 entities",
        "dropped: 1 region",
    ]
    example, messages = read([task(*ends, *links)])
    assert [message.split(" (")[0] for message in messages[1:]] == ["dropped: 2 regions", "dropped: 5 relations"]
    with pytest.raises(DataError, match=r"task 3: a relation with a region 'z' that the task does not have"):
        read([task(region(0, 2, "人名"), link("a", "z", "任职"))])


@pytest.mark.parametrize(
    ("annotator", "entities", "why"),
    [
        (None, (LI,), "the first of each task is taken; pass --annotator for another"),
        ("17", (LI,), "only that of 17 is taken"),
        ("23", (ALI,), "only that of 23 is taken"),
        ("b@example.org", (ALI,), "only that of b@example.org is taken"),
        ("#2", (ALI,), "only that of #2 is taken"),
    ],
)
def test_several_annotators(read, annotator, entities, why):
    example, messages = read([several()], annotator=annotator)
    assert example.entities == entities
    assert messages == [
        "dropped: 1 annotation (cancelled by the annotator), first in HERE: task 3",
        f"dropped: 1 annotation by further annotators ({why}), first in HERE: task 3",
    ]


def test_tasks_without_the_annotator_are_counted(read, tmp_path):
    _, messages = read([several(), task(region(0, 2, "人名"))], annotator="23")
    assert "dropped: 1 task (no annotation by 23), first in HERE: task 3" in messages
    for annotator in ("2", "#3"):
        with pytest.raises(DataError, match=f"no task has an annotation by {annotator}; there are those of: 17, 23"):
            read([several()], annotator=annotator)
    for wrong in ("", "#0", "#x"):
        with pytest.raises(UsageError, match="an id, an e-mail address, or #2"):
            read([several()], annotator=wrong)


def test_predictions_are_read_where_a_task_has_no_annotations(read):
    imported = {
        "data": {"text": TEXT},
        "predictions": [{"result": [{**region(0, 2, "人名"), "score": 0.5}]}, {"result": []}],
    }
    example, messages = read([imported])
    assert [e.score for e in example.entities] == [0.5]
    assert messages[0].startswith("dropped: 1 prediction (only the first of a task is taken)")
    with pytest.raises(DataError, match="no annotation, or only cancelled ones"):
        read([{**imported, "annotations": []}])


# --- writing ----------------------------------------------------------------------------------------------------------

LINE = Line("", "gold", 1)
NAMES = {"from_name": "label", "to_name": "text", "type": "labels"}


def value(start, end, *labels):
    return {"start": start, "end": end, "text": TEXT[start:end], "labels": list(labels)}


def written(annotation, **options):
    return orjson.loads(write(annotation, Sink(**options)))


def test_entities_and_relations_are_regions_and_links():
    marks = (Mark(5, 9, "公司"), Mark(0, 2, "人名"))
    links = (Link(Mark(0, 2), "任职", Mark(5, 9)), Link(Mark(0, 2), "做", Mark(2, 4)))
    assert written(Annotation(TEXT, LINE, marks, links)) == {
        "data": {"text": TEXT},
        "annotations": [
            {
                "result": [
                    {"id": "r1", **NAMES, "value": value(0, 2, "人名")},
                    {"id": "r2", **NAMES, "value": value(2, 4)},  # of a relation, without a label
                    {"id": "r3", **NAMES, "value": value(5, 9, "公司")},
                    {"type": "relation", "from_id": "r1", "to_id": "r3", "direction": "right", "labels": ["任职"]},
                    {"type": "relation", "from_id": "r1", "to_id": "r2", "direction": "right", "labels": ["做"]},
                ]
            }
        ],
    }


def test_scores_make_predictions():
    marks, link = (
        (Mark(0, 2, "人名", None, 0.5), Mark(5, 9, "公司", None, 0.75)),
        Link(Mark(0, 2), "任职", Mark(5, 9), 1.0),
    )
    task = written(Annotation(TEXT, LINE, marks, (link,)))
    (prediction,) = task.pop("predictions")
    assert task == {"data": {"text": TEXT}}
    assert (prediction["model_version"], prediction["score"]) == ("nlpkit", 0.75)
    assert [item["score"] for item in prediction["result"]] == [0.5, 0.75, 1.0]


def test_a_text_without_annotations_is_completed_unless_a_model_found_nothing():
    assert written(Annotation(TEXT, LINE, ()))["annotations"] == [{"result": []}]
    task = written(Annotation(TEXT, LINE, ()), predicted=True)
    assert task["predictions"] == [{"model_version": "nlpkit", "result": []}]
    assert "annotations" not in task


def test_names_of_the_labelling_configuration():
    task = written(Annotation(TEXT, LINE, (Mark(0, 2, "人名"),)), from_name="ner", to_name="body", data_key="content")
    assert task["data"] == {"content": TEXT}
    (item,) = task["annotations"][0]["result"]
    assert (item["from_name"], item["to_name"]) == ("ner", "body")


# --- files ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("depth", "message"),
    [
        (1010, "a task is nested too deep|not a record like"),  # the limit of Python, and none since Python 3.12
        (5000, r"not a valid JSON array \(depth"),
    ],
)
def test_a_task_that_is_nested_too_deep(read, depth, message):
    with pytest.raises(DataError, match=rf"gold\.json:1: ({message})"):
        read(b'[{"data": ' + b"[" * depth + b"]" * depth + b"}]")


def test_a_broken_array_names_the_line(read):
    with pytest.raises(DataError, match=r"gold\.json:3: not a valid JSON array \(.+, column \d+\); export it again"):
        read(b'[{"id": 1},\n{"id": 2},\n{"id": 3]')
