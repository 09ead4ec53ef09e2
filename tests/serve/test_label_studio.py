"""Pre-annotations are read by nlpkit's own reader of Label Studio's format."""

import json

from nlpkit.cli.gold import read_gold
from nlpkit.core.io.records import ErrorPolicy
from nlpkit.serve.label_studio import predictions, texts_of_tasks

TEXT = "😀王小明在𠮷野家工作"


def test_predictions_are_annotations_of_label_studio(tmp_path):
    entities = [
        {"start": 1, "end": 4, "label": "name", "text": "王小明", "score": 0.9},
        {"start": 5, "end": 8, "label": "company", "text": "𠮷野家", "score": 0.75},
    ]
    (prediction,) = predictions([{"text": TEXT, "entities": entities}], "v1")["results"]
    assert (prediction["score"], prediction["model_version"]) == (0.75, "v1")
    task = {"id": 1, "data": {"text": TEXT}, "annotations": [{"id": 1, "result": prediction["result"]}]}
    path = tmp_path / "export.json"
    path.write_text(json.dumps([task], ensure_ascii=False), encoding="utf-8")
    (example,) = read_gold("ner", [str(path)], "utf-8", ErrorPolicy(), format="labelstudio")
    found = [(entity.start, entity.end, entity.label) for entity in example.entities]
    assert found == [(1, 4, "name"), (5, 8, "company")]


def test_the_texts_of_tasks():
    assert texts_of_tasks({"tasks": [{"data": {"text": TEXT}}, {"data": {"text": ""}}]}) == [TEXT, ""]
