"""`nlpkit convert`."""

from typing import Annotated

import typer

from nlpkit.cli import options as opt
from nlpkit.tasks.ner.formats import FORMATS


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
    from nlpkit.tasks.ner.data import to_record
    from nlpkit.tasks.ner.formats import read_examples

    errors = opt.error_policy(on_error)
    examples = read_examples(opt.input_files(ctx, files), source, encoding, errors, field)
    write_json(output, (to_record(example.text, example.entities) for example in examples))
    opt.finish(errors)
