"""Records of kgqa: questions with gold answers, and replies.

    {"question": "《红楼梦》的作者是谁？", "status": "ok", "answers": [{"subject": "红楼梦", "meaning": "古典小说",
     "predicate": "作者", "objects": ["曹雪芹"], "score": 0.97}]}

Answers are ordered best first. Of a gold record, only the question and the subject, meaning (the sense), predicate and
objects of the first answer are read.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from nlpkit.core.io.records import Line
from nlpkit.tasks.kgqa.graph.triples import join_subject

if TYPE_CHECKING:  # it imports numpy, which the help of a command does without
    from nlpkit.tasks.kgqa.graph.graph import Graph

FIELDS = ("status", "answers", "truncated", "steps")  # fields that the output may add; steps with --explain
Status = Literal["ok", "unsure", "not_in_graph"]


@dataclass(frozen=True, slots=True)
class Example:
    """A question with the triple that answers it.

    Attributes:
        text: text of the question.
        name: entity name of the subject, without the sense.
        sense: sense of the subject; may be empty.
        predicate: predicate.
        object: object, that is, the answer.
        line: line of the input.
        needs_second_hop: whether the question asks about the object, so that the triple is a partial answer; only in
            synthetic training data.
    """

    text: str
    name: str
    sense: str
    predicate: str
    object: str
    line: Line
    needs_second_hop: bool = False

    @property
    def triple(self) -> tuple[str, str, str]:
        """Return (subject with its sense, predicate, object) for the metric."""
        return join_subject(self.name, self.sense), self.predicate, self.object

    def find_key(self, graph: "Graph") -> int | None:
        """Return the key of the triple in a graph; None if the graph does not have it."""
        forms = []
        for table, text in zip(graph.tables, (self.name, self.predicate, self.sense), strict=True):
            surface_form = table.find(text)
            if surface_form is None:
                return None
            forms.append(table.form_of(surface_form))
        return graph.tree.rank(*forms)


@dataclass(frozen=True, slots=True)
class Answer:
    """A fact that answers a question.

    Attributes:
        subject: entity name, without the sense.
        sense: sense of the subject; may be empty. Written to JSON as `meaning`.
        predicate: predicate.
        objects: objects, in the order of the graph.
        score: probability that the question asks for this fact.
        path: facts that lead to the subject, for a two-hop question.
        key: rank of the key in the graph; -1 for the answer of a rule.
    """

    subject: str
    sense: str
    predicate: str
    objects: tuple[str, ...]
    score: float
    path: tuple["Answer", ...] = ()
    key: int = field(default=-1, compare=False)

    @property
    def triple(self) -> tuple[str, str, str]:
        """Return (subject with its sense, predicate, first object) for the metric."""
        return join_subject(self.subject, self.sense), self.predicate, self.objects[0]


@dataclass(frozen=True, slots=True)
class Reply:
    """Reply to a question: status and ranked answers.

    Attributes:
        status: `ok` if the best answer is probably right and its entity name is in the question; `not_in_graph` if the
            graph probably does not contain the answer; `unsure` otherwise.
        answers: answers, best first.
        p_unanswerable: probability that the graph does not contain the answer.
        truncated: whether the question was too long and was truncated.
        rule: location of the rule that answered, as file:line; empty if the model answered.
    """

    status: Status
    answers: tuple[Answer, ...] = ()
    p_unanswerable: float = 0.0
    truncated: bool = False
    rule: str = ""


def to_record(
    question: str, reply: Reply, fields: Mapping[str, Any] | None = None, max_answers: int = 3
) -> dict[str, Any]:
    """Return the JSON object of a question with its reply.

    Args:
        question: text of the question.
        reply: reply to write.
        fields: fields of the input record, which are kept; None for the question alone.
        max_answers: maximum number of answers.
    """
    record: dict[str, Any] = {**({"question": question} if fields is None else fields), "status": reply.status}
    record["answers"] = [_answer_record(answer) for answer in reply.answers[:max_answers]]
    if reply.truncated:
        record["truncated"] = True
    return record


def _answer_record(answer: Answer) -> dict[str, Any]:
    record: dict[str, Any] = {
        "subject": answer.subject,
        "meaning": answer.sense,
        "predicate": answer.predicate,
        "objects": list(answer.objects),
        "score": round(answer.score, 4),
    }
    if answer.path:
        record["path"] = [_answer_record(fact) for fact in answer.path]
    return record
