"""`nlpkit ner`."""

from typing import Annotated, Any

import typer

from nlpkit.cli import options as opt
from nlpkit.cli.gold import evaluate_on_gold
from nlpkit.cli.tasks.dictionary import DictionaryFile, DictMode, open_dictionary, report_matches
from nlpkit.cli.train.job import train_on_gold
from nlpkit.cli.train.options import TrainFlags, flat
from nlpkit.tasks.ner.formats import FORMATS
from nlpkit.tasks.ner.settings import NerSettings

Format = Annotated[str, opt.format_option(FORMATS)]


@flat
def predict(
    ctx: typer.Context,
    *,
    labels: Annotated[
        str | None, typer.Option(metavar="A,B…", callback=opt.text, help="Give only entities with these labels.")
    ] = None,
    nested: Annotated[
        bool | None,
        typer.Option(
            "--nested/--flat",
            help="Return overlapping entities, or only the best of them (default: the model's own setting).",
        ),
    ] = None,
    dictionary: DictionaryFile = None,
    dict_mode: DictMode = "join",
    flags: opt.PredictFlags,
) -> None:
    """Find named entities: one line of text in, one JSON line out.

    Offsets are characters of the text as it was given: text[start:end] is the entity. A text longer than the model is
    read in overlapping windows, and "windows" says how many. Names of --dict match in any width, case and script, the
    longest first, words in Latin letters only as a whole; such an entity has "source": "dict".

    \b
        cat news.txt | nlpkit ner --labels name,company | jq -r '.entities[].text' | sort | uniq -c
        printf '和平精英\\tgame\\n' > names.tsv && nlpkit ner news.txt --dict names.tsv
    """
    paths = opt.input_files(ctx, flags.files)

    from nlpkit.cli.predict import annotating
    from nlpkit.cli.predict import predict as run
    from nlpkit.cli.render.text import Mark
    from nlpkit.core.pipeline.processor import Processor
    from nlpkit.tasks.ner.task import load

    errors = opt.error_policy(flags.on_error, flags.max_line)
    names = open_dictionary(dictionary, paths, flags.encoding, errors) if dictionary else None

    def to_marks(found: dict[str, Any]) -> list[Mark]:
        return [Mark(e["start"], e["end"], e["label"], e["score"]) for e in found["entities"]]

    def make(device: str) -> Processor:
        loaded = load(
            flags.model,
            device,
            flags.dtype,
            runtime=flags.runtime,
            threshold=flags.threshold,
            nested=nested,
            labels=opt.label_list(labels),
            dictionary=names,
            dict_mode=dict_mode,
        )
        return annotating(loaded, flags, to_marks)

    run(ctx, flags, make, errors)
    # Each worker, and each run of one that is continued, knows its own matches only.
    alone = not flags.resume and flags.ray is None and flags.workers in (None, 1)
    if names and dictionary and not flags.quiet and alone:
        report_matches(names, dictionary)
    opt.finish(errors)


@flat
def train(
    flags: TrainFlags,
    format: Format = "nlpkit",
    field: opt.GoldField = None,
    annotator: opt.Annotator = None,
    offsets: opt.Offsets = None,
    settings: NerSettings = NerSettings(labels=()),
) -> None:
    """Train an NER model on annotated texts; print the dev metrics as one JSON object.

    The data has the format of `nlpkit ner`'s output, so a corrected output trains the next model. A record with
    "labels": ["name"] is annotated with these labels only; the model learns nothing about the other ones from it.

    \b
        nlpkit train ner train.jsonl --dev dev.jsonl --output my-model && nlpkit ner --model my-model news.txt
    """
    train_on_gold(
        "ner",
        flags,
        {"format": format, "field": field, "annotator": annotator, "offsets": offsets},
        head=settings.head,
        nested=settings.nested,
        groups=settings.groups,
    )


@flat
def evaluate(
    *,
    format: Format = "nlpkit",
    annotator: opt.Annotator = None,
    offsets: opt.Offsets = None,
    nested: Annotated[
        bool | None,
        typer.Option("--nested/--flat", help="Return overlapping entities, or not (default: the model's own setting)."),
    ] = None,
    dictionary: DictionaryFile = None,
    dict_mode: DictMode = "join",
    flags: opt.EvaluateFlags,
) -> None:
    """Report strict span precision, recall and F1, overall and per label, as one JSON object.

    An entity is correct if start, end and label are right, in offsets of the whole text. "misaligned" counts gold
    entities that do not begin and end at token boundaries, and so cannot be found.

    "ece" is the expected calibration error of the scores: the mean difference of score and precision, over ten bins of
    equal width.

    \b
        nlpkit evaluate ner dev.jsonl --model my-model | jq '{f1, texts_per_second}'
    """
    from nlpkit.tasks.ner.task import load

    errors = opt.error_policy(flags.on_error, flags.max_line)
    settings: dict[str, Any] = {"nested": nested, "dict_mode": dict_mode}
    if dictionary:
        settings["dictionary"] = open_dictionary(dictionary, flags.files, flags.encoding, errors)
    reading = {"format": format, "annotator": annotator, "offsets": offsets}
    evaluate_on_gold("ner", load, flags, errors, reading, **settings)
