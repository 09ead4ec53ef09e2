"""Rank the candidates of questions with the network.

A question is encoded first, which tells where the subject's name probably begins and ends. The candidates of the names
there are encoded after it, all in one sequence. Only if none of them is a clear answer, the candidates of the other
names are encoded, too. Beside a clear answer their probabilities are near 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress

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
    Ints,
    KgqaRunner,
    log_softmax,
)
from nlpkit.tasks.kgqa.retrieval.candidates import NUM_FEATURES, Candidate, CandidateFinder

Bools = NDArray[np.bool_]
SHORTLIST = 16  # candidates of a question that may be encoded; the others are dropped by their string features
MAX_GAP = 4.0  # names are encoded with the likeliest one if the log-probability of their borders is so little lower,
MAX_SHIFT = 1  # or if their borders are so many tokens away from its borders, as 《科学》 from 科学
CLEAR = 2.0  # logit of a clear answer


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
        shortlists = self.shortlists(candidates)
        results = [Ranking(question, [], np.empty(0), np.empty(0)) for question in questions]
        nonempty = [index for index, shortlist in enumerate(shortlists) if shortlist]
        sizes = [len(questions[index].ids) for index in nonempty]
        for batch in self.budget.batches(sizes, self.runner.device_type):
            indices = [nonempty[index] for index in batch]
            rankings = self._rank_batch([questions[i] for i in indices], [shortlists[i] for i in indices])
            for index, ranking in zip(indices, rankings, strict=True):
                results[index] = ranking
        return results

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

    def _rank_batch(self, questions: Sequence[Question], candidates: Sequence[list[Candidate]]) -> list[Ranking]:
        """Return the rankings of questions with at least one candidate each."""
        tokens, cache = question_tokens(questions), self.runner.new_cache()
        states = self.runner.encode(tokens, np.arange(len(tokens.input_ids)), cache)
        borders = _border_scores(self.runner.border_scores(states), questions)
        at_mentions = [_mention_scores(borders[index], group) for index, group in enumerate(candidates)]
        likely = [_likely(group, scores) for group, scores in zip(candidates, at_mentions, strict=True)]
        logits = [np.full(len(group), -np.inf) for group in candidates]

        def encode(chosen: dict[int, Bools]) -> None:
            """Set the logits of the chosen candidates of some questions."""
            groups = [list(compress(candidates[index], mask)) for index, mask in chosen.items()]
            clipped = [np.maximum(at_mentions[index][mask], MIN_BORDER_SCORE) for index, mask in chosen.items()]
            found = self._logits([questions[index] for index in chosen], groups, clipped, cache, np.array(list(chosen)))
            for (index, mask), values in zip(chosen.items(), found, strict=True):
                logits[index][mask] = values

        encode(dict(enumerate(likely)))
        unclear = [index for index, mask in enumerate(likely) if not mask.all() and logits[index].max() < CLEAR]
        if unclear:
            encode({index: ~likely[index] for index in unclear})
        rankings = []
        for question, group, values, scores in zip(questions, candidates, logits, at_mentions, strict=True):
            encoded = np.isfinite(values)
            names = np.exp(np.maximum(scores[encoded], MIN_BORDER_SCORE).sum(1, dtype=np.float64))
            rankings.append(Ranking(question, list(compress(group, encoded)), values[encoded], names))
        return rankings

    def _logits(
        self,
        questions: Sequence[Question],
        candidates: Sequence[list[Candidate]],
        borders: Sequence[Floats],
        cache: Cache,
        rows: Ints,
    ) -> list[NDArray[np.float64]]:
        """Return the logits of the candidates of each question; `rows` are the questions' sequences in the cache."""
        tries = [self.finder.trie(group) for group in candidates]
        results = [np.empty(0)] * len(questions)
        for batch in self.budget.batches([len(trie.tokens) for trie in tries], self.runner.device_type):
            keys = key_tokens([questions[index] for index in batch], [tries[index] for index in batch])
            starts = np.searchsorted(keys.sequence_ids, np.arange(len(batch)))
            leaves = [start + leaf for start, index in zip(starts, batch, strict=True) for leaf in tries[index].leaves]
            distinct, inverse = np.unique(leaves, return_inverse=True)
            states = self.runner.encode(keys, distinct, cache.select(rows[batch]))[inverse]
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

    Those of a name that is not in the question are `MIN_BORDER_SCORE`.
    """
    columns = np.array([candidate.mention.columns for candidate in candidates])
    result: Floats = np.where(columns < 0, np.float32(MIN_BORDER_SCORE), borders[columns, np.arange(BORDERS)])
    return result


def _likely(candidates: Sequence[Candidate], scores: Floats) -> Bools:
    """Return which candidates [n] have the name that is probably the subject's, or one that is similar to it.

    Args:
        candidates: of a question.
        scores: log-probabilities [n, 2] of the borders of their names.
    """
    columns, totals = np.array([candidate.mention.columns for candidate in candidates]), scores.sum(1)
    shifts = np.abs(columns - columns[totals.argmax()]).max(1)
    result: Bools = (totals >= totals.max() - MAX_GAP) | (shifts <= MAX_SHIFT)
    return result
