"""From questions to replies: names, ranking, beam search, multi-hop, status."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch
from typing_extensions import override

from nlpkit.core.model.predictor import Prediction, Predictor
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.tasks.kgqa.codec import Question
from nlpkit.tasks.kgqa.data import Answer, Example, Reply, Status
from nlpkit.tasks.kgqa.decoding.beam_search import beam_search
from nlpkit.tasks.kgqa.decoding.beam_state import Hypothesis
from nlpkit.tasks.kgqa.explain import steps
from nlpkit.tasks.kgqa.model import KgqaNetwork
from nlpkit.tasks.kgqa.multi_hop import Chain, chains, goes_on
from nlpkit.tasks.kgqa.retrieval.candidates import NAMES, Candidates, Mention
from nlpkit.tasks.kgqa.retrieval.empty_question import is_void
from nlpkit.tasks.kgqa.retrieval.fuzzy_names import LooseNames
from nlpkit.tasks.kgqa.retrieval.ranker import Ranked, Ranker
from nlpkit.tasks.kgqa.settings import GraphTask, KgqaSettings
from nlpkit.tasks.kgqa.training.calibrate import calibrate
from nlpkit.tasks.kgqa.training.dataset import find_key

MOST = 5  # answers to a question
LEAST = 0.001  # probability of an answer that is worth keeping beside a better one
SEARCHED = 256  # questions that are searched at once


class KgqaPredictor(Predictor[GraphTask, Reply]):
    """Answers questions from a graph.

    Attributes:
        graph: of the task.
        ranker: scores candidate keys with the network.
    """

    network: KgqaNetwork

    def __init__(
        self,
        task: GraphTask,
        network: KgqaNetwork,
        tokenizer: CharTokenizer,
        max_length: int,
        device: torch.device,
        dtype: torch.dtype,
    ):
        super().__init__(task, network, tokenizer, max_length, device, dtype)
        self.graph = task.graph
        self.finder, self.loose = Candidates(task.graph), LooseNames(task.graph.tree, tokenizer)
        self.ranker = Ranker(network, self.finder, tokenizer.pad_id, device)

    @property
    def settings(self) -> KgqaSettings:
        """Settings of the task."""
        return self.task.settings

    @override
    def predictions(self, texts: Sequence[str]) -> list[Prediction[Reply]]:
        questions = [self.question(text) for text in texts]
        replies: list[Reply | None] = [self._fixed(text) or _void(text) for text in texts]
        asked = [index for index, reply in enumerate(replies) if reply is None]
        found = self._replies([questions[index] for index in asked])
        for index, reply in zip(asked, found, strict=True):
            replies[index] = reply
        return [Prediction(reply) for reply in replies if reply is not None]

    @override
    def diagnostics(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Return the number of gold triples that the graph holds."""
        return {"in_graph": sum(find_key(self.graph, example) is not None for example in examples)}

    @override
    def calibrate(self, examples: Sequence[Example]) -> dict[str, float]:
        """Return the temperature and the thresholds of the statuses; see `training.calibrate`."""
        return calibrate(self.ranker, self.question, examples)

    def explain(self, text: str, reply: Reply) -> list[dict[str, Any]]:
        """Return the choices on the way to the best answer, of a chain those of the second step; see `explain.steps`.

        Nothing where a rule answered.
        """
        if reply.rule or not reply.answers:
            return []
        question, key = self.question(text), reply.answers[0].key
        return steps(self.network, self.tokenizer, self.graph, question, key, self.settings.look_ahead)

    def ranked(self, questions: Sequence[Question]) -> list[Ranked]:
        """Return the keys of the names in each question, scored."""
        mentions = [self.finder.mentions(question) for question in questions]
        found = [self.finder.of(q, m) for q, m in zip(questions, mentions, strict=True)]
        return self.ranker.rank(questions, found)

    def searched(self, questions: Sequence[Question]) -> list[list[Hypothesis]]:
        """Return the keys that beam search generates for each question."""
        self.network.eval()
        found: dict[int, list[Hypothesis]] = {}
        order = sorted(range(len(questions)), key=lambda index: len(questions[index].ids))
        for start in range(0, len(order), SEARCHED):
            part = order[start : start + SEARCHED]
            asked = [questions[index] for index in part]
            keys = beam_search(self.network, self.graph.tree, asked, self.settings.beam, self.settings.look_ahead)
            found.update(zip(part, keys, strict=True))
        return [found[index] for index in range(len(questions))]

    def question(self, text: str) -> Question:
        """Return a question as the model reads it, with the aliases of the rules replaced."""
        return self._plain_question(self.task.rules.renamed(text))

    def _plain_question(self, text: str) -> Question:
        return Question.of(text, self.tokenizer, self.max_length)

    def _fixed(self, text: str) -> Reply | None:
        found = self.task.rules.fixed_for(text)
        return Reply("ok", tuple(Answer(*fact, score=1.0) for fact in found.facts), rule=found.place) if found else None

    def _replies(self, questions: Sequence[Question]) -> list[Reply]:
        if self.settings.search == "beam":
            return [self._generated(q, found) for q, found in zip(questions, self.searched(questions), strict=True)]
        ranked = self.ranked(questions)
        if self.settings.search == "both":
            self._reworded(ranked)
        replies = [self._reply(result) for result in ranked]
        self._follow(ranked, replies)
        return replies

    def _follow(self, ranked: Sequence[Ranked], replies: list[Reply]) -> None:
        """Answers chains in place of the questions that they explain better; is unsure where more is asked."""
        best = [reply.answers[0] if reply.answers else None for reply in replies]
        questions = [result.question for result in ranked]
        found = [
            (index, chain)
            for index, result in enumerate(ranked)
            for chain in chains(self.graph, result.question, self.finder.mentions(result.question), best[index])
        ]
        seconds = [self._plain_question(chain.question) for _, chain in found]
        keys = [
            self.finder.of(question, mentions)
            for question, (_, chain) in zip(seconds, found, strict=True)
            for mentions in [[m for m in self.finder.mentions(question) if chain.is_about(question, m)]]
        ]
        for (index, chain), result in zip(found, self.ranker.rank(seconds, keys), strict=True):
            reply, known = self._reply(result), replies[index].answers
            if reply.status != "not_in_graph" and _better(chain, reply, known, questions[index]):
                answers = tuple(replace(answer, path=(chain.first,)) for answer in reply.answers)
                replies[index] = replace(reply, answers=answers)
        for index, question in enumerate(questions):
            answers = replies[index].answers
            if replies[index].status == "ok" and not answers[0].path and goes_on(answers[0], question):
                replies[index] = replace(replies[index], status="unsure")

    def _reworded(self, ranked: list[Ranked]) -> None:
        """Where the names of a question lead to nothing, others are ranked with them.

        These are names that stand there almost as in the graph, and where there are none, those that the search comes
        upon. They count only if the answer is sure. Its status is `ok` only where case, width, script or brackets are
        all that differs: a slip may as well be another name.
        """
        lost = [i for i, result in enumerate(ranked) if self._absent(result) >= self.settings.absent]
        more = {index: self._more(ranked[index], self.loose.mentions(ranked[index].question, NAMES)) for index in lost}
        bare = [index for index in lost if not more[index]]
        for index, found in zip(bare, self.searched([ranked[i].question for i in bare]), strict=True):
            names = dict.fromkeys(self.graph.tree.name_of(hypothesis.key) for hypothesis in found)
            more[index] = self._more(ranked[index], map(Mention, names))
        extended = {
            index: [*ranked[index].candidates, *self.finder.of(ranked[index].question, mentions)]
            for index, mentions in more.items()
            if mentions
        }
        again = self.ranker.rank([ranked[i].question for i in extended], list(extended.values()))
        for index, result in zip(extended, again, strict=True):
            best = float(result.probabilities(self.settings.temperature)[0].max())
            if best >= self.settings.threshold or not ranked[index].candidates:
                ranked[index] = result

    def _more(self, result: Ranked, mentions: Iterable[Mention]) -> list[Mention]:
        """Those whose names have not been ranked."""
        known = {candidate.mention.name for candidate in result.candidates}
        return [mention for mention in mentions if mention.name not in known]

    def _absent(self, result: Ranked) -> float:
        return result.probabilities(self.settings.temperature)[1]

    def _reply(self, result: Ranked) -> Reply:
        probabilities, absent = result.probabilities(self.settings.temperature)
        answers: list[Answer] = []
        order = result.order()[:MOST]
        for index in order:
            if not answers or probabilities[index] >= LEAST:
                answers += self._answers(result.question, result.candidates[index].key, float(probabilities[index]))
        sure = bool(order) and self._names_subject(result, order[0]) and answers[0].score >= self.settings.threshold
        status: Status = "not_in_graph" if absent >= self.settings.absent else "ok" if sure else "unsure"
        return Reply(status, tuple(answers), absent, result.question.truncated)

    def _names_subject(self, result: Ranked, index: int) -> bool:
        """Whether the name of a candidate is in the question, and is what the question is about."""
        return result.candidates[index].mention.literal and float(result.borders[index]) >= self.settings.mention

    def _generated(self, question: Question, found: Sequence[Hypothesis]) -> Reply:
        answers = [answer for h in found for answer in self._answers(question, h.key, math.exp(h.score))]
        if not answers:
            return Reply("not_in_graph", (), 1.0, question.truncated)
        best = answers[0]
        sure = best.score >= self.settings.threshold and self._is_literal(question, self.graph.tree.name_of(best.key))
        return Reply("ok" if sure else "unsure", tuple(answers), 1 - best.score, question.truncated)

    def _is_literal(self, question: Question, name: int) -> bool:
        """Whether a question contains a name as a word of its own, in whatever brackets and case."""
        mentions = [*self.finder.mentions(question), *self.loose.mentions(question, NAMES)]
        return any(mention.literal and mention.name == name for mention in mentions)

    def _answers(self, question: Question, key: int, score: float) -> list[Answer]:
        """What a key holds; of several spellings that in the question first."""
        facts = self.graph.facts(key)
        if len(facts) > 1:
            facts.sort(key=lambda fact: (fact.subject not in question.text, fact.predicate not in question.text))
        return [Answer(*fact, score=score, key=key) for fact in facts]


def _better(chain: Chain, reply: Reply, known: Sequence[Answer], question: Question) -> bool:
    """Whether the reply to what a chain leaves of a question is better than the answers known so far."""
    if not known:
        return True
    if known[0].path:  # of another chain
        return reply.answers[0].score > known[0].score
    return reply.status == "ok" and chain.explains_more(reply.answers[0], known[0], question)


def _void(text: str) -> Reply | None:
    return Reply("not_in_graph", absent=1.0) if is_void(text) else None
