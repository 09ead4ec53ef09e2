"""`nlpkit ner`."""

from typing import Annotated, Any, Literal

import typer

from nlpkit.cli import options as opt
from nlpkit.cli.dictionary import DictionaryFile, DictMode, open_dictionary, report_matches
from nlpkit.cli.gold import read_gold, report
from nlpkit.cli.train.job import train_on_gold
from nlpkit.cli.train.options import TrainFlags, flat
from nlpkit.core.io.records import MAX_LINE
from nlpkit.tasks.ner.formats import FORMATS

Format = Annotated[str, opt.format_option(FORMATS)]


def predict(
    ctx: typer.Context,
    files: opt.Files = None,
    model: opt.ModelName = None,
    field: opt.TextField = None,
    encoding: opt.Encoding = "utf-8",
    output: opt.Output = None,
    html: Annotated[str | None, opt.html_option("entities")] = None,
    threshold: opt.Threshold = None,
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
    device: opt.DeviceName = "auto",
    dtype: opt.Dtype = "auto",
    nest: opt.Nest = None,
    on_error: opt.OnErrorPolicy = "fail",
    max_line: opt.MaxLine = MAX_LINE,
    quiet: opt.Quiet = False,
) -> None:
    """Find named entities: one line of text in, one JSON line out.

    Offsets are characters of the text as it was given: text[start:end] is the entity. A text longer than the model is
    read in overlapping windows, and "windows" says how many. Names of --dict match in any width, case and script, the
    longest first, words in Latin letters only as a whole; such an entity has "source": "dict".

    \b
        cat news.txt | nlpkit ner --labels name,company | jq -r '.entities[].text' | sort | uniq -c
        printf '和平精英\\tgame\\n' > names.tsv && nlpkit ner news.txt --dict names.tsv
    """
    paths = opt.input_files(ctx, files)

    from nlpkit.cli.predict import Streams, annotate
    from nlpkit.cli.render.text import Mark
    from nlpkit.tasks.ner.task import load

    streams = Streams(paths, field, encoding, output, html, on_error, quiet, max_line, nest)
    errors = opt.error_policy(on_error, max_line)
    names = open_dictionary(dictionary, paths, encoding, errors) if dictionary else None
    loaded = load(
        model,
        device,
        dtype,
        threshold=threshold,
        nested=nested,
        labels=opt.label_list(labels),
        dictionary=names,
        dict_mode=dict_mode,
    )

    def to_marks(found: dict[str, Any]) -> list[Mark]:
        return [Mark(e["start"], e["end"], e["label"], e["score"]) for e in found["entities"]]

    annotate(loaded, streams, loaded.task.output_fields, loaded.task.to_fields, to_marks)
    if names and dictionary and not quiet:
        report_matches(names, dictionary)
    opt.finish(errors)


@flat
def train(
    flags: TrainFlags,
    format: Format = "nlpkit",
    field: opt.GoldField = None,
    annotator: opt.Annotator = None,
    offsets: opt.Offsets = None,
    head: Annotated[
        Literal["efficient", "global"],
        typer.Option(help="Head: efficient (Efficient GlobalPointer) or global (GlobalPointer)."),
    ] = "efficient",
    nested: Annotated[bool, typer.Option("--nested/--flat", help="Whether entities may overlap.")] = False,
) -> None:
    """Train an NER model on annotated texts; print the dev metrics as one JSON object.

    The data has the format of `nlpkit ner`'s output, so a corrected output trains the next model.

    \b
        nlpkit train ner train.jsonl --dev dev.jsonl --output my-model && nlpkit ner --model my-model news.txt
    """
    train_on_gold(
        "ner",
        flags,
        {"format": format, "field": field, "annotator": annotator, "offsets": offsets},
        head=head,
        nested=nested,
    )


def evaluate(
    files: opt.Gold,
    model: opt.ModelName = None,
    format: Format = "nlpkit",
    field: opt.GoldField = None,
    annotator: opt.Annotator = None,
    offsets: opt.Offsets = None,
    encoding: opt.Encoding = "utf-8",
    threshold: opt.Threshold = None,
    nested: Annotated[
        bool | None,
        typer.Option("--nested/--flat", help="Return overlapping entities, or not (default: the model's own setting)."),
    ] = None,
    dictionary: DictionaryFile = None,
    dict_mode: DictMode = "join",
    device: opt.DeviceName = "auto",
    dtype: opt.Dtype = "auto",
    on_error: opt.OnErrorPolicy = "fail",
    max_line: opt.MaxLine = MAX_LINE,
) -> None:
    """Report strict span precision, recall and F1, overall and per label, as one JSON object.

    An entity is correct if start, end and label are right, in offsets of the whole text. "misaligned" counts gold
    entities that do not begin and end at token boundaries, and so cannot be found.

    \b
        nlpkit evaluate ner dev.jsonl --model my-model | jq '{f1, texts_per_second}'
    """
    from nlpkit.tasks.ner.task import load

    errors = opt.error_policy(on_error, max_line)
    reading = {"format": format, "field": field, "annotator": annotator, "offsets": offsets}
    examples = read_gold("ner", files, encoding, errors, **reading)
    settings: dict[str, Any] = {"threshold": threshold, "nested": nested, "dict_mode": dict_mode}
    if dictionary:
        settings["dictionary"] = open_dictionary(dictionary, files, encoding, errors)
    report(lambda: load(model, device, dtype, **settings), examples, files, errors)
