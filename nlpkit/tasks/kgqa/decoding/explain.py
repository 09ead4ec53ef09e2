"""Explain an answer: the tokens that the tree allowed at each step of its key, with their probabilities."""

from typing import Any

import numpy as np

from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.tasks.kgqa.codec import ROOT, KeyTrie, Question, key_tokens, question_tokens
from nlpkit.tasks.kgqa.decoding.look_ahead import LookAhead
from nlpkit.tasks.kgqa.graph.prefix_tree import NAME, PrefixTree
from nlpkit.tasks.kgqa.network.runner import KgqaRunner, log_softmax

MAX_OPTIONS = 5  # shown per step


def explain_key(
    runner: KgqaRunner, tokenizer: CharTokenizer, tree: PrefixTree, question: Question, key: int, look_ahead: bool
) -> list[dict[str, Any]]:
    """Return the steps of a key at which several tokens were allowed.

    Each step has `after`, the tokens so far, with | for [SEP]; `allowed`, the number of allowed tokens; `chosen`, the
    token of the key; and `options`, the most probable tokens with their renormalised probabilities, after look-ahead if
    it is used.

    Raises:
        DataError: the graph is damaged.
    """
    vocabulary = tokenizer.tokens
    tokens = tree.tokens(key).tolist()
    trie = KeyTrie()
    trie.extend(ROOT, tokens)
    cache = runner.new_cache()
    end = runner.encode(question_tokens([question]), np.array([len(question.ids) - 1]), cache)
    states = runner.encode(key_tokens([question], [trie]), np.arange(len(tokens)), cache)
    logits = log_softmax(runner.generate(np.concatenate([end, states]))).astype(np.float64)
    gains_of = LookAhead(question, tree) if look_ahead else None
    name_keys = tree.keys(tree.subject(tree.name_of(key)))
    node, steps = tree.root, []
    for depth, token in enumerate(tokens):
        options, nodes = tree.next_tokens(node)
        if len(options) > 1:
            scores = logits[depth, options]
            if gains_of is not None and tree.level(node) != NAME:
                gains = gains_of.gains(name_keys, tokens[:depth], nodes.tolist())
                scores = scores if gains is None else scores / (gains + 1)
            probabilities = np.exp(scores - scores.max())
            probabilities /= probabilities.sum()
            best = np.argsort(-probabilities, kind="stable")[:MAX_OPTIONS]
            shown = {int(options[i]): float(probabilities[i]) for i in best}
            shown.setdefault(token, float(probabilities[np.searchsorted(options, token)]))
            prefix = "".join("|" if t == tree.sep_id else vocabulary[t].removeprefix("##") for t in tokens[:depth])
            steps.append({
                "after": prefix,
                "allowed": len(options),
                "chosen": vocabulary[token],
                "options": {vocabulary[t]: round(probability, 4) for t, probability in shown.items()},
            })  # fmt: skip
        try:
            node = tree.advance(node, token)
        except KeyError:
            raise tree.damaged(ValueError("a key that is not in the tree")) from None
    return steps
