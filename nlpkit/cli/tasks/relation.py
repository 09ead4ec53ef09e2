"""`nlpkit relation`."""

from typing import Annotated

import typer

from nlpkit.cli import options as opt
from nlpkit.cli.gold import evaluate_on_gold
from nlpkit.cli.train.job import train_on_gold
from nlpkit.cli.train.options import TrainFlags, flat
from nlpkit.tasks.relation.formats import FORMATS

Format = Annotated[str, opt.format_option(FORMATS)]


@flat
def predict(
    ctx: typer.Context,
    *,
    schema: opt.Schema = None,
    flags: opt.PredictFlags,
) -> None:
    """Find relations between entities: one line of text in, one JSON line out.

    Offsets count characters of the text as given: text[start:end] is the subject or object. A text longer than the
    model's maximum length is processed in overlapping windows ("windows": n); a relation is inside one of them.

    \b
        cat news.txt | nlpkit relation | jq -r '.relations[] | [.subject.text, .predicate, .object.text] | @tsv'
    """
    from nlpkit.cli.predict import annotating
    from nlpkit.cli.predict import predict as run
    from nlpkit.cli.render.event_graph import relation_marks, relation_tables
    from nlpkit.core.pipeline.processor import Processor
    from nlpkit.tasks.relation.task import load

    def make(device: str) -> Processor:
        loaded = load(flags.model, device, flags.dtype, runtime=flags.runtime, threshold=flags.threshold, schema=schema)
        return annotating(loaded, flags, relation_marks, relation_tables)

    run(ctx, flags, make)


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


@flat
def evaluate(
    *,
    format: Format = "nlpkit",
    annotator: opt.Annotator = None,
    offsets: opt.Offsets = None,
    schema: opt.Schema = None,
    flags: opt.EvaluateFlags,
) -> None:
    """Report strict triple precision, recall and F1, overall and per predicate, as one JSON object.

    A relation is correct if the predicate and the strings of subject and object are right, as in the competitions.
    "misaligned" counts gold relations that do not begin and end at token boundaries, and so cannot be found.

    "ece" is the expected calibration error of the scores: the mean difference of score and precision, over ten bins of
    equal width.

    \b
        nlpkit evaluate relation dev.jsonl --model my-model | jq '{triple, texts_per_second}'
    """
    from nlpkit.tasks.relation.task import load

    errors = opt.error_policy(flags.on_error, flags.max_line)
    reading = {"format": format, "annotator": annotator, "offsets": offsets}
    evaluate_on_gold("relation", load, flags, errors, reading, schema=schema)
