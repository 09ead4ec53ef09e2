"""From questions to replies: names, ranking, search, chains, and what is said of how sure it is."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from nlpkit.core.model import Model
from nlpkit.tasks.kgqa.beams import Hypothesis
from nlpkit.tasks.kgqa.candidates import NAMES, Candidates, Mention
from nlpkit.tasks.kgqa.codec import Question
from nlpkit.tasks.kgqa.data import Answer, Example, Reply, Status
from nlpkit.tasks.kgqa.dataset import find_key
from nlpkit.tasks.kgqa.explain import steps
from nlpkit.tasks.kgqa.graph import Graph
from nlpkit.tasks.kgqa.hops import Chain, chains, goes_on
from nlpkit.tasks.kgqa.names import LooseNames
from nlpkit.tasks.kgqa.ranking import Ranked, rank
from nlpkit.tasks.kgqa.rules import Rules
from nlpkit.tasks.kgqa.search import beam_search

if TYPE_CHECKING:
    from nlpkit.tasks.kgqa.task import KgqaTask

MOST = 5  # answers to a question
LEAST = 0.001  # probability of an answer that is worth keeping beside a better one
SEARCHED = 256  # questions that are searched at once
TEMPERATURES = tuple(round(0.5 * 1.1**step, 3) for step in range(20))
THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))


class Answerer:
    """Answers questions from a graph.

    Args:
        model: of KGQA; its task says how to search and from where to be sure.
        graph: built with the model's tokenizer.
        rules: of the user.
    """

    def __init__(self, model: "Model[Any]", graph: Graph, rules: Rules):
        self.model, self.graph, self.rules = model, graph, rules
        self.finder, self.loose = Candidates(graph), LooseNames(graph.tree, model.tokenizer)

    @property
    def task(self) -> "KgqaTask":
        """The model's settings."""
        task: KgqaTask = self.model.task
        return task

    def answer(self, texts: Sequence[str]) -> list[Reply]:
        """The replies to questions, in order."""
        questions = [self._question(text) for text in texts]
        replies: list[Reply | None] = [self._fixed(text) for text in texts]
        asked = [index for index, reply in enumerate(replies) if reply is None]
        found = self._replies([questions[index] for index in asked])
        for index, reply in zip(asked, found, strict=True):
            replies[index] = reply
        return [reply for reply in replies if reply is not None]

    def ranked(self, questions: Sequence[Question]) -> list[Ranked]:
        """The keys of the names that stand in each question, scored."""
        mentions = [self.finder.mentions(question) for question in questions]
        found = [self.finder.of(q, m) for q, m in zip(questions, mentions, strict=True)]
        return rank(self.model, self.finder, questions, found)

    def searched(self, questions: Sequence[Question]) -> list[list[Hypothesis]]:
        """The keys that beam search generates for each question."""
        network: Any = self.model.network
        network.eval()
        found: dict[int, list[Hypothesis]] = {}
        order = sorted(range(len(questions)), key=lambda index: len(questions[index].ids))
        for start in range(0, len(order), SEARCHED):
            part = order[start : start + SEARCHED]
            asked = [questions[index] for index in part]
            keys = beam_search(network, self.graph.tree, asked, self.task.beam, self.task.look_ahead)
            found.update(zip(part, keys, strict=True))
        return [found[index] for index in range(len(questions))]

    def tuned(self, examples: Sequence[Example]) -> dict[str, float]:
        """Temperature and thresholds that are best on gold examples.

        The temperature is that of the greatest likelihood; `threshold` tells right answers from wrong ones best, and
        `absent` questions from the same ones once the subject's facts are taken away, both by balanced accuracy.
        """
        ranked = self.ranked([self._question(example.text) for example in examples])
        keys = [find_key(self.graph, example) for example in examples]
        pairs = [
            (result, next((i for i, c in enumerate(result.candidates) if c.key == key), -1))
            for result, key in zip(ranked, keys, strict=True)
            if result.candidates and key is not None
        ]
        if not pairs:
            return {}
        temperature = min(TEMPERATURES, key=lambda t: sum(_surprise(r, gold, t) for r, gold in pairs))
        right: list[float] = []
        wrong: list[float] = []
        there: list[float] = []
        gone: list[float] = []
        for result, gold in pairs:
            probabilities, absent = result.probabilities(temperature)
            (right if result.order()[0] == gold else wrong).append(float(probabilities.max()))
            there.append(absent)
            gone.append(_without(result, gold).probabilities(temperature)[1])
        return {
            "temperature": temperature,
            "threshold": _best_threshold(right, wrong),
            "absent": _best_threshold(gone, there),
        }

    def explain(self, text: str, answer: Answer) -> list[dict[str, Any]]:
        """See `explain.steps`; of a chain the second step is explained."""
        question = self._question(text)
        return steps(self.model, self.graph, question, answer.key, self.task.look_ahead)

    def _question(self, text: str) -> Question:
        return self._plain_question(self.rules.renamed(text))

    def _plain_question(self, text: str) -> Question:
        return Question.of(text, self.model.tokenizer, self.model.max_length)

    def _fixed(self, text: str) -> Reply | None:
        facts = self.rules.fixed_for(text)
        return Reply("ok", tuple(Answer(*fact, score=1.0) for fact in facts)) if facts else None

    def _replies(self, questions: Sequence[Question]) -> list[Reply]:
        if self.task.search == "beam":
            return [self._generated(q, found) for q, found in zip(questions, self.searched(questions), strict=True)]
        ranked = self.ranked(questions)
        if self.task.search == "both":
            self._reworded(ranked)
        replies = [self._reply(result) for result in ranked]
        self._follow(questions, replies)
        return replies

    def _follow(self, questions: Sequence[Question], replies: list[Reply]) -> None:
        """Answers chains in place of the questions that they explain better; is unsure where more is asked."""
        best = [reply.answers[0] if reply.answers else None for reply in replies]
        found = [
            (index, chain)
            for index, question in enumerate(questions)
            for chain in chains(self.graph, question, self.finder.mentions(question), best[index])
        ]
        seconds = [self._plain_question(chain.question) for _, chain in found]
        keys = [
            self.finder.of(question, mentions)
            for question, (_, chain) in zip(seconds, found, strict=True)
            for mentions in [[m for m in self.finder.mentions(question) if chain.is_about(question, m)]]
        ]
        for (index, chain), result in zip(found, rank(self.model, self.finder, seconds, keys), strict=True):
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
        upon. As none of them is what the question says, they count only if the answer is sure.
        """
        lost = [i for i, result in enumerate(ranked) if self._absent(result) >= self.task.absent]
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
        again = rank(self.model, self.finder, [ranked[i].question for i in extended], list(extended.values()))
        for index, result in zip(extended, again, strict=True):
            best = float(result.probabilities(self.task.temperature)[0].max())
            if best >= self.task.threshold or not ranked[index].candidates:
                ranked[index] = result

    def _more(self, result: Ranked, mentions: Iterable[Mention]) -> list[Mention]:
        """Those whose names have not been ranked."""
        known = {candidate.mention.name for candidate in result.candidates}
        return [mention for mention in mentions if mention.name not in known]

    def _absent(self, result: Ranked) -> float:
        return result.probabilities(self.task.temperature)[1]

    def _reply(self, result: Ranked) -> Reply:
        probabilities, absent = result.probabilities(self.task.temperature)
        answers: list[Answer] = []
        for index in result.order()[:MOST]:
            if not answers or probabilities[index] >= LEAST:
                answers += self._answers(result.question, result.candidates[index].key, float(probabilities[index]))
        best = answers[0].score if answers else 0.0
        status: Status = "not_in_graph" if absent >= self.task.absent else self._sure(best)
        return Reply(status, tuple(answers), absent, result.question.truncated)

    def _generated(self, question: Question, found: Sequence[Hypothesis]) -> Reply:
        answers = [answer for h in found for answer in self._answers(question, h.key, math.exp(h.score))]
        best = answers[0].score if answers else 0.0
        return Reply(self._sure(best) if answers else "not_in_graph", tuple(answers), 1 - best, question.truncated)

    def _sure(self, best: float) -> Status:
        return "ok" if best >= self.task.threshold else "unsure"

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


def _surprise(result: Ranked, gold: int, temperature: float) -> float:
    probabilities, absent = result.probabilities(temperature)
    return -math.log(max(1e-12, float(probabilities[gold]) if gold >= 0 else absent))


def _without(result: Ranked, gold: int) -> Ranked:
    """The candidates without those of the right name."""
    if gold < 0:
        return result
    name = result.candidates[gold].mention.name
    kept = [i for i, candidate in enumerate(result.candidates) if candidate.mention.name != name]
    return replace(result, candidates=[result.candidates[i] for i in kept], logits=result.logits[kept])


def _best_threshold(above: Sequence[float], below: Sequence[float]) -> float:
    """The threshold with the best balanced accuracy; 0.5 where one side is empty."""
    if not above or not below:
        return 0.5
    high, low = np.array(above), np.array(below)
    return max(THRESHOLDS, key=lambda t: float((high >= t).mean() + (low < t).mean()))
