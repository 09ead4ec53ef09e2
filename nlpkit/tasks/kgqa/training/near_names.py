"""Names like that of a question's subject, which the question does not mean: 南京大学 where it asks about 南京理工大学.

The first or the last tokens of a name are cut off, inner ones are left out, one is replaced, or tokens of another name
are put before or behind it. With the subject's own facts these are the hardest of wrong candidates: all that is wrong
about them is the name.
"""

from typing import Literal

import numpy as np

from nlpkit.tasks.kgqa.codec import Question
from nlpkit.tasks.kgqa.graph.graph import Graph
from nlpkit.tasks.kgqa.graph.prefix_tree import NAME
from nlpkit.tasks.kgqa.retrieval.candidates import Mention
from nlpkit.tasks.kgqa.retrieval.name_borders import is_whole

Kind = Literal["shortened", "inner left out", "one replaced", "lengthened"]
KINDS: tuple[Kind, ...] = ("shortened", "inner left out", "one replaced", "lengthened")
SHARES = (0.55, 0.15, 0.15, 0.15)  # a shortened one stands in the question, so that the strings tell least of it
CHANGED = 3  # tokens that are cut off or added at the most
INNER = 2  # tokens that are left out inside at the most


def near_mention(graph: Graph, question: Question, mention: Mention, random: np.random.Generator) -> Mention | None:
    """Return a mention of a name near that of another mention, with the same facts; None where none could be made.

    Args:
        graph: of the mention; the tokens of its other names are what is added.
        question: that contains the mention.
        mention: literal.
        random: draws the kind and the change.
    """
    tokens = question.units[mention.start : mention.end]
    kind = KINDS[int(random.choice(len(KINDS), p=SHARES))]
    start, end, size = mention.start, mention.end, len(tokens)
    if kind == "shortened" and size > 1:
        cut = int(random.integers(1, min(CHANGED, size - 1) + 1))
        before = int(random.integers(2)) * cut
        start, end = start + before, end - (cut - before)
        tokens = question.units[start:end]
    elif kind == "inner left out" and size > 2:
        gone = int(random.integers(1, min(INNER, size - 2) + 1))
        first = int(random.integers(1, size - gone))
        tokens = tokens[:first] + tokens[first + gone :]
        start = end = 0
    else:
        other = graph.tree.form(NAME, int(random.integers(len(graph.tree.subject_keys) - 1))).tolist()[:-1]
        if kind == "one replaced" and size > 1:
            tokens[int(random.integers(size))] = other[int(random.integers(len(other)))]
        else:
            piece = int(random.integers(1, min(CHANGED, len(other)) + 1))
            if random.integers(2):
                tokens = tokens + other[-piece:]
            else:
                tokens = other[:piece] + tokens
                start = end = 0
    if tokens == question.units[mention.start : mention.end]:
        return None
    same = end > start and tokens == question.units[start:end]
    literal = same and is_whole(question.text, *question.characters(start, end))
    return Mention(mention.name, start, end, literal, (*tokens, graph.tree.sep_id))
