"""Why an answer: what the tree allowed at each token of it, and how likely the model held each to be."""

from typing import Any

import numpy as np
import torch

from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.tasks.kgqa.codec import ROOT, Forest, Question, collate
from nlpkit.tasks.kgqa.decoding.look_ahead import Ahead
from nlpkit.tasks.kgqa.graph.graph import Graph
from nlpkit.tasks.kgqa.graph.prefix_tree import NAME
from nlpkit.tasks.kgqa.model import KgqaNetwork

SHOWN = 5  # tokens of a step


@torch.inference_mode()
def steps(
    network: KgqaNetwork,
    tokenizer: CharTokenizer,
    graph: Graph,
    question: Question,
    key: int,
    look_ahead: bool,
) -> list[dict[str, Any]]:
    """The choices on the way to a key; places where nothing was to be chosen are passed over.

    Each has `after`, the tokens so far, with | for [SEP]; `allowed`, how many may follow; `chosen`; and `options`, the
    likeliest of them with their renormalised probabilities, after look-ahead where the model's search has it.
    """
    tree, names = graph.tree, tokenizer.tokens
    tokens = tree.tokens(key).tolist()
    forest = Forest()
    forest.extend(ROOT, tokens)
    batch = collate([question], [forest], tokenizer.pad_id)
    network.eval()
    states = network(batch.inputs.to(network.device))[0, len(question.ids) - 1 :]
    logits = network.generate(states).log_softmax(-1).double().cpu().numpy()
    ahead = Ahead(question, tree) if look_ahead else None
    subject = tree.keys(tree.subject(tree.name_of(key)))
    node, found = tree.root, []
    for place, token in enumerate(tokens):
        options, nodes = tree.next_tokens(node)
        if len(options) > 1:
            scores = logits[place, options]
            if ahead is not None and tree.level(node) != NAME:
                gains = ahead.gains(subject, tokens[:place], nodes.tolist())
                scores = scores if gains is None else scores / (gains + 1)
            weights = np.exp(scores - scores.max())
            weights /= weights.sum()
            best = np.argsort(-weights, kind="stable")[:SHOWN]
            shown = {int(options[i]): float(weights[i]) for i in best}
            shown.setdefault(token, float(weights[np.searchsorted(options, token)]))
            written = "".join("|" if t == tree.sep_id else names[t].removeprefix("##") for t in tokens[:place])
            found.append({
                "after": written,
                "allowed": len(options),
                "chosen": names[token],
                "options": {names[t]: round(weight, 4) for t, weight in shown.items()},
            })  # fmt: skip
        node = tree.advance(node, token)
    return found
