"""Rank the candidates of questions with the network.

A question is encoded first, which tells where the subject's name probably begins and ends. By this and by the string
features, which together are the logit without its deep part, the worst candidates are dropped: most of those of
other names. The rest, the shortlist, is encoded after the question, all in one sequence.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nlpkit.core.text.padding import TokenBudget
from nlpkit.tasks.kgqa.codec import Question, key_tokens, question_tokens
from nlpkit.tasks.kgqa.network.runner import (
    BORDERS,
    MASKED_LOGIT,
    MIN_BORDER_SCORE,
    Cache,
    Floats,
    KgqaRunner,
    log_softmax,
)
from nlpkit.tasks.kgqa.retrieval.candidates import NUM_FEATURES, Candidate, CandidateFinder

SHORTLIST = 16  # maximum number of candidates of a question that are encoded
MAX_GAP = 3.0  # maximum difference between the best logit without states and that of a candidate that is encoded


@dataclass(frozen=True, slots=True)
class Ranking:
    """Candidates of a question with their scores; n candidates.

    Attributes:
        question: question.
        candidates: candidates, in the order of the finder.
        logits: [n] logits; "unanswerable" has the logit 0.
        borders: [n] probability that the subject's name is where the candidate's mention is.
    """

    question: Question
    candidates: list[Candidate]
    logits: NDArray[np.float64]
    borders: NDArray[np.float64]

    def probabilities(self, temperature: float) -> tuple[NDArray[np.float64], float]:
        """Return the probability of each candidate [n], and that of "unanswerable"."""
        scaled = np.append(self.logits, 0.0) / temperature
        weights = np.exp(scaled - scaled.max())
        weights /= weights.sum()
        return weights[:-1], float(weights[-1])

    def p_unanswerable(self, temperature: float) -> float:
        """Return the probability that no candidate is the answer."""
        return self.probabilities(temperature)[1]

    def order(self) -> list[int]:
        """Return the indices of the candidates, best first; ties keep the order of the candidates."""
        return [int(index) for index in np.argsort(-self.logits, kind="stable")]


class Ranker:
    """Scores candidates with the network.

    Args:
        runner: of the network of a kgqa model.
        finder: candidate finder of the graph.
    """

    budget = TokenBudget(cpu=2048, gpu=65536)

    def __init__(self, runner: KgqaRunner, finder: CandidateFinder):
        self.runner, self.finder = runner, finder

    def rank(self, questions: Sequence[Question], candidates: Sequence[list[Candidate]]) -> list[Ranking]:
        """Return the best candidates of each question with their scores.

        Args:
            questions: questions; those of similar length are batched together.
            candidates: candidates of each question, grouped by name.
        """
        results = [Ranking(question, [], np.empty(0), np.empty(0)) for question in questions]
        nonempty = [index for index, group in enumerate(candidates) if group]
        sizes = [len(questions[index].ids) for index in nonempty]
        for batch in self.budget.batches(sizes, self.runner.device_type):
            indices = [nonempty[index] for index in batch]
            rankings = self._rank_batch([questions[i] for i in indices], [candidates[i] for i in indices])
            for index, ranking in zip(indices, rankings, strict=True):
                results[index] = ranking
        return results

    def shortlists(
        self, candidates: Sequence[list[Candidate]], borders: Sequence[Floats], max_candidates: int = SHORTLIST
    ) -> list[NDArray[np.intp]]:
        """Return the indices of each question's candidates with the best logits without states, in ascending order.

        Those with a logit that is lower than the question's best one by more than `MAX_GAP` are left out.

        Args:
            candidates: candidates of each question.
            borders: log-probabilities [n, 2] of the borders of their names, for each question.
            max_candidates: maximum number of indices of a question.
        """
        features = _features([candidate for group in candidates for candidate in group])
        scores = self.runner.rank_without_states(features, np.concatenate(borders))
        groups = np.split(scores, np.cumsum([len(group) for group in candidates])[:-1])
        return [_best(group, max_candidates) for group in groups]

    def _rank_batch(self, questions: Sequence[Question], candidates: Sequence[list[Candidate]]) -> list[Ranking]:
        """Return the rankings of questions with at least one candidate each."""
        tokens, cache = question_tokens(questions), self.runner.new_cache()
        states = self.runner.encode(tokens, np.arange(len(tokens.input_ids)), cache)
        borders = _border_scores(self.runner.border_scores(states), questions)
        at_mentions = [_mention_scores(borders[index], group) for index, group in enumerate(candidates)]
        shortlists = self.shortlists(candidates, at_mentions)
        kept = [[group[i] for i in indices.tolist()] for group, indices in zip(candidates, shortlists, strict=True)]
        scores = [values[indices] for values, indices in zip(at_mentions, shortlists, strict=True)]
        logits = self._logits(questions, kept, scores, cache)
        names = [np.exp(values.sum(1, dtype=np.float64)) for values in scores]
        return [Ranking(*ranking) for ranking in zip(questions, kept, logits, names, strict=True)]

    def _logits(
        self,
        questions: Sequence[Question],
        candidates: Sequence[list[Candidate]],
        borders: Sequence[Floats],
        cache: Cache,
    ) -> list[NDArray[np.float64]]:
        """Return the logits of the candidates of each question; the cache has the questions."""
        tries = [self.finder.trie(group) for group in candidates]
        results = [np.empty(0)] * len(questions)
        for batch in self.budget.batches([len(trie.tokens) for trie in tries], self.runner.device_type):
            keys = key_tokens([questions[index] for index in batch], [tries[index] for index in batch])
            starts = np.searchsorted(keys.sequence_ids, np.arange(len(batch)))
            leaves = [start + leaf for start, index in zip(starts, batch, strict=True) for leaf in tries[index].leaves]
            distinct, inverse = np.unique(leaves, return_inverse=True)
            states = self.runner.encode(keys, distinct, cache.select(np.array(batch)))[inverse]
            features = _features([candidate for index in batch for candidate in candidates[index]])
            logits = self.runner.rank(states, features, np.concatenate([borders[index] for index in batch]))
            ends = np.cumsum([len(candidates[index]) for index in batch])
            for index, values in zip(batch, np.split(logits, ends[:-1]), strict=True):
                results[index] = values.astype(np.float64)
        return results


def _features(candidates: Sequence[Candidate]) -> Floats:
    """Return the string features [n, NUM_FEATURES] of candidates."""
    return np.array([c.features for c in candidates], dtype=np.float32).reshape(-1, NUM_FEATURES)


def _border_scores(scores: Floats, questions: Sequence[Question]) -> Floats:
    """Return the log-probabilities [b, s, 2] that the subject's name begins and ends at each token of the questions.

    Args:
        scores: [n, 2] of all tokens of all questions.
        questions: questions.
    """
    lengths = np.array([len(question.ids) for question in questions])
    columns = np.arange(lengths.max())
    table = np.zeros((len(questions), len(columns), BORDERS), dtype=np.float32)
    table[columns < lengths[:, None]] = scores
    table[~((columns > 0) & (columns < lengths[:, None] - 1))] = MASKED_LOGIT
    return log_softmax(table, 1)


def _mention_scores(borders: Floats, candidates: Sequence[Candidate]) -> Floats:
    """Return the log-probabilities [n, 2] of the borders of candidates' names, from those [s, 2] of all tokens.

    They are at least `MIN_BORDER_SCORE`, which is also that of a name that is not in the question.
    """
    columns = np.array([candidate.mention.columns for candidate in candidates])
    result: Floats = np.where(columns < 0, np.float32(MIN_BORDER_SCORE), borders[columns, np.arange(BORDERS)])
    return np.maximum(result, np.float32(MIN_BORDER_SCORE))


def _best(logits: Floats, maximum: int) -> NDArray[np.intp]:
    """Return the indices of the highest logits [n], in ascending order; see `MAX_GAP`."""
    best = np.argsort(-logits, kind="stable")[:maximum]
    return np.sort(best[logits[best] >= logits[best[0]] - MAX_GAP])
