"""Records and lines of annotation tools, for the tests of their formats."""

from nlpkit.tasks.ner.data import Entity

TEXT = "李娜任职于阿里巴巴"
LI, ALI = Entity(0, 2, "人名"), Entity(5, 9, "公司")


def region(start, end, *labels, text=None, kind="labels", id="a", **more):
    value = {"start": start, "end": end, kind: list(labels), **more}
    return {"id": id, "type": kind, "value": value if text is None else {**value, "text": text}}


def link(one, other, *labels, **more):
    return {"type": "relation", "from_id": one, "to_id": other, "labels": list(labels), **more}


def task(*results, text=TEXT, **more):
    return {"id": 3, "data": {"text": text}, "annotations": [{"id": 1, "result": list(results)}], **more}


def several():
    annotations = [
        {"completed_by": 17, "result": [region(0, 2, "人名")]},
        {"completed_by": {"id": 23, "email": "b@example.org"}, "result": [region(5, 9, "公司")]},
        {"completed_by": 23, "was_cancelled": True, "result": []},
    ]
    return task(annotations=annotations)


def doccano(**changes):
    entities = [
        {"id": 4, "label": "人名", "start_offset": 0, "end_offset": 2},
        {"id": 9, "label": "公司", "start_offset": 5, "end_offset": 9},
    ]
    return {
        "text": TEXT,
        "entities": entities,
        "relations": [{"id": 1, "from_id": 4, "to_id": 9, "type": "任职"}],
        **changes,
    }


LINES = ("T1\t人名 0 2\t李娜", "T2\t公司 5 9\t阿里巴巴", "R1\t任职 Arg1:T1 Arg2:T2", "T3\t任职 2 4\t任职")
EVENT = ("E1\t任职:T3 谁:T1 谁2:T2 里2:T2", "A1\t方式 E1 全职")
