"""JSON records of replies."""

from kgqa_support import make_graph

from nlpkit.core.io.records import Line
from nlpkit.tasks.kgqa.data import Answer, Example, Reply, to_record

FIRST = Answer("红楼梦", "古典小说", "作者", ("曹雪芹",), 1.0)
ANSWERS = (
    Answer("曹雪芹", "", "出生地", ("南京", "江宁"), 0.87654321, path=(FIRST,), key=3),
    Answer("曹雪芹", "", "别名", ("芹溪",), 0.1),
)


def test_the_keys_of_a_record():
    record = to_record("问？", Reply("ok", ANSWERS, 0.02))
    first = {"subject": "红楼梦", "meaning": "古典小说", "predicate": "作者", "objects": ["曹雪芹"], "score": 1.0}
    assert record == {
        "question": "问？",
        "status": "ok",
        "answers": [
            {
                "subject": "曹雪芹",
                "meaning": "",
                "predicate": "出生地",
                "objects": ["南京", "江宁"],
                "score": 0.8765,
                "path": [first],
            },
            {"subject": "曹雪芹", "meaning": "", "predicate": "别名", "objects": ["芹溪"], "score": 0.1},
        ],
    }


def test_fields_of_the_input_and_a_limit_of_answers():
    record = to_record("问？", Reply("unsure", ANSWERS, truncated=True), {"id": 7, "question": "问？"}, max_answers=1)
    assert list(record) == ["id", "question", "status", "answers", "truncated"]
    assert len(record["answers"]) == 1
    assert to_record("", Reply("not_in_graph"), {}) == {"status": "not_in_graph", "answers": []}


def test_triples_for_the_metric():
    assert FIRST.triple == ("红楼梦（古典小说）", "作者", "曹雪芹")
    assert ANSWERS[0].triple == ("曹雪芹", "出生地", "南京")


def test_the_key_of_an_example(tmp_path):
    graph = make_graph(tmp_path / "g")

    def key(name, sense, predicate):
        return Example("问？", name, sense, predicate, "", Line("", "gold", 1)).find_key(graph)

    assert graph.triple(key("红楼梦", "电视剧", "导演")) == ("红楼梦", "电视剧", "导演")
    assert [key("红楼梦", "", "导演"), key("红楼梦", "电视剧", "作者"), key("水浒传", "", "作者")] == [None] * 3
