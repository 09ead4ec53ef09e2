"""Questions and keys as tokens of the network."""

from hypothesis import given
from kgqa_support import TOKENIZER
from support import texts

from nlpkit.tasks.kgqa.codec import ROOT, KeyTrie, Question, ancestor_mask, key_tokens, question_tokens


def question(text="红楼梦的作者是谁？", length=64):
    return Question.encode(text, TOKENIZER, length)


def test_tokens_of_keys_come_after_their_questions():
    questions, tries = [question("长江"), question()], [KeyTrie(), KeyTrie()]
    tries[0].extend(ROOT, [9, 3])
    tries[0].extend(ROOT, [9, 5])
    tries[1].extend(ROOT, [7])
    tokens = key_tokens(questions, tries)
    first, second = (len(asked.ids) for asked in questions)
    assert tokens.input_ids.tolist() == [9, 3, 5, 7]
    assert tokens.token_type_ids.tolist() == [1, 1, 1, 1]
    assert tokens.position_ids.tolist() == [first, first + 1, first + 1, second]
    assert tokens.sequence_ids.tolist() == [0, 0, 0, 1]
    assert tokens.cache_positions.tolist() == [first, first + 1, first + 2, second]
    assert tokens.slots.tolist() == [0, 1, 2, 0]
    assert tokens.attention_mask.shape == (2, 3, max(first + 3, second + 1))
    assert tokens.attention_mask[0, 2].nonzero()[0].tolist() == [*range(first), first, first + 2]
    assert tokens.attention_mask[1, 0].nonzero()[0].tolist() == list(range(second + 1))


def test_tokens_of_questions_attend_to_their_question():
    questions = [question("长江"), question()]
    tokens = question_tokens(questions)
    assert tokens.input_ids.tolist() == [*questions[0].ids, *questions[1].ids]
    for row, asked in enumerate(questions):
        size = len(asked.ids)
        assert tokens.cache_positions[tokens.sequence_ids == row].tolist() == list(range(size))
        assert tokens.attention_mask[row, :size].all(0).nonzero()[0].tolist() == list(range(size))
    assert not tokens.token_type_ids.any()


def test_a_tree_holds_common_beginnings_once():
    trie = KeyTrie()
    ends = [trie.extend(ROOT, key) for key in ([1, 2, 3], [1, 2, 4], [5])]
    assert trie.tokens == [1, 2, 3, 4, 5]
    assert trie.parents == [-1, 0, 1, 1, -1]
    assert trie.depths == [0, 1, 2, 2, 0]
    assert ends == [2, 3, 4]
    assert trie.path([1, 2, 4, 9]) == [0, 1, 3]
    assert ancestor_mask(trie.parents).tolist()[3] == [True, True, False, True, False]


@given(texts)
def test_spans_are_those_of_the_characters(text):
    encoded = question(text, 32)
    assert len(encoded.ids) <= 32
    assert encoded.truncated == (len(encoded.encoding) > 30)
    for token in range(len(encoded.tokens)):
        start, end = encoded.encoding.starts[token], encoded.encoding.ends[token]
        assert encoded.token_span(start, end) == (token, token + 1)
        assert end - start == 1 or encoded.token_span(start, end - 1) is None


def test_a_span_beyond_the_row_or_across_units_is_none():
    encoded = question("长江iPhone" + "江" * 50, 16)
    assert encoded.truncated
    assert encoded.token_span(0, 2) == (0, 2)
    assert encoded.token_span(0, 3) is None or encoded.encoding.ends[encoded.token_span(0, 3)[1] - 1] == 3
    assert encoded.token_span(40, 41) is None
    assert question("").token_span(0, 1) is None
