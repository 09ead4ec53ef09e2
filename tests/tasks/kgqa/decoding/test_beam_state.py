"""The beams of a question, with scores from a table instead of a network, against a search token by token."""

import random

import pytest
from kgqa_support import TOKENIZER, make_graph, stepwise

from nlpkit.tasks.kgqa.codec import Question
from nlpkit.tasks.kgqa.decoding.beam_state import Beam, BeamState, Hypothesis, extended, skip_forced

QUESTION = Question.encode("红楼梦的作者是谁？", TOKENIZER, 64)


def random_tree(folder, chance):
    def word(longest):
        return "".join(chance.choices("红楼梦作者江", k=chance.randint(1, longest)))

    triples = {(word(3) + chance.choice(["", f"（{word(2)}）"]), word(3), "x") for _ in range(chance.randint(1, 25))}
    return make_graph(folder, sorted(triples)).tree


class Scores:
    """A log-probability for each choice of a token after a prefix; 0 where there is no choice."""

    def __init__(self, tree, draw):
        keys = [tuple(tree.tokens(key).tolist()) for key in range(len(tree))]
        self.keys, self.of_prefix = [list(key) for key in keys], {(): 0.0}
        for key in keys:
            for place in range(len(key)):
                allowed = {other[place] for other in keys if other[:place] == key[:place]}
                for token in sorted(allowed):
                    prefix = (*key[:place], token)
                    if prefix not in self.of_prefix:
                        self.of_prefix[prefix] = self.of_prefix[key[:place]] - (draw() if len(allowed) > 1 else 0.0)

    def prefix_of(self, tree, node, length):
        return tuple(tree.tokens(tree.keys(node)[0]).tolist()[:length])


def run(tree, scores, width):
    """Search; what the decoder does with the waiting beams is done from the table."""
    state = BeamState.start(QUESTION, width, None, tree)
    while True:
        state.advance(tree)
        if state.is_done():
            return state.best()
        for beam in state.waiting:
            tokens, nodes = tree.next_tokens(beam.node)
            prefix = scores.prefix_of(tree, beam.node, beam.length)
            options = [
                (scores.of_prefix[(*prefix, token)], token, node)
                for token, node in zip(tokens.tolist(), nodes.tolist(), strict=True)
            ]
            beam.options = sorted(options, key=lambda option: -option[0])[: 2 * width]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("ties", [False, True])
def test_it_is_the_search_token_by_token(tmp_path, seed, ties):
    """With ties, too: they keep the order of the beams, then of the tokens."""
    chance = random.Random(seed)
    tree = random_tree(tmp_path / "g", chance)
    scores = Scores(tree, (lambda: float(chance.randint(0, 2))) if ties else lambda: chance.expovariate(1))
    for width in (1, 2, 3, len(tree)):
        expected = stepwise(scores.of_prefix, scores.keys, width)
        found = run(tree, scores, width)
        assert [scores.keys[hypothesis.key] for hypothesis in found] == [list(key) for key, _ in expected]
        assert [hypothesis.score for hypothesis in found] == pytest.approx([score for _, score in expected])


def test_a_tree_of_one_key_needs_no_scores(tmp_path):
    tree = make_graph(tmp_path / "g", [("红楼梦", "作者", "曹雪芹")]).tree
    state = BeamState.start(QUESTION, 3, None, tree)
    (beam,) = state.beams
    assert (beam.key, beam.length, beam.pending) == (0, tree.length(0), [])
    state.advance(tree)
    assert (state.is_done(), state.waiting, state.best()) == (True, [], [Hypothesis(0, 0.0)])


@pytest.fixture
def tree(tmp_path):
    """红楼梦 has two predicates, 长江 one; a choice at the root, and one after the name 红楼梦."""
    triples = [("红楼梦", "作者", "曹雪芹"), ("红楼梦", "年代", "清代"), ("长江", "长度", "6300公里")]
    return make_graph(tmp_path / "g", triples).tree


def ids(text):
    return TOKENIZER.encode(text).ids


def test_forced_tokens_are_pending(tree):
    """The tokens up to the next choice wait to be encoded together with the chosen one."""
    root = skip_forced(tree, Beam(tree.root, 0.0, 0, [], []))
    assert (root.node, root.pending, root.key) == (tree.root, [], None)
    (red,) = ids("红")
    beam = extended(tree, root, -1.0, red, tree.advance(tree.root, red))
    assert beam.pending == [*ids("红楼梦"), tree.sep_id]
    assert (beam.length, beam.next_length, beam.score, beam.key, beam.options) == (4, 5, -1.0, None, None)
    assert len(tree.next_tokens(beam.node)[0]) == 2
    assert (root.pending, root.length) == ([], 0)  # the beam that it continues is not changed


def test_the_only_key_left_is_taken_whole(tree):
    (long,) = ids("长")
    beam = extended(tree, Beam(tree.root, 0.0, 0, [], [7]), -0.5, long, tree.advance(tree.root, long))
    assert beam.key is not None
    assert (beam.length, beam.next_length) == (tree.length(beam.key),) * 2
    assert (beam.pending, beam.cache_positions) == ([long], [7])


def test_beams_that_cannot_win_are_dropped(tree):
    """Scores never increase: a beam that is no better than the worst of enough complete keys is given up."""
    state = BeamState(QUESTION, 2, None, [Beam(0, score, 1, [], []) for score in (-1.0, -2.0, -3.0)])
    state.finished = [Hypothesis(0, -0.5)]
    assert not state.is_done()
    assert len(state.beams) == 3  # one more key is needed
    state.finished += [Hypothesis(1, -2.0), Hypothesis(2, -9.0)]
    assert not state.is_done()
    assert [beam.score for beam in state.beams] == [-1.0]
    state.finished.append(Hypothesis(3, -1.0))
    assert state.is_done()
    assert state.best() == [Hypothesis(0, -0.5), Hypothesis(3, -1.0)]
