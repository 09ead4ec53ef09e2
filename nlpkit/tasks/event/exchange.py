"""Conversion between event examples and annotations of all kinds (`core.formats.annotation`)."""

from nlpkit.core.formats.annotation import Annotation, Argument, Frame, Mark, Tally, loose_regions
from nlpkit.tasks.event.data import TRIGGER, Example, Mention, RawEvent, make_example


def from_annotation(annotation: Annotation, tally: Tally | None = None) -> Example:
    """Return the events of an annotation; other annotations are counted as dropped.

    Raises:
        DataError: no text, or an invalid event.
    """
    example = make_example(
        annotation.line,
        annotation.text,
        [_raw_event(annotation, frame) for frame in annotation.events or ()],
        annotation.located,
    )
    if tally is not None:
        line = annotation.line
        kept = "records of events hold no labels of {them}, and only those that are part of an event"
        tally.drop("entity", kept, line, len(annotation.entities or ()))
        tally.drop("region", "without a label or an event", line, loose_regions(annotation))
        tally.drop("relation", "records of events cannot hold {them}", line, len(annotation.relations or ()))
    return example


def to_annotation(example: Example, scores: bool = False) -> Annotation:
    """Return the annotation of an example; that of events has no scores."""
    frames = []
    for event in example.events:
        trigger = event.trigger
        arguments = [Argument(a.role, Mark(a.start, a.end), a.value) for a in event.arguments if a is not trigger]
        frames.append(Frame(event.type, None if trigger is None else Mark(trigger.start, trigger.end), arguments))
    return Annotation(example.text, example.line, events=tuple(frames), located=example.located)


def _raw_event(annotation: Annotation, frame: Frame) -> RawEvent:
    mentions = [] if frame.trigger is None else [_mention(TRIGGER, frame.trigger)]
    for role, mark, value in frame.arguments:
        if role == TRIGGER:
            raise annotation.line.error(f'an argument has the role "{TRIGGER}", that of the trigger; rename it')
        mentions.append(_mention(role, mark, value))
    return RawEvent(frame.type, mentions)


def _mention(role: str, mark: Mark, value: str = "") -> Mention:
    return Mention(role, mark.start, mark.end, mark.text, value)
