"""Pipeline of kgqa: mentions → candidates → ranking → fuzzy names or beam search → second hop → status.

`KgqaPredictor.reply` runs the steps; each one returns new values. The status is decided in `replies`.
"""

from collections.abc import Iterable, Sequence
from functools import partial
from itertools import dropwhile
from typing import TYPE_CHECKING, Any, Self, cast

from typing_extensions import override

from nlpkit.core.model.predictor import Prediction, Predictor
from nlpkit.core.model.task import Task
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.tasks.kgqa.codec import Question
from nlpkit.tasks.kgqa.data import Answer, Example, Reply
from nlpkit.tasks.kgqa.decoding.beam_search import beam_search
from nlpkit.tasks.kgqa.decoding.beam_state import Hypothesis
from nlpkit.tasks.kgqa.decoding.explain import explain_key
from nlpkit.tasks.kgqa.graph.graph import Graph
from nlpkit.tasks.kgqa.multi_hop import HopChain, find_chains
from nlpkit.tasks.kgqa.network.runner import KgqaRunner
from nlpkit.tasks.kgqa.replies import (
    reply_from_hypotheses,
    reply_from_ranking,
    reply_without_model,
    with_partial_status,
    with_second_hop,
)
from nlpkit.tasks.kgqa.retrieval.candidates import CandidateFinder, Mention
from nlpkit.tasks.kgqa.retrieval.fuzzy_names import FuzzyNameFinder
from nlpkit.tasks.kgqa.retrieval.ranker import Ranker, Ranking
from nlpkit.tasks.kgqa.rules import Rules
from nlpkit.tasks.kgqa.settings import KgqaSettings
from nlpkit.tasks.kgqa.training.calibrate import calibrate

if TYPE_CHECKING:  # it imports torch
    from nlpkit.tasks.kgqa.network.model import KgqaNetwork

BEAM_SEARCH_BATCH = 256  # questions per beam search


class GraphTask(Task[KgqaSettings, Example, Reply]):
    """A task over a knowledge graph.

    Args:
        settings: settings of the model.
        graph: graph that was built with the tokenizer of the model.
        rules: rules of the user (default: none).
    """

    def __init__(self, settings: KgqaSettings, graph: Graph, rules: Rules | None = None):
        super().__init__(settings)
        self.graph, self.rules = graph, rules or Rules()

    @override
    def with_settings(self, settings: KgqaSettings) -> Self:
        return type(self)(settings, self.graph, self.rules)


