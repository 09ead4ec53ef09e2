"""The keys of names, all scored in one pass for each question."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from nlpkit.core.io.stream import token_batches
from nlpkit.tasks.kgqa.codec import Forest, Question, collate
from nlpkit.tasks.kgqa.model import KgqaNetwork, at_borders
from nlpkit.tasks.kgqa.retrieval.candidates import FEATURES, Candidate, Candidates, columns

SHORTLIST = 16  # candidates of a question that are read; the others have lost by their strings
CPU_BUDGET, GPU_BUDGET = 4096, 65536  # units in a batch, padding included


@dataclass(frozen=True, slots=True)
class Ranked:
    """Candidates of a question with their scores.

    Attributes:
        question: as the network reads it.
        candidates: n of them.
        logits: [n]; "none of them" has the logit 0.
        borders: [n] probability that the subject's name begins and ends where the candidate's does.
    """

    question: Question
    candidates: list[Candidate]
    logits: NDArray[np.float64]
    borders: NDArray[np.float64]

    def probabilities(self, temperature: float) -> tuple[NDArray[np.float64], float]:
        """That of each candidate, and that of none."""
        scaled = np.append(self.logits, 0.0) / temperature
        weights = np.exp(scaled - scaled.max())
        weights /= weights.sum()
        return weights[:-1], float(weights[-1])

    def order(self) -> list[int]:
        """Places of the candidates, best first; of equally good ones the first."""
        return [int(index) for index in np.argsort(-self.logits, kind="stable")]


class Ranker:
    """Scores candidates with the network.

    Args:
        network: of a kgqa model.
        finder: of the graph's candidates.
        pad_id: of the tokenizer.
        device: of the network.
    """

    def __init__(self, network: KgqaNetwork, finder: Candidates, pad_id: int, device: torch.device):
        self.network, self.finder, self.pad_id, self.device = network, finder, pad_id, device

    def rank(self, questions: Sequence[Question], found: Sequence[list[Candidate]]) -> list[Ranked]:
        """Return the shortlisted candidates of each question with their scores; batches are of similar length."""
        self.network.eval()
        found = self.shortlisted(found)
        forests = [self.finder.forest(candidates) for candidates in found]
        scored = [np.empty((0, 2), dtype=np.float64)] * len(questions)
        asked = [index for index, candidates in enumerate(found) if candidates]
        sizes = [len(questions[index].ids) + len(forests[index].tokens) for index in asked]
        budget = GPU_BUDGET if self.device.type == "cuda" else CPU_BUDGET
        for batch in token_batches(sizes, budget):
            rows = [asked[place] for place in batch]
            scores = self._scores([questions[i] for i in rows], [forests[i] for i in rows], [found[i] for i in rows])
            counts = np.cumsum([len(found[i]) for i in rows])
            for index, part in zip(rows, np.split(scores, counts[:-1]), strict=True):
                scored[index] = part
        return [Ranked(q, c, s[:, 0], s[:, 1]) for q, c, s in zip(questions, found, scored, strict=True)]

    @torch.inference_mode()
    def shortlisted(self, found: Sequence[list[Candidate]], most: int = SHORTLIST) -> list[list[Candidate]]:
        """Return the candidates of each question with the best features, in their old order."""
        if not any(len(candidates) > most for candidates in found):
            return list(found)
        features = np.array([c.features for candidates in found for c in candidates], dtype=np.float32)
        scores = self.network.glance(torch.from_numpy(features).to(self.device)).cpu().numpy()
        result, start = [], 0
        for candidates in found:
            part = scores[start : start + len(candidates)]
            start += len(candidates)
            best = np.sort(np.argsort(-part, kind="stable")[:most])
            result.append([candidates[index] for index in best.tolist()])
        return result

    @torch.inference_mode()
    def _scores(
        self, questions: Sequence[Question], forests: Sequence[Forest], found: Sequence[list[Candidate]]
    ) -> NDArray[np.float64]:
        """Return logit and border probability of each candidate [n, 2]."""
        batch = collate(questions, forests, self.pad_id)
        leaves = [batch.at(row, leaf) for row, forest in enumerate(forests) for leaf in forest.leaves]
        features = np.array([c.features for candidates in found for c in candidates], dtype=np.float32)
        device, network = self.device, self.network
        states = network(batch.inputs.to(device))
        lengths = torch.tensor([len(question.ids) for question in questions], device=device)
        rows = torch.tensor([row for row, candidates in enumerate(found) for _ in candidates], device=device)
        mentions = torch.tensor([columns(c.mention) for candidates in found for c in candidates], device=device)
        borders = at_borders(network.border_scores(states, lengths), rows, mentions)
        complete = states.flatten(0, 1)[torch.tensor(leaves, device=device)]
        scores = network.rank(complete, torch.from_numpy(features.reshape(-1, FEATURES)).to(device), borders)
        result: NDArray[np.float64] = torch.stack([scores, borders.sum(-1).exp()], -1).double().cpu().numpy()
        return result
