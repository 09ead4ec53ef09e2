"""The Parquet file of `nlpkit embed --id` in LanceDB: the way out of `nlpkit search` to a vector database."""

import json

import pytest
from support import invoke, write_jsonl

TEXTS = ["花呗怎么还款", "今天北京天气很好", "怎样归还借呗", "明天上海有雨"]


def test_lancedb_finds_what_nlpkit_embedded(tmp_path, monkeypatch):
    lancedb, parquet = pytest.importorskip("lancedb"), pytest.importorskip("pyarrow.parquet")
    monkeypatch.chdir(tmp_path)
    write_jsonl(tmp_path / "faq.jsonl", [{"no": f"q{number}", "text": text} for number, text in enumerate(TEXTS)])
    written = invoke("embed", "faq.jsonl", "-m", "embed-static", "--id", "no", "-o", "faq.parquet")
    assert written.exit_code == 0, written.output
    table = lancedb.connect("vectors.lance").create_table("faq", parquet.read_table("faq.parquet"))
    asked = invoke("embed", "-m", "embed-static", text=TEXTS[2] + "\n")
    vector = json.loads(asked.stdout)["embedding"]
    first, second, *_ = table.search(vector, vector_column_name="embedding").metric("cosine").limit(4).to_list()
    assert (first["id"], first["text"]) == ("q2", TEXTS[2])
    assert first["_distance"] == pytest.approx(0, abs=1e-5)
    assert second["id"] == "q0"
