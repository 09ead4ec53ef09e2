"""Names and candidate keys of a question."""

import pytest
from kgqa_support import TOKENIZER, TRIPLES, lcs, make_graph

from nlpkit.tasks.kgqa.codec import Question
from nlpkit.tasks.kgqa.retrieval.candidates import FEATURE_NAMES, CandidateFinder

MORE = (
    ("江西省", "省会", "南昌"),
    ("广西壮族自治区", "首府", "南宁"),
    *((f"南京{letter}站", "别名", "站") for letter in "的是谁什么请问在哪里"),
)


@pytest.fixture(scope="module")
def graph(tmp_path_factory):
    return make_graph(tmp_path_factory.mktemp("graph") / "g", [*TRIPLES, *MORE])


@pytest.fixture(scope="module")
def finder(graph):
    return CandidateFinder(graph)


def question(text):
    return Question.encode(text, TOKENIZER, 64)


def names(graph, mentions):
    return ["".join(graph.names.surface_forms(mention.name)[0]) for mention in mentions]


def test_the_longest_names_come_first(graph, finder):
    asked = question("长江和红楼梦的江")
    mentions = finder.mentions(asked)
    assert names(graph, mentions) == ["红楼梦", "长江", "江"]
    assert [(m.start, m.end) for m in mentions] == [(3, 6), (0, 2), (1, 2)]
    assert names(graph, finder.mentions(asked, 1)) == ["红楼梦"]
    assert finder.mentions(question("")) == []


def test_a_candidate_for_each_key_with_string_features(graph, finder):
    asked = question("长江的长度是多少？")
    mentions = finder.mentions(asked, 1)
    found = finder.candidates(asked, mentions)
    keys = {graph.triple(c.key)[2]: dict(zip(FEATURE_NAMES, c.features, strict=True)) for c in found}
    assert set(keys) == {"长度", "发源地"}
    rest = "的长度是多少？"
    for predicate, features in keys.items():
        assert features["predicate_in_rest"] == lcs(rest, predicate) / len(predicate)
        assert features["rest_in_predicate"] == lcs(rest, predicate) / len(rest)
        assert features["is_contained"] == float(predicate in rest)
    assert keys["长度"]["question_in_name"] == 2 / 9
    assert keys["长度"]["name_in_question"] == keys["长度"]["is_mentioned"] == 1.0
    assert keys["长度"]["is_two_tokens"] == 1.0
    assert keys["长度"]["bigrams_in_rest"] == 1.0


def test_of_many_keys_the_best_matching_are_kept(graph, finder):
    asked = question("红楼梦的导演是谁？")
    (mention,) = finder.mentions(asked)
    chosen = finder.candidates(asked, [mention], max_keys=1)
    assert [graph.triple(c.key)[2] for c in chosen] == ["导演"]
    everything = finder.candidates(asked, [mention], max_keys=4)
    assert [c.key for c in everything] == sorted(c.key for c in everything)
    assert len(everything) == 4


def test_a_sense_is_encoded_only_if_there_are_several(graph, finder, tmp_path):
    asked = question("红楼梦的导演是谁？")
    trie = finder.trie(finder.candidates(asked, finder.mentions(asked)))
    ends = [trie.tokens[leaf] for leaf in trie.leaves]
    assert set(ends) == {TOKENIZER.sep_id}
    assert max(trie.depths) == 3 + 1 + 4 + 1 - 1  # 红楼梦 [SEP] 成书年代 [SEP], without a sense
    doubled = make_graph(tmp_path / "two", [("红楼梦（小说）", "作者", "曹"), ("红楼梦（剧）", "作者", "王")])
    second = CandidateFinder(doubled)
    trie = second.trie(second.candidates(asked, second.mentions(asked)))
    assert sorted(trie.depths[leaf] for leaf in trie.leaves) == [8, 9]  # … 作者 [SEP] 剧 [SEP]


def test_the_first_tokens_of_a_fact_s_object_follow_its_key(graph, finder):
    asked = question("红楼梦的作者是谁？")
    candidates = finder.candidates(asked, finder.mentions(asked))
    keys = finder.trie(candidates)
    reading = CandidateFinder(graph, object_tokens=2).trie(candidates)
    for candidate, key, leaf in zip(candidates, keys.leaves, reading.leaves, strict=True):
        read = TOKENIZER.encode(graph.objects(candidate.key)[0]).ids[:2]
        assert path(reading, leaf) == path(keys, key) + read
    assert max(len(graph.objects(candidate.key)[0]) for candidate in candidates) > 2


def path(trie, node):
    """Return the tokens from the root to a node."""
    return [] if node < 0 else [*path(trie, trie.parents[node]), trie.tokens[node]]
