"""Shards on Ray: the actor without a cluster, and addresses at which none answers.

Real clusters are in tests/cli/test_distributed.py.
"""

import json
import socket

import pytest
from support import write_jsonl

from nlpkit.core.io.records import dump_line, input_format, read_records
from nlpkit.core.pipeline.processor import Piece, Processor
from nlpkit.core.pipeline.ray_job import RayError, ShardActor, connected
from nlpkit.core.pipeline.shards import cut


def make(device):
    def process(records):
        return Piece(b"".join(dump_line({"text": record.text, "device": device}) for record in records))

    return Processor(process)


def read(parts, errors, fields):
    return read_records(parts, on_error=errors)


@pytest.fixture
def call(tmp_path):
    """Calls an actor with the shards of a file; gives its rows."""

    def call(path, policy="fail"):
        (tmp_path / "out").mkdir(exist_ok=True)
        actor = ShardActor(
            make, "cpu", read, str(tmp_path / "out"), ".jsonl", {}, policy, 1 << 20, policy == "skip", str(tmp_path)
        )
        part = cut([path], "utf-8", input_format)[0].part
        batch = {"number": [3], "path": [part.path], "start": [part.start], "end": [part.end], "line": [part.line]}
        return actor(batch)

    return call


def test_an_actor_writes_the_output_of_a_shard(call, tmp_path):
    path = write_jsonl(tmp_path / "a.jsonl", [{"text": "一"}, {"text": "二"}])
    assert call(path) == {"records": [2], "bad": [0], "error": [""]}
    lines = (tmp_path / "out" / "part-000003.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line) for line in lines] == [{"text": "一", "device": "cpu"}, {"text": "二", "device": "cpu"}]


def test_an_actor_gives_an_error_as_its_message(call, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "一"}\n{\n')
    (message,) = call(str(tmp_path / "a.jsonl"))["error"]
    assert message.startswith(f"{tmp_path}/a.jsonl:2: not valid JSON")
    assert list((tmp_path / "out").iterdir()) == []


def test_an_actor_writes_bad_records_beside_the_output(call, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"text": "一"}\n{\n')
    assert call(str(tmp_path / "a.jsonl"), "skip") == {"records": [1], "bad": [1], "error": [""]}
    (bad,) = (tmp_path / "out" / "bad-part-000003.jsonl").read_text(encoding="utf-8").splitlines()
    assert {name: json.loads(bad)[name] for name in ("line", "record")} == {"line": 2, "record": "{"}


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@pytest.mark.parametrize("scheme", ["", "ray://"])
def test_an_address_at_which_no_cluster_answers(scheme):
    pytest.importorskip("ray")
    address = f"{scheme}127.0.0.1:{free_port()}"
    with pytest.raises(RayError, match=rf"--ray {address}: no cluster answers \(.*refused\); start one with"):
        connected(address).__enter__()
