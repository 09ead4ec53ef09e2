"""`nlpkit relation`."""

from typing import Annotated

import typer

from nlpkit.cli import options as opt
from nlpkit.cli.gold import read_gold, report
from nlpkit.cli.train.job import train_on_gold
from nlpkit.cli.train.options import TrainFlags, flat
from nlpkit.core.io.records import MAX_LINE
from nlpkit.tasks.relation.formats import FORMATS

Format = Annotated[str, opt.format_option(FORMATS)]


def predict(
    ctx: typer.Context,
    files: opt.Files = None,
    model: opt.ModelName = None,
    field: opt.TextField = None,
    encoding: opt.Encoding = "utf-8",
    output: opt.Output = None,
    html: Annotated[str | None, opt.html_option("relations")] = None,
    threshold: opt.Threshold = None,
    schema: opt.Schema = None,
    device: opt.DeviceName = "auto",
    dtype: opt.Dtype = "auto",
    nest: opt.Nest = None,
    on_error: opt.OnErrorPolicy = "fail",
    max_line: opt.MaxLine = MAX_LINE,
    quiet: opt.Quiet = False,
) -> None:
    """Find relations between entities: one line of text in, one JSON line out.

    Offsets count characters of the text as given: text[start:end] is the subject or object. A text longer than the
    model's maximum length is processed in overlapping windows ("windows": n); a relation is inside one of them.

    \b
        cat news.txt | nlpkit relation | jq -r '.relations[] | [.subject.text, .predicate, .object.text] | @tsv'
    """
    paths = opt.input_files(ctx, files)

    from nlpkit.cli.predict import Streams, annotate
    from nlpkit.cli.render.event_graph import relation_marks, relation_tables
    from nlpkit.tasks.relation.task import load

    streams = Streams(paths, field, encoding, output, html, on_error, quiet, max_line, nest)
    loaded = load(model, device, dtype, threshold=threshold, schema=schema)

    annotate(loaded, streams, loaded.task.output_fields, loaded.task.to_fields, relation_marks, relation_tables)


@flat
def train(
    flags: TrainFlags,
    format: Format = "nlpkit",
    field: opt.GoldField = None,
    annotator: opt.Annotator = None,
    offsets: opt.Offsets = None,
) -> None:
    """Train a relation model on annotated texts; print the dev metrics as one JSON object.

    The data has the format of `nlpkit relation`'s output, so a corrected output trains the next model.

    \b
        nlpkit train relation train.jsonl --dev dev.jsonl --output my-model && nlpkit relation --model my-model news.txt
    """
    train_on_gold("relation", flags, {"format": format, "field": field, "annotator": annotator, "offsets": offsets})


def evaluate(
    files: opt.Gold,
    model: opt.ModelName = None,
    format: Format = "nlpkit",
    field: opt.GoldField = None,
    annotator: opt.Annotator = None,
    offsets: opt.Offsets = None,
    encoding: opt.Encoding = "utf-8",
    threshold: opt.Threshold = None,
    schema: opt.Schema = None,
    device: opt.DeviceName = "auto",
    dtype: opt.Dtype = "auto",
    on_error: opt.OnErrorPolicy = "fail",
    max_line: opt.MaxLine = MAX_LINE,
) -> None:
    """Report strict triple precision, recall and F1, overall and per predicate, as one JSON object.

    A relation is correct if the predicate and the strings of subject and object are right, as in the competitions.
    "misaligned" counts gold relations that do not begin and end at token boundaries, and so cannot be found.

    \b
        nlpkit evaluate relation dev.jsonl --model my-model | jq '{triple, texts_per_second}'
    """
    from nlpkit.tasks.relation.task import load

    errors = opt.error_policy(on_error, max_line)
    reading = {"format": format, "field": field, "annotator": annotator, "offsets": offsets}
    examples = read_gold("relation", files, encoding, errors, **reading)
    report(lambda: load(model, device, dtype, threshold=threshold, schema=schema), examples, files, errors)
