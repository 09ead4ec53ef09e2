"""Which tokens the decoder encodes."""

from kgqa_support import TOKENIZER, make_graph, make_network, make_runner

from nlpkit.tasks.kgqa.codec import Question
from nlpkit.tasks.kgqa.decoding.beam_search import beam_search


def question(text):
    return Question.encode(text, TOKENIZER, 64)


def counting(monkeypatch):
    """Return a runner, and the list to which each call of its encoder adds the number of new tokens."""
    runner, calls = make_runner(make_network()), []
    encode = runner.encode

    def count(tokens, *rest):
        calls.append(len(tokens.sequence_ids))
        return encode(tokens, *rest)

    monkeypatch.setattr(runner, "encode", count)
    return runner, calls


def test_forced_tokens_cost_no_call_of_their_own(tmp_path, monkeypatch):
    triples = [("红楼梦", "作者", "曹雪芹"), ("红楼梦", "成书年代", "清代")]  # one choice: 作 or 成
    graph = make_graph(tmp_path / "g", triples)
    runner, calls = counting(monkeypatch)
    (hypotheses,) = beam_search(runner, graph.tree, [question("红楼梦的作者是谁？")], 3)
    assert len(hypotheses) == 2
    assert calls == [11, 4]  # the question, then 红楼梦[SEP] at once; the rest of each key is forced

    calls.clear()
    graph = make_graph(tmp_path / "one", triples[:1])
    ((only,),) = beam_search(runner, graph.tree, [question("红楼梦的作者是谁？")], 3)
    assert only.score == 0.0
    assert len(calls) == 1


def test_a_long_run_of_forced_tokens_is_encoded_in_pieces(tmp_path, monkeypatch):
    graph = make_graph(tmp_path / "g", [("红楼梦" * 5, "作者", "曹雪芹"), ("红楼梦" * 5, "年代", "清代")])
    runner, calls = counting(monkeypatch)
    whole = beam_search(runner, graph.tree, [question("红楼梦的作者是谁？")], 3)[0]
    calls.clear()
    pieces = beam_search(runner, graph.tree, [question("红楼梦的作者是谁？")], 3, max_tokens_per_call=3)[0]
    assert calls == [11, 3, 3, 3, 3, 3, 1]  # the question, then 15 tokens and [SEP]
    assert [hypothesis.key for hypothesis in pieces] == [hypothesis.key for hypothesis in whole]
    for piece, expected in zip(pieces, whole, strict=True):
        assert abs(piece.score - expected.score) < 1e-4
