"""`nlpkit export`."""

from support import records


def test_the_record_and_the_folder(nlpkit, tiny, tmp_path):
    (record,) = records(nlpkit("export", tiny, "-o", tmp_path / "out"))
    assert list(record) == ["folder", "task", "max_difference"]
    assert (record["folder"], record["task"]) == (str(tmp_path / "out"), "ner")
    assert (tmp_path / "out" / "model.onnx").is_file()
