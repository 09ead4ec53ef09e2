"""Build replies: answers and status from rules, rankings and hypotheses.

The status is decided here alone:

    not_in_graph    the question is empty, or p_unanswerable is at least `absent`
    ok              the score of the best answer is at least `threshold`, the question contains the name of its subject,
                    and the name is the subject of the question with a probability of at least `mention`; not if the
                    answer is partial
    unsure          otherwise
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

from nlpkit.tasks.kgqa.codec import Question
from nlpkit.tasks.kgqa.data import Answer, Reply, Status
from nlpkit.tasks.kgqa.decoding.beam_state import Hypothesis
from nlpkit.tasks.kgqa.graph.graph import Graph
from nlpkit.tasks.kgqa.multi_hop import HopChain, needs_second_hop
from nlpkit.tasks.kgqa.retrieval.empty_question import is_empty_question
from nlpkit.tasks.kgqa.retrieval.ranker import Ranking
from nlpkit.tasks.kgqa.rules import Rules
from nlpkit.tasks.kgqa.settings import KgqaSettings

MAX_ANSWERS = 5  # keys of a reply
MIN_PROBABILITY = 0.001  # of an answer other than the best


def reply_without_model(text: str, rules: Rules) -> Reply | None:
    """Return the reply of a rule, or to an empty question; None if the model has to answer."""
    fixed = rules.fixed_answer(text)
    if fixed is not None:
        return Reply("ok", tuple(Answer(*fact, score=1.0) for fact in fixed.facts), rule=fixed.location)
    return Reply("not_in_graph", p_unanswerable=1.0) if is_empty_question(text) else None


def reply_from_ranking(ranking: Ranking, graph: Graph, settings: KgqaSettings) -> Reply:
    """Return the best candidates of a ranking as a reply."""
    probabilities, p_unanswerable = ranking.probabilities(settings.temperature)
    order = ranking.order()[:MAX_ANSWERS]
    kept = [index for index in order if index == order[0] or probabilities[index] >= MIN_PROBABILITY]
    answers = [
        answer
        for index in kept
        for answer in answers_of(graph, ranking.question, ranking.candidates[index].key, float(probabilities[index]))
    ]
    status: Status = "unsure"
    if p_unanswerable >= settings.absent:
        status = "not_in_graph"
    elif order and answers[0].score >= settings.threshold and _is_subject(ranking, order[0], settings):
        status = "ok"
    return Reply(status, tuple(answers), p_unanswerable, ranking.question.truncated)


def reply_from_hypotheses(
    question: Question,
    hypotheses: Sequence[Hypothesis],
    contains: Callable[[int], bool],
    graph: Graph,
    settings: KgqaSettings,
) -> Reply:
    """Return the keys of a beam search as a reply.

    Args:
        question: question.
        hypotheses: keys, best first.
        contains: returns whether the question contains a name, given as token form, as a word of its own.
        graph: graph of the keys.
        settings: settings of the model.
    """
    answers = [answer for h in hypotheses for answer in answers_of(graph, question, h.key, math.exp(h.score))]
    if not answers:
        return Reply("not_in_graph", (), 1.0, question.truncated)
    best = answers[0]
    is_sure = best.score >= settings.threshold and contains(graph.tree.name_of(best.key))
    return Reply("ok" if is_sure else "unsure", tuple(answers), 1 - best.score, question.truncated)


def with_second_hop(reply: Reply, chain: HopChain, second: Reply, question: Question) -> Reply:
    """Return the reply of a two-hop chain if it is better than a reply, else that reply.

    Args:
        reply: reply so far: in a single hop, or of another chain.
        chain: first hop.
        second: reply to the remaining question of the chain.
        question: whole question.
    """
    if second.status == "not_in_graph":
        return reply
    if not reply.answers:
        is_better = True
    elif reply.answers[0].path:  # of another chain
        is_better = second.answers[0].score > reply.answers[0].score
    else:
        is_better = second.status == "ok" and chain.covers_more(second.answers[0].predicate, reply.answers[0], question)
    if not is_better:
        return reply
    return replace(second, answers=tuple(replace(answer, path=(chain.first,)) for answer in second.answers))


def with_partial_status(reply: Reply, question: Question) -> Reply:
    """Return the reply with the status `unsure` instead of `ok` if its answer is partial."""
    is_single_hop = reply.status == "ok" and not reply.answers[0].path
    if is_single_hop and needs_second_hop(reply.answers[0], question):
        return replace(reply, status="unsure")
    return reply


def answers_of(graph: Graph, question: Question, key: int, score: float) -> list[Answer]:
    """Return the facts of a key as answers; facts whose strings are in the question come first."""
    facts = graph.facts(key)
    if len(facts) > 1:
        facts.sort(key=lambda fact: (fact.subject not in question.text, fact.predicate not in question.text))
    return [Answer(*fact, score=score, key=key) for fact in facts]


def _is_subject(ranking: Ranking, index: int, settings: KgqaSettings) -> bool:
    """Return whether the question contains the name of a candidate, and the name is the subject of the question."""
    return ranking.candidates[index].mention.literal and float(ranking.borders[index]) >= settings.mention
