"""Calibrate the temperature and the thresholds of a model on gold questions.

Each question is ranked three times: over the graph as it is; without its subject; and with its subject replaced by a
hard negative. So the thresholds of `ok` also take account of questions that the graph cannot answer. Only exact
mentions are ranked, because answers about other names are never `ok`.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product
from typing import NamedTuple

import numpy as np

from nlpkit.tasks.kgqa.codec import Question
from nlpkit.tasks.kgqa.data import Example
from nlpkit.tasks.kgqa.retrieval.candidates import CandidateFinder, Mention
from nlpkit.tasks.kgqa.retrieval.ranker import Ranker, Ranking
from nlpkit.tasks.kgqa.training.hard_negatives import hard_negative

TEMPERATURES = tuple(round(0.5 * 1.1**step, 3) for step in range(20))
ABSENT_THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))
OK_THRESHOLDS = tuple(round(0.01 * step, 2) for step in range(50, 100))
MENTION_THRESHOLDS = (0.0, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5)
MAX_OK_ABSENT = 0.015  # fraction of `ok` among questions whose subject is not in the graph
MAX_OK_NEGATIVE = 0.03  # fraction of `ok` among questions whose subject is replaced by a hard negative
MIN_OK_PRECISION = 0.89  # fraction of correct answers among those that are `ok`
SEED = 0


class Outcome(NamedTuple):
    """Best answer to a question.

    Attributes:
        probability: probability of the answer.
        mention: probability that its name is the subject of the question.
        eligible: whether it can be `ok`: the question contains its name, and p_unanswerable is below `absent`.
        correct: whether it is the gold answer.
    """

    probability: float
    mention: float
    eligible: bool
    correct: bool


@dataclass(frozen=True, slots=True)
class _Case:
    """A question with its gold key.

    Attributes:
        question: question.
        key: gold key.
        mentions: names in the question.
        others: names in the question without that of the subject.
        negative: hard negative of the subject, if the question contains its name.
    """

    question: Question
    key: int
    mentions: list[Mention]
    others: list[Mention]
    negative: Mention | None


def calibrate(ranker: Ranker, to_question: Callable[[str], Question], examples: Sequence[Example]) -> dict[str, float]:
    """Return the best temperature and thresholds on gold examples; empty if no example can be used.

    `temperature` has the greatest likelihood. `absent` separates answerable from unanswerable questions with the best
    balanced accuracy. For `threshold` and `mention` see `ok_thresholds`.

    Args:
        ranker: ranker of the model and the graph.
        to_question: tokenises a question.
        examples: questions with their triples.
    """
    random = np.random.default_rng([SEED, len(examples)])
    cases = [case for example in examples if (case := _case(ranker.finder, to_question, example, random)) is not None]
    rankings = _rank(ranker, cases, [case.mentions for case in cases])
    usable = [index for index, ranking in enumerate(rankings) if ranking.candidates]
    if not usable:
        return {}
    cases, rankings = [cases[index] for index in usable], [rankings[index] for index in usable]
    gold = [_gold_index(ranking, case.key) for ranking, case in zip(rankings, cases, strict=True)]
    pairs = list(zip(rankings, gold, strict=True))
    temperature = min(TEMPERATURES, key=lambda t: sum(_loss(ranking, index, t) for ranking, index in pairs))
    absent_rankings = _rank(ranker, cases, [case.others for case in cases])
    replaced = [case for case in cases if case.negative is not None]
    names = [[*case.others, case.negative] for case in replaced if case.negative is not None]
    negative_rankings = _rank(ranker, replaced, names)
    absent = best_threshold(
        [ranking.p_unanswerable(temperature) for ranking in absent_rankings],
        [ranking.p_unanswerable(temperature) for ranking in rankings],
    )
    threshold, mention = ok_thresholds(
        [_outcome(ranking, index, temperature, absent) for ranking, index in pairs],
        [_outcome(ranking, -1, temperature, absent) for ranking in absent_rankings],
        [_outcome(ranking, -1, temperature, absent) for ranking in negative_rankings],
    )
    return {"temperature": temperature, "absent": absent, "threshold": threshold, "mention": mention}


def ok_thresholds(
    present: Sequence[Outcome], absent: Sequence[Outcome], negative: Sequence[Outcome]
) -> tuple[float, float]:
    """Return the thresholds of answer and mention that give the most correct answers the status `ok`.

    Wrong answers with the status `ok` are limited by the constants above. If no thresholds meet these limits, that of
    the answer has the best balanced accuracy between correct answers and others, and that of the mention is the
    highest.

    Args:
        present: outcomes for questions whose subject is in the graph.
        absent: outcomes for the same questions without their subjects in the graph.
        negative: outcomes for the same questions with their subjects replaced by hard negatives.
    """
    best, max_correct = None, 0
    for pair in product(OK_THRESHOLDS, MENTION_THRESHOLDS):
        ok = [outcome.correct for outcome in present if _is_ok(outcome, *pair)]
        is_strict = _ok_fraction(absent, *pair) <= MAX_OK_ABSENT and _ok_fraction(negative, *pair) <= MAX_OK_NEGATIVE
        if is_strict and sum(ok) > max_correct and sum(ok) >= MIN_OK_PRECISION * len(ok):
            best, max_correct = pair, sum(ok)
    if best is not None:
        return best
    correct = [outcome.probability for outcome in present if outcome.correct]
    wrong = [o.probability for o in (*present, *absent, *negative) if o.eligible and not o.correct]
    return best_threshold(correct, wrong), MENTION_THRESHOLDS[-1]


def best_threshold(above: Sequence[float], below: Sequence[float]) -> float:
    """Return the threshold with the best balanced accuracy; 0.5 if one side is empty."""
    if not above or not below:
        return 0.5
    high, low = np.array(above), np.array(below)
    return max(ABSENT_THRESHOLDS, key=lambda t: float((high >= t).mean() + (low < t).mean()))


def _case(
    finder: CandidateFinder, to_question: Callable[[str], Question], example: Example, random: np.random.Generator
) -> _Case | None:
    graph = finder.graph
    key = example.find_key(graph)
    if key is None:
        return None
    question, name = to_question(example.text), graph.tree.name_of(key)
    mentions = finder.mentions(question)
    subject = next((mention for mention in mentions if mention.name == name), None)
    negative = None
    if subject is not None and subject.literal:
        negative = hard_negative(graph, question, subject, random)
    others = [mention for mention in mentions if mention.name != name]
    return _Case(question, key, mentions, others, negative)


def _rank(ranker: Ranker, cases: Sequence[_Case], mentions: Sequence[Sequence[Mention]]) -> list[Ranking]:
    questions = [case.question for case in cases]
    candidates = [ranker.finder.candidates(q, names) for q, names in zip(questions, mentions, strict=True)]
    return ranker.rank(questions, candidates)


def _gold_index(ranking: Ranking, key: int) -> int:
    """Return the index of a key among the candidates; -1 if it is not there."""
    return next((index for index, candidate in enumerate(ranking.candidates) if candidate.key == key), -1)


def _loss(ranking: Ranking, gold: int, temperature: float) -> float:
    probabilities, p_unanswerable = ranking.probabilities(temperature)
    return -math.log(max(1e-12, float(probabilities[gold]) if gold >= 0 else p_unanswerable))


def _outcome(ranking: Ranking, gold: int, temperature: float, absent: float) -> Outcome:
    if not ranking.candidates:
        return Outcome(0.0, 0.0, False, False)
    probabilities, p_unanswerable = ranking.probabilities(temperature)
    best = ranking.order()[0]
    eligible = ranking.candidates[best].mention.literal and p_unanswerable < absent
    return Outcome(float(probabilities[best]), float(ranking.borders[best]), eligible, best == gold)


def _is_ok(outcome: Outcome, threshold: float, mention: float) -> bool:
    return outcome.eligible and outcome.probability >= threshold and outcome.mention >= mention


def _ok_fraction(outcomes: Sequence[Outcome], threshold: float, mention: float) -> float:
    return sum(_is_ok(outcome, threshold, mention) for outcome in outcomes) / max(1, len(outcomes))
