"""Temperature and thresholds of a model, found on gold questions.

Each question is scored over the graph as it is, without its subject, and with its subject under a near name only (see
`near`), so that `ok` is learnt from questions that have no answer, too. The names of a question alone count: whatever
else is found is never `ok`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np

from nlpkit.tasks.kgqa.codec import Question
from nlpkit.tasks.kgqa.data import Example
from nlpkit.tasks.kgqa.retrieval.candidates import Candidates, Mention
from nlpkit.tasks.kgqa.retrieval.ranker import Ranked, Ranker
from nlpkit.tasks.kgqa.training.dataset import find_key
from nlpkit.tasks.kgqa.training.near_names import near_mention

TEMPERATURES = tuple(round(0.5 * 1.1**step, 3) for step in range(20))
ABSENT_THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))
OK_THRESHOLDS = tuple(round(0.01 * step, 2) for step in range(50, 100))
MENTION_THRESHOLDS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
MOST_ABSENT, MOST_NEAR = 0.015, 0.03  # `ok` among questions whose subject is gone, or is there under a near name only
LEAST_RIGHT = 0.875  # of the answers that are `ok`
SEED = 0


class Outcome(NamedTuple):
    """The best answer to a question.

    Attributes:
        probability: of it.
        mention: probability that its name is the subject of the question.
        eligible: whether it can be `ok`: the question contains its name, and the graph seems to hold the answer.
        right: whether it is the gold one.
    """

    probability: float
    mention: float
    eligible: bool
    right: bool


@dataclass(frozen=True, slots=True)
class _Case:
    """A question with the gold key, the names in it, and a name near that of the subject."""

    question: Question
    key: int
    names: list[Mention]
    others: list[Mention]
    near: Mention | None


def calibrate(ranker: Ranker, to_question: Callable[[str], Question], examples: Sequence[Example]) -> dict[str, float]:
    """Return the temperature and the thresholds that are best on gold examples; nothing where none can be used.

    `temperature` has the greatest likelihood. `absent` tells questions with an answer from those without one, by
    balanced accuracy. For `threshold` and `mention` see `ok_thresholds`.

    Args:
        ranker: of the model and the graph.
        to_question: tokenizes a question.
        examples: questions with their triples.
    """
    random = np.random.default_rng([SEED, len(examples)])
    cases = [case for example in examples if (case := _case(ranker.finder, to_question, example, random)) is not None]
    present = _scored(ranker, cases, [case.names for case in cases])
    places = [_place(result, case.key) for result, case in zip(present, cases, strict=True)]
    known = [index for index, result in enumerate(present) if result.candidates]
    if not known:
        return {}
    cases = [cases[index] for index in known]
    pairs = [(present[index], places[index]) for index in known]
    temperature = min(TEMPERATURES, key=lambda t: sum(_surprise(result, place, t) for result, place in pairs))
    gone = _scored(ranker, cases, [case.others for case in cases])
    renamed = [case for case in cases if case.near is not None]
    near = _scored(ranker, renamed, [[*case.others, case.near] for case in renamed if case.near is not None])
    lost = [result.probabilities(temperature)[1] for result in gone]
    absent = best_threshold(lost, [result.probabilities(temperature)[1] for result, _ in pairs])
    outcomes = (
        [_outcome(result, place, temperature, absent) for result, place in pairs],
        [_outcome(result, -1, temperature, absent) for result in gone],
        [_outcome(result, -1, temperature, absent) for result in near],
    )
    threshold, mention = ok_thresholds(*outcomes)
    return {"temperature": temperature, "absent": absent, "threshold": threshold, "mention": mention}


def ok_thresholds(present: Sequence[Outcome], gone: Sequence[Outcome], near: Sequence[Outcome]) -> tuple[float, float]:
    """Return the thresholds of an answer and of its mention that give the most right answers the status `ok`.

    Few enough answers may be `ok` and wrong; see the constants above. Where no thresholds are that strict, that of the
    answer has the best balanced accuracy between right answers and others, and that of the mention is the highest.

    Args:
        present: of questions whose subject the graph has.
        gone: of questions whose subject it has not.
        near: of questions whose subject it has under a near name only.
    """
    best, most = None, 0
    for pair in product(OK_THRESHOLDS, MENTION_THRESHOLDS):
        sure = [outcome.right for outcome in present if _is_ok(outcome, *pair)]
        few = _ok_share(gone, *pair) <= MOST_ABSENT and _ok_share(near, *pair) <= MOST_NEAR
        if few and sum(sure) > most and sum(sure) >= LEAST_RIGHT * len(sure):
            best, most = pair, sum(sure)
    if best is not None:
        return best
    right = [outcome.probability for outcome in present if outcome.right]
    wrong = [o.probability for o in (*present, *gone, *near) if o.eligible and not o.right]
    return best_threshold(right, wrong), MENTION_THRESHOLDS[-1]


def best_threshold(above: Sequence[float], below: Sequence[float]) -> float:
    """Return the threshold with the best balanced accuracy; 0.5 where one side is empty."""
    if not above or not below:
        return 0.5
    high, low = np.array(above), np.array(below)
    return max(ABSENT_THRESHOLDS, key=lambda t: float((high >= t).mean() + (low < t).mean()))


def _case(
    finder: Candidates, to_question: Callable[[str], Question], example: Example, random: np.random.Generator
) -> _Case | None:
    graph = finder.graph
    key = find_key(graph, example)
    if key is None:
        return None
    question, name = to_question(example.text), graph.tree.name_of(key)
    mentions = finder.mentions(question)
    subject = next((mention for mention in mentions if mention.name == name), None)
    near = None
    if subject is not None and subject.literal:
        near = near_mention(graph, question, subject, random)
    return _Case(question, key, mentions, [m for m in mentions if m.name != name], near)


def _scored(ranker: Ranker, cases: Sequence[_Case], names: Sequence[Sequence[Mention]]) -> list[Ranked]:
    questions = [case.question for case in cases]
    found = [ranker.finder.of(question, mentions) for question, mentions in zip(questions, names, strict=True)]
    return ranker.rank(questions, found)


def _place(result: Ranked, key: int) -> int:
    return next((index for index, candidate in enumerate(result.candidates) if candidate.key == key), -1)


def _surprise(result: Ranked, gold: int, temperature: float) -> float:
    probabilities, absent = result.probabilities(temperature)
    return -math.log(max(1e-12, float(probabilities[gold]) if gold >= 0 else absent))


def _outcome(result: Ranked, gold: int, temperature: float, absent: float) -> Outcome:
    if not result.candidates:
        return Outcome(0.0, 0.0, False, False)
    probabilities, none = result.probabilities(temperature)
    best = result.order()[0]
    literal = result.candidates[best].mention.literal
    borders = float(result.borders[best])
    return Outcome(float(probabilities[best]), borders, literal and none < absent, best == gold)


def _is_ok(outcome: Outcome, threshold: float, mention: float) -> bool:
    return outcome.eligible and outcome.probability >= threshold and outcome.mention >= mention


def _ok_share(outcomes: Sequence[Outcome], threshold: float, mention: float) -> float:
    return sum(_is_ok(outcome, threshold, mention) for outcome in outcomes) / max(1, len(outcomes))
