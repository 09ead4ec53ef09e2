"""Rank the candidates of questions with the network, all candidates of a question in one sequence."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from nlpkit.core.text.padding import TokenBudget
from nlpkit.tasks.kgqa.codec import KeyTrie, Question, collate
from nlpkit.tasks.kgqa.model import KgqaNetwork, mention_border_scores
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
        network: network of a kgqa model.
        finder: candidate finder of the graph.
        pad_id: id of [PAD].
        device: device of the network.
    """

    budget = TokenBudget(cpu=4096, gpu=65536)

    def __init__(self, network: KgqaNetwork, finder: CandidateFinder, pad_id: int, device: torch.device):
        self.network, self.finder, self.pad_id, self.device = network, finder, pad_id, device

    def rank(self, questions: Sequence[Question], candidates: Sequence[list[Candidate]]) -> list[Ranking]:
        """Return the shortlisted candidates of each question with their scores.

        Args:
            questions: questions; those of similar length are batched together.
            candidates: candidates of each question, grouped by name.
        """
        self.network.eval()
        shortlists = self.shortlists(candidates)
        tries = [self.finder.trie(shortlist) for shortlist in shortlists]
        scores = [np.empty((0, 2), dtype=np.float64)] * len(questions)
        nonempty = [index for index, shortlist in enumerate(shortlists) if shortlist]
        sizes = [len(questions[index].ids) + len(tries[index].tokens) for index in nonempty]
        for batch in self.budget.batches(sizes, self.device.type):
            indices = [nonempty[index] for index in batch]
            lists = [shortlists[index] for index in indices]
            batch_scores = self._scores([questions[i] for i in indices], [tries[i] for i in indices], lists)
            ends = np.cumsum([len(shortlist) for shortlist in lists])
            for index, question_scores in zip(indices, np.split(batch_scores, ends[:-1]), strict=True):
                scores[index] = question_scores
        return [Ranking(q, c, s[:, 0], s[:, 1]) for q, c, s in zip(questions, shortlists, scores, strict=True)]

    @torch.inference_mode()
    def shortlists(
        self, candidates: Sequence[list[Candidate]], max_candidates: int = SHORTLIST
    ) -> list[list[Candidate]]:
        """Return the candidates of each question with the best string features, in their order."""
        if not any(len(group) > max_candidates for group in candidates):
            return list(candidates)
        features = np.array([c.features for group in candidates for c in group], dtype=np.float32)
        scores = self.network.score_features(torch.from_numpy(features).to(self.device)).cpu().numpy()
        shortlists, start = [], 0
        for group in candidates:
            group_scores = scores[start : start + len(group)]
            start += len(group)
            best = np.sort(np.argsort(-group_scores, kind="stable")[:max_candidates])
            shortlists.append([group[index] for index in best.tolist()])
        return shortlists

    @torch.inference_mode()
    def _scores(
        self, questions: Sequence[Question], tries: Sequence[KeyTrie], candidates: Sequence[list[Candidate]]
    ) -> NDArray[np.float64]:
        """Return logit and border probability [n, 2] of the candidates of all questions."""
        batch = collate(questions, tries, self.pad_id)
        leaves = [batch.index_of(index, leaf) for index, trie in enumerate(tries) for leaf in trie.leaves]
        features = np.array([c.features for group in candidates for c in group], dtype=np.float32)
        device, network = self.device, self.network
        states = network(batch.inputs.to(device))
        lengths = torch.tensor([len(question.ids) for question in questions], device=device)
        question_ids = torch.tensor([index for index, group in enumerate(candidates) for _ in group], device=device)
        columns = torch.tensor([c.mention.columns for group in candidates for c in group], device=device)
        borders = mention_border_scores(network.border_scores(states, lengths), question_ids, columns)
        leaf_states = states.flatten(0, 1)[torch.tensor(leaves, device=device)]
        logits = network.rank(leaf_states, torch.from_numpy(features.reshape(-1, NUM_FEATURES)).to(device), borders)
        scores: NDArray[np.float64] = torch.stack([logits, borders.sum(-1).exp()], -1).double().cpu().numpy()
        return scores
