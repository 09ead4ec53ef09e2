"""`nlpkit train summarize`."""

from dataclasses import replace
from typing import Annotated

import typer

from nlpkit.cli import options as opt
from nlpkit.cli.train.options import Folder, flat
from nlpkit.core.io.records import MAX_LINE
from nlpkit.tasks.summarize.settings import SummarizeSettings

Length = Annotated[
    int, typer.Option(min=1, max=1_000_000, metavar="N", help="Maximum number of characters of a summary.")
]

Sentences = Annotated[
    int | None,
    typer.Option(min=1, metavar="K", help="Maximum number of sentences or clauses (default: as many as fit)."),
]

SummaryField = Annotated[
    str | None,
    typer.Option(metavar="NAME", callback=opt.text, help="Field with the summary (default: 'summary')."),
]


@flat
def summarize(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILES…",
            help="Texts with summaries: JSON Lines, or lines of text TAB summary.",
            show_default=False,
        ),
    ],
    dev: Annotated[
        list[str],
        typer.Option(metavar="FILE", help="Texts with summaries on which the best weights are selected."),
    ],
    output: Folder,
    model: Annotated[
        str | None,
        typer.Option(
            "--model",
            "-m",
            metavar="NAME|DIR",
            help="Model of `nlpkit embed` that gives the vectors of sentences (default: embed-base).",
        ),
    ] = None,
    length: Length = 120,
    sentences: Sentences = None,
    field: opt.GoldField = None,
    summary: SummaryField = None,
    settings: SummarizeSettings = SummarizeSettings(),
    encoding: opt.Encoding = "utf-8",
    device: opt.DeviceName = "auto",
    dtype: opt.Dtype = "auto",
    on_error: opt.OnErrorPolicy = "fail",
    max_line: opt.MaxLine = MAX_LINE,
    quiet: opt.Quiet = False,
) -> None:
    """Train which sentences a summary is made of, on texts with summaries; print the dev metrics as one JSON object.

    Sentences are encoded by a model of `nlpkit embed`, which does not change; only a small network on their vectors is
    trained. --length and --sentences are those with which the model will be used.

    \b
        nlpkit train summarize train.jsonl --dev dev.jsonl --output my-model && nlpkit summarize --model my-model a.txt
    """
    from nlpkit.cli.progress import stages
    from nlpkit.core.io.records import write_json
    from nlpkit.errors import DataError
    from nlpkit.tasks import default_model, imported, spec
    from nlpkit.tasks.summarize.data import read_examples
    from nlpkit.tasks.summarize.extractor import ExtractorSettings
    from nlpkit.tasks.summarize.train import fit

    errors = opt.error_policy(on_error, max_line)
    train_set, dev_set = (list(read_examples(names, encoding, errors, field, summary)) for names in (files, dev))
    for name, found, paths in (("training", train_set, files), ("dev", dev_set, dev)):
        if not found:
            raise DataError(f"the {name} set is empty", ", ".join(paths))
    encoder = model or default_model("embed")
    embedder = imported(spec("embed").loader)(encoder, device, dtype)
    chosen = ExtractorSettings(encoder, embedder.fingerprint, embedder.dim, length=length)
    with stages(quiet) as progress:
        metrics = fit(
            embedder.encode,
            chosen,
            train_set,
            dev_set,
            output,
            replace(settings, sentences=sentences),
            {"training": files, "dev": dev},
            progress,
        )
    write_json(None, [metrics])
    opt.finish(errors)
