"""`nlpkit convert`."""

from collections.abc import Iterator
from typing import Annotated, Any

import typer

from nlpkit.cli import options as opt
from nlpkit.core.io import OnError
from nlpkit.errors import UsageError
from nlpkit.tasks.event.formats import FORMATS as EVENT_FORMATS
from nlpkit.tasks.ner.formats import FORMATS as NER_FORMATS
from nlpkit.tasks.relation.formats import FORMATS as RELATION_FORMATS

FORMATS = tuple(dict.fromkeys((*NER_FORMATS, *RELATION_FORMATS, *EVENT_FORMATS)))


def convert(
    ctx: typer.Context,
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="FORMAT",
            autocompletion=opt.values(*FORMATS),
            help=f"Format of the input: {', '.join(FORMATS)}.",
        ),
    ],
    files: opt.Files = None,
    field: opt.GoldField = None,
    encoding: opt.Encoding = "utf-8",
    output: opt.Output = None,
    on_error: opt.OnErrorPolicy = "fail",
) -> None:
    """Turn published data formats into nlpkit's JSON Lines, checked record by record.

    \b
        nlpkit convert --from cluener train.json -o train.jsonl
    """
    from nlpkit.core.io import write_json

    errors = opt.error_policy(on_error)
    write_json(output, _records(opt.input_files(ctx, files), source, encoding, errors, field))
    opt.finish(errors)


def _records(
    paths: list[str], source: str, encoding: str, on_error: OnError, field: str | None
) -> Iterator[dict[str, Any]]:
    """The records of the task that the format is of; `nlpkit` is taken for NER's."""
    from nlpkit.tasks.event import data as event
    from nlpkit.tasks.event import formats as event_formats
    from nlpkit.tasks.ner import data as ner
    from nlpkit.tasks.ner import formats as ner_formats
    from nlpkit.tasks.relation import data as relation
    from nlpkit.tasks.relation import formats as relation_formats

    if source not in NER_FORMATS and source in RELATION_FORMATS:
        for r in relation_formats.read_examples(paths, source, encoding, on_error, field):
            yield relation.to_record(r.text, r.relations)
    elif source not in NER_FORMATS and source in EVENT_FORMATS:
        for e in event_formats.read_examples(paths, source, encoding, on_error, field):
            yield event.to_record(e.text, e.events, located=e.located)
    elif source not in NER_FORMATS:
        raise UsageError(f"unknown format {source!r}; there are: {', '.join(FORMATS)}")
    else:
        for n in ner_formats.read_examples(paths, source, encoding, on_error, field):
            yield ner.to_record(n.text, n.entities)
