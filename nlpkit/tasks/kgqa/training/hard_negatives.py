"""Hard negatives: names similar to that of a question's subject: 南京大学 for a question about 南京理工大学.

The first or last tokens of the name are removed, inner tokens are removed, one token is replaced, or tokens of another
name are added before or after it. Combined with the subject's own facts these are the hardest negatives: only the name
is wrong.
"""

from typing import Literal

import numpy as np

from nlpkit.tasks.kgqa.codec import Question
from nlpkit.tasks.kgqa.graph.graph import Graph
from nlpkit.tasks.kgqa.graph.prefix_tree import NAME
from nlpkit.tasks.kgqa.retrieval.candidates import Mention
from nlpkit.tasks.kgqa.retrieval.name_borders import is_whole

Kind = Literal["shortened", "inner removed", "one replaced", "lengthened"]
KINDS: tuple[Kind, ...] = ("shortened", "inner removed", "one replaced", "lengthened")
PROBABILITIES = (0.55, 0.15, 0.15, 0.15)  # mostly shortened: the question contains such a name, so strings help least
MAX_CHANGED = 3  # tokens removed from an end, or added
MAX_INNER = 2  # tokens removed inside


def hard_negative(graph: Graph, question: Question, mention: Mention, random: np.random.Generator) -> Mention | None:
    """Return a mention of a name similar to another mention's, with the same facts; None if the change has no effect.

    Args:
        graph: graph of the mention; added tokens are those of its other names.
        question: question with the mention.
        mention: literal mention of the subject.
        random: random generator of the kind and the change.
    """
    tokens = question.tokens[mention.start : mention.end]
    kind = KINDS[int(random.choice(len(KINDS), p=PROBABILITIES))]
    start, end, size = mention.start, mention.end, len(tokens)
    if kind == "shortened" and size > 1:
        removed = int(random.integers(1, min(MAX_CHANGED, size - 1) + 1))
        before = int(random.integers(2)) * removed
        start, end = start + before, end - (removed - before)
        tokens = question.tokens[start:end]
    elif kind == "inner removed" and size > 2:
        removed = int(random.integers(1, min(MAX_INNER, size - 2) + 1))
        first = int(random.integers(1, size - removed))
        tokens = tokens[:first] + tokens[first + removed :]
        start = end = 0
    else:
        other = graph.tree.form(NAME, int(random.integers(len(graph.tree.subject_keys) - 1))).tolist()[:-1]
        if kind == "one replaced" and size > 1:
            tokens[int(random.integers(size))] = other[int(random.integers(len(other)))]
        else:
            added = int(random.integers(1, min(MAX_CHANGED, len(other)) + 1))
            if random.integers(2):
                tokens = tokens + other[-added:]
            else:
                tokens = other[:added] + tokens
                start = end = 0
    if tokens == question.tokens[mention.start : mention.end]:
        return None
    contained = end > start and tokens == question.tokens[start:end]
    literal = contained and is_whole(question.text, *question.character_span(start, end))
    return Mention(mention.name, start, end, literal, (*tokens, graph.tree.sep_id))
