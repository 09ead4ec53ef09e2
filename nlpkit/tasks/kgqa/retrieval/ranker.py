"""Rank the candidates of questions with the network.

A question is encoded first, and then its candidates after it, all in one sequence. So the scores of the borders of the
subject's name are known before the candidates are encoded.
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
    Floats,
    KgqaRunner,
    log_softmax,
)
from nlpkit.tasks.kgqa.retrieval.candidates import NUM_FEATURES, Candidate, CandidateFinder

SHORTLIST = 16  # candidates of a question that are encoded; the others are dropped by their string features


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

    budget = TokenBudget(cpu=4096, gpu=65536)

    def __init__(self, runner: KgqaRunner, finder: CandidateFinder):
        self.runner, self.finder = runner, finder

    def rank(self, questions: Sequence[Question], candidates: Sequence[list[Candidate]]) -> list[Ranking]:
        """Return the shortlisted candidates of each question with their scores.

        Args:
            questions: questions; those of similar length are batched together.
            candidates: candidates of each question, grouped by name.
        """
        shortlists = self.shortlists(candidates)
        scores = [np.empty((0, 2), dtype=np.float64)] * len(questions)
        nonempty = [index for index, shortlist in enumerate(shortlists) if shortlist]
        sizes = [len(questions[index].ids) for index in nonempty]
        for batch in self.budget.batches(sizes, self.runner.device_type):
            indices = [nonempty[index] for index in batch]
            found = self._scores([questions[i] for i in indices], [shortlists[i] for i in indices])
            for index, question_scores in zip(indices, found, strict=True):
                scores[index] = question_scores
        return [Ranking(q, c, s[:, 0], s[:, 1]) for q, c, s in zip(questions, shortlists, scores, strict=True)]

    def shortlists(
        self, candidates: Sequence[list[Candidate]], max_candidates: int = SHORTLIST
    ) -> list[list[Candidate]]:
        """Return the candidates of each question with the best string features, in their order."""
        if not any(len(group) > max_candidates for group in candidates):
            return list(candidates)
        scores = self.runner.score_features(_features([c for group in candidates for c in group]))
        shortlists, start = [], 0
        for group in candidates:
            group_scores = scores[start : start + len(group)]
            start += len(group)
            best = np.sort(np.argsort(-group_scores, kind="stable")[:max_candidates])
            shortlists.append([group[index] for index in best.tolist()])
        return shortlists

    def _scores(
        self, questions: Sequence[Question], candidates: Sequence[list[Candidate]]
    ) -> list[NDArray[np.float64]]:
        """Return logit and border probability [n, 2] of the n candidates of each question."""
        tokens, cache = question_tokens(questions), self.runner.new_cache()
        states = self.runner.encode(tokens, np.arange(len(tokens.input_ids)), cache)
        borders = _border_scores(self.runner.border_scores(states), questions)
        tries = [self.finder.trie(group) for group in candidates]
        results = [np.empty((0, 2))] * len(questions)
        sizes = [len(question.ids) + len(trie.tokens) for question, trie in zip(questions, tries, strict=True)]
        for batch in self.budget.batches(sizes, self.runner.device_type):
            groups = [candidates[index] for index in batch]
            keys = key_tokens([questions[index] for index in batch], [tries[index] for index in batch])
            starts = np.searchsorted(keys.sequence_ids, np.arange(len(batch)))
            every = [start + leaf for start, i in zip(starts, batch, strict=True) for leaf in tries[i].leaves]
            leaves, inverse = np.unique(np.array(every), return_inverse=True)
            leaf_states = self.runner.encode(keys, leaves, cache.select(np.array(batch)))[inverse]
            found = [c for group in groups for c in group]
            question_ids = np.repeat(np.array(batch), [len(group) for group in groups])
            at_mentions = _mention_border_scores(borders, question_ids, found)
            logits = self.runner.rank(leaf_states, _features(found), at_mentions)
            scores = np.stack([logits, np.exp(at_mentions.sum(-1))], -1).astype(np.float64)
            ends = np.cumsum([len(group) for group in groups])
            for index, question_scores in zip(batch, np.split(scores, ends[:-1]), strict=True):
                results[index] = question_scores
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


def _mention_border_scores(borders: Floats, question_ids: NDArray[np.int64], candidates: Sequence[Candidate]) -> Floats:
    """Return the log-probabilities [n, 2] of the borders of mentions, as `network.model.mention_border_scores` does."""
    columns = np.array([candidate.mention.columns for candidate in candidates])
    scores = borders[question_ids[:, None], columns, np.arange(BORDERS)]
    result: Floats = np.maximum(np.where(columns < 0, np.float32(MIN_BORDER_SCORE), scores), MIN_BORDER_SCORE)
    return result