class KgqaPredictor(Predictor[GraphTask, Reply]):
    """Answers questions from a graph.

    Attributes:
        graph: graph of the task.
        finder: finds entity names and candidate keys.
        fuzzy_finder: finds entity names that differ from those of the graph.
        ranker: scores candidate keys with the network.
    """

    runner: KgqaRunner

    def __init__(self, task: GraphTask, runner: KgqaRunner, tokenizer: CharTokenizer, max_length: int):
        super().__init__(task, runner, tokenizer, max_length)
        self.graph = task.graph
        self.finder = CandidateFinder(task.graph, task.settings.object_tokens)
        self.fuzzy_finder = FuzzyNameFinder(task.graph.tree, tokenizer)
        self.ranker = Ranker(runner, self.finder)

    @property
    @override
    def network(self) -> "KgqaNetwork":
        return cast("KgqaNetwork", super().network)

    @property
    def settings(self) -> KgqaSettings:
        """Return the settings of the task."""
        return self.task.settings

    @override
    def predictions(self, texts: Sequence[str]) -> list[Prediction[Reply]]:
        without_model = [reply_without_model(text, self.task.rules) for text in texts]
        questions = [self.question(text) for text, reply in zip(texts, without_model, strict=True) if reply is None]
        replies = iter(self.reply(questions))
        return [Prediction(next(replies) if reply is None else reply) for reply in without_model]

    @override
    def diagnostics(self, examples: Sequence[Example]) -> dict[str, Any]:
        """Return the number of gold triples that are in the graph."""
        keys = (example.find_key(self.graph) for example in examples)
        return {"in_graph": sum(key is not None for key in keys)}

    @override
    def calibrate(self, examples: Sequence[Example]) -> dict[str, float]:
        """Return the temperature and the thresholds of the statuses; see `training.calibrate`."""
        return calibrate(self.ranker, self.question, examples)

    def explain(self, text: str, reply: Reply) -> list[dict[str, Any]]:
        """Return the steps of the best answer's key (of the second hop, if there are two); see `explain_key`.

        Empty if there is no answer, or if a rule answered.
        """
        if reply.rule or not reply.answers:
            return []
        question, key = self.question(text), reply.answers[0].key
        return explain_key(self.runner, self.tokenizer, self.graph.tree, question, key, self.settings.look_ahead)

    def question(self, text: str) -> Question:
        """Return a tokenised question, after replacing the aliases of the rules."""
        return Question.encode(self.task.rules.replace_aliases(text), self.tokenizer, self.max_length)

    def reply(self, questions: Sequence[Question]) -> list[Reply]:
        """Return the replies to questions: all steps of the pipeline."""
        mentions = [self.finder.mentions(question) for question in questions]
        if self.settings.search == "beam":
            return self._generate_replies(questions, mentions)
        rankings = self.rank(questions, mentions)
        if self.settings.search == "both":
            rankings = self._with_similar_names(rankings)
        replies = [reply_from_ranking(ranking, self.graph, self.settings) for ranking in rankings]
        replies = self._with_second_hops(questions, mentions, replies)
        return [with_partial_status(reply, question) for reply, question in zip(replies, questions, strict=True)]

    def rank(self, questions: Sequence[Question], mentions: Sequence[Sequence[Mention]]) -> list[Ranking]:
        """Return the ranked candidates of the mentioned names of each question."""
        candidates = [self.finder.candidates(q, names) for q, names in zip(questions, mentions, strict=True)]
        return self.ranker.rank(questions, candidates)

    def generate(self, questions: Sequence[Question]) -> list[list[Hypothesis]]:
        """Return the keys that beam search generates for each question, best first."""
        hypotheses: dict[int, list[Hypothesis]] = {}
        order = sorted(range(len(questions)), key=lambda index: len(questions[index].ids))
        for start in range(0, len(order), BEAM_SEARCH_BATCH):
            indices = order[start : start + BEAM_SEARCH_BATCH]
            batch = [questions[index] for index in indices]
            keys = beam_search(self.runner, self.graph.tree, batch, self.settings.beam, self.settings.look_ahead)
            hypotheses.update(zip(indices, keys, strict=True))
        return [hypotheses[index] for index in range(len(questions))]

    def _generate_replies(self, questions: Sequence[Question], mentions: Sequence[Sequence[Mention]]) -> list[Reply]:
        """Return the replies of the beam search alone."""
        return [
            reply_from_hypotheses(
                question, hypotheses, partial(self._contains, question, exact), self.graph, self.settings
            )
            for question, exact, hypotheses in zip(questions, mentions, self.generate(questions), strict=True)
        ]

    def _contains(self, question: Question, exact: Sequence[Mention], name: int) -> bool:
        """Return whether a question contains a name as a word of its own, exactly or in other brackets or case."""

        def is_among(mentions: Iterable[Mention]) -> bool:
            return any(mention.literal and mention.name == name for mention in mentions)

        return is_among(exact) or is_among(self.fuzzy_finder.mentions(question))

    def _with_similar_names(self, rankings: Sequence[Ranking]) -> list[Ranking]:
        """Return the rankings; where a question seems unanswerable, with the candidates of similar names added.

        The new ranking is used only if its best candidate reaches the threshold, or if there was no candidate before.
        """
        settings, results = self.settings, list(rankings)
        unanswered = [i for i, r in enumerate(rankings) if r.p_unanswerable(settings.temperature) >= settings.absent]
        similar = self._similar_names([rankings[index] for index in unanswered])
        extended = {
            index: [*rankings[index].candidates, *self.finder.candidates(rankings[index].question, mentions)]
            for index, mentions in zip(unanswered, similar, strict=True)
            if mentions
        }
        new_rankings = self.ranker.rank([rankings[index].question for index in extended], list(extended.values()))
        for index, ranking in zip(extended, new_rankings, strict=True):
            best = float(ranking.probabilities(settings.temperature)[0].max())
            if best >= settings.threshold or not rankings[index].candidates:
                results[index] = ranking
        return results

    def _similar_names(self, rankings: Sequence[Ranking]) -> list[list[Mention]]:
        """Return further names for each question: fuzzy matches, or if there are none, those that beam search finds.

        Names whose candidates are already ranked are left out.
        """
        fuzzy = [_new_mentions(ranking, self.fuzzy_finder.mentions(ranking.question)) for ranking in rankings]
        unmatched = [ranking.question for ranking, mentions in zip(rankings, fuzzy, strict=True) if not mentions]
        generated = iter(self.generate(unmatched))
        return [
            mentions or _new_mentions(ranking, self._generated_mentions(next(generated)))
            for ranking, mentions in zip(rankings, fuzzy, strict=True)
        ]

    def _generated_mentions(self, hypotheses: Sequence[Hypothesis]) -> list[Mention]:
        """Return the distinct names of generated keys."""
        names = dict.fromkeys(self.graph.tree.name_of(hypothesis.key) for hypothesis in hypotheses)
        return [Mention(name) for name in names]

    def _with_second_hops(
        self, questions: Sequence[Question], mentions: Sequence[Sequence[Mention]], replies: Sequence[Reply]
    ) -> list[Reply]:
        """Return the replies; where two hops answer a question better than one, those of the two hops."""
        chains = [
            (index, *chain)
            for index, (question, names, reply) in enumerate(zip(questions, mentions, replies, strict=True))
            for chain in self._chains(question, names, reply.answers[0] if reply.answers else None)
        ]
        results = list(replies)
        rankings = self.rank([remaining for _, _, remaining, _ in chains], [objects for *_, objects in chains])
        for (index, chain, _, _), ranking in zip(chains, rankings, strict=True):
            second = reply_from_ranking(ranking, self.graph, self.settings)
            results[index] = with_second_hop(results[index], chain, second, questions[index])
        return results

    def _chains(
        self, question: Question, mentions: Sequence[Mention], single: Answer | None
    ) -> list[tuple[HopChain, Question, list[Mention]]]:
        """Return the chains to rank, each with its remaining question and the mention of its object there.

        A chain is compared with the single-hop answer by the predicate of its second hop. If no predicate of its object
        can win, it is left out. After a winner the chains are compared with each other, so all of them are kept.
        """

        def loses(option: tuple[HopChain, Question, list[Mention]]) -> bool:
            chain, _, objects = option
            keys = [self.graph.tree.keys(self.graph.tree.subject(mention.name)) for mention in objects]
            predicates = {
                text for start, end in keys for texts in self.graph.predicates_of(start, end) for text in texts
            }
            return single is not None and not any(chain.covers_more(p, single, question) for p in predicates)

        chains = find_chains(self.graph, question, mentions, single)
        return list(dropwhile(loses, [(chain, *self._objects(chain)) for chain in chains]))

    def _objects(self, chain: HopChain) -> tuple[Question, list[Mention]]:
        """Return the remaining question of a chain, with the mention of the object of its first hop."""
        question = Question.encode(chain.question, self.tokenizer, self.max_length)
        return question, [mention for mention in self.finder.mentions(question) if chain.is_about(question, mention)]


def _new_mentions(ranking: Ranking, mentions: Iterable[Mention]) -> list[Mention]:
    """Return the mentions whose names have no candidate in a ranking."""
    ranked = {candidate.mention.name for candidate in ranking.candidates}
    return [mention for mention in mentions if mention.name not in ranked]
