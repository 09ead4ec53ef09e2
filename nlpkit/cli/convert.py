"""`nlpkit convert`."""

from pathlib import Path
from typing import Annotated

import typer

from nlpkit.cli import options as opt
from nlpkit.cli.conversion import CONVERTED, SOURCES, TARGETS
from nlpkit.core.io.records import MAX_LINE
from nlpkit.errors import UsageError

FORMATS = SOURCES


def convert(
    ctx: typer.Context,
    source: Annotated[
        str,
        typer.Option(
            "--from",
            metavar="FORMAT",
            autocompletion=opt.values(*SOURCES),
            help=f"Format of the input: {', '.join(SOURCES)}.",
        ),
    ],
    target: Annotated[
        str,
        typer.Option(
            "--to",
            metavar="FORMAT",
            autocompletion=opt.values(*TARGETS),
            help=f"Format of the output: {', '.join(TARGETS)}.",
        ),
    ] = "nlpkit",
    files: opt.Files = None,
    task: Annotated[
        str | None,
        typer.Option(
            metavar=f"[{'|'.join(CONVERTED)}]",
            autocompletion=opt.values(*CONVERTED),
            help="Convert only the annotation of this task (default: all that a record has).",
        ),
    ] = None,
    annotator: opt.Annotator = None,
    offsets: opt.Offsets = None,
    from_name: Annotated[
        str, typer.Option(metavar="NAME", help="Name of the labelling tag in the Label Studio configuration.")
    ] = "label",
    to_name: Annotated[
        str, typer.Option(metavar="NAME", help="Name of the text tag in the Label Studio configuration.")
    ] = "text",
    data_key: Annotated[
        str, typer.Option(metavar="NAME", help="Key of the text in the data of a Label Studio task.")
    ] = "text",
    field: opt.GoldField = None,
    label: opt.LabelField = None,
    pair: opt.Pair = None,
    encoding: opt.Encoding = "utf-8",
    output: opt.Output = None,
    on_error: opt.OnErrorPolicy = "fail",
    max_line: opt.MaxLine = MAX_LINE,
) -> None:
    """Convert annotated texts from one format to another, checked record by record.

    Entities, relations and events are converted where the output format can hold them; stderr counts what is dropped
    or repaired. conll (BIO), bioes and cmeee hold entities; doccano and labelstudio also relations; brat also events.
    brat is a folder with two files for each text, named with --output; the others are one file or stdout. Label Studio
    gets predictions where the input has scores, else annotations. Offsets of doccano count code points, unless
    --offsets says otherwise. Labelled texts (clue, tsv, label-tsv, pair-tsv, fasttext, csv) become records of nlpkit.

    \b
        nlpkit ner --nested news.txt | nlpkit convert --from nlpkit --to labelstudio -o tasks.json
        nlpkit convert --from cluener train.json -o train.jsonl
    """
    from nlpkit.cli import conversion
    from nlpkit.core.formats.annotation import Sink, Source, check_unit
    from nlpkit.core.io.folders import new_folder
    from nlpkit.core.io.output import is_stdout
    from nlpkit.core.io.records import open_output, write_json

    errors = opt.error_policy(on_error, max_line)
    written = conversion.target(target)
    check_unit(offsets)
    reading_offsets, writing_offsets = (offsets if "doccano" in side else None for side in (source, target))
    if offsets is not None and "doccano" not in (source, target):
        raise UsageError(f"--offsets {offsets}: neither format is doccano; leave it out")
    labelled = source in conversion.LABELLED
    if labelled and (target != conversion.OWN or task is not None):
        raise UsageError(f"--from {source}: has labels of whole texts, which become records of nlpkit only")
    with opt.reported() as tally:
        paths = opt.input_files(ctx, files, expand=source != "brat")  # which reads a folder of pairs of files
        source_files = Source(paths, encoding, errors, field, annotator, reading_offsets, tally, label, pair)
        if labelled:
            write_json(output, conversion.read_labelled(source, source_files))
            opt.finish(errors)
            return
        sink = Sink(errors, tally, writing_offsets, from_name, to_name, data_key)
        records = conversion.without_unsupported(target, conversion.read(source, source_files, task), sink)
        if written.write_folder is None:
            with open_output(output) as stream:
                for part in conversion.render(target, records, sink):
                    stream.write(part)
        elif output is None or is_stdout(output):
            raise UsageError(f"--to {target}: two files for each text; name a new folder with --output")
        else:
            with new_folder(Path(output)) as folder:
                written.write_folder(records, sink, folder)
    opt.finish(errors)
