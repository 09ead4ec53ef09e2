"""Questions and their answers: what the readers give and the commands write.

    {"question": "《红楼梦》的作者是谁？", "status": "ok", "answers": [{"subject": "红楼梦", "meaning": "古典小说",
     "predicate": "作者", "objects": ["曹雪芹"], "score": 0.97}]}

The first answer is the best one. On reading gold, only the question and the subject, meaning, predicate and objects of
the first answer are used.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from nlpkit.core.io.records import Line
from nlpkit.tasks.kgqa.graph.triples import join_subject

FIELDS = ("status", "answers", "truncated", "steps")  # that the output may have; steps of --explain
Status = Literal["ok", "unsure", "not_in_graph"]


@dataclass(frozen=True, slots=True)
class Example:
    """A question with the triple that answers it, and where it stands.

    Attributes:
        text: the question.
        name: of the subject, without its meaning.
        meaning: which of the things of that name; may be empty.
        predicate: what is asked of it.
        object: the answer.
        line: where it was read.
        goes_on: whether more is asked, about the object, so that the triple answers only half of it; for training.
    """

    text: str
    name: str
    sense: str
    predicate: str
    object: str
    line: Line
    goes_on: bool = False

    @property
    def triple(self) -> tuple[str, str, str]:
        """Subject as written, predicate and object, as the metric wants them."""
        return join_subject(self.name, self.sense), self.predicate, self.object


@dataclass(frozen=True, slots=True)
class Answer:
    """A fact that answers a question.

    Attributes:
        subject: its name, without the meaning.
        meaning: which of the things of that name; may be empty.
        predicate: what is asked of it.
        objects: what the graph holds there, in its order.
        score: probability that this is what was asked.
        path: facts that led to the subject, in a chain S–P–O–P–O.
        key: of the graph.
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
        """See `Example.triple`; of several objects the first."""
        return join_subject(self.subject, self.sense), self.predicate, self.objects[0]


@dataclass(frozen=True, slots=True)
class Reply:
    """The answers to a question, best first.

    Attributes:
        status: `ok` where the first answer is likely to be right and its name is in the question.
        answers: at most five.
        absent: probability that the graph does not hold the answer.
        truncated: whether the question was too long to be read as a whole.
        rule: where the rule is that answered, as file:line; empty where the model answered.
    """

    status: Status
    answers: tuple[Answer, ...] = ()
    absent: float = 0.0
    truncated: bool = False
    rule: str = ""


def to_record(question: str, reply: Reply, fields: Mapping[str, Any] | None = None, most: int = 3) -> dict[str, Any]:
    """The JSON object of a question with its reply.

    Args:
        question: as it was asked.
        reply: what to write.
        fields: of the input record, which pass through; None is only the question.
        most: answers at the most.
    """
    record: dict[str, Any] = {**({"question": question} if fields is None else fields), "status": reply.status}
    record["answers"] = [_answer(answer) for answer in reply.answers[:most]]
    if reply.truncated:
        record["truncated"] = True
    return record


def _answer(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = {
        "subject": answer.subject,
        "meaning": answer.sense,
        "predicate": answer.predicate,
        "objects": list(answer.objects),
        "score": round(answer.score, 4),
    }
    if answer.path:
        found["path"] = [_answer(step) for step in answer.path]
    return found
