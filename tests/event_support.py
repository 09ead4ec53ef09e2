"""What the tests of events share: examples in few words."""

from nlpkit.core.io.records import Line
from nlpkit.tasks.event.data import TRIGGER, Argument, Event, Example, in_text_order, labels_of
from nlpkit.tasks.event.task import EventSettings, EventTask

LINE = Line("", "gold", 1)
TEXT = "甲公司将股份质押给乙银行，又质押给丙银行。"


def event(type, *arguments):
    """(start, end, role) or (start, end, role, value) for each."""
    return Event(type, tuple(sorted(Argument(*argument) for argument in arguments)))


def task_of(*examples, **options):
    return EventTask(EventSettings(labels_of(examples, [])), **options)


def example(text, *events):
    return Example(text, tuple(sorted(events, key=in_text_order)), LINE)


FIRST = event("质押", (6, 8, TRIGGER), (0, 3, "质押方"), (4, 6, "质押物"), (9, 12, "质权方"))
