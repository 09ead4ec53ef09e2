"""`nlpkit summarize` and `nlpkit evaluate summarize`."""

from typing import Annotated, Any

import typer

from nlpkit.cli import options as opt
from nlpkit.cli.train.options import Without, flat
from nlpkit.cli.train.summarize import Length, Sentences, SummaryField
from nlpkit.core.io.records import MAX_LINE

ExtractorName = Annotated[
    str | None,
    typer.Option(
        "--model", "-m", metavar="DIR", help="Model of `nlpkit train summarize` (default: none; by words that recur)."
    ),
]


@flat
def summarize(
    ctx: typer.Context,
    *,
    length: Length = 120,
    sentences: Sentences = None,
    model: ExtractorName = None,
    flags: Annotated[opt.PredictFlags, Without({"model", "threshold"})],
) -> None:
    """Summarize texts by their most central sentences: one line of text in, one JSON line out.

    "sentences" has the offsets of what was taken: text[start:end]. A sentence that is longer than the summary is split
    into its clauses. Without --model a sentence is central if its words come again elsewhere in the text, and if it is
    near the beginning.

    \b
        nlpkit summarize rulings.jsonl --field fact --length 120 | jq -r .summary
    """
    from nlpkit.cli.predict import annotating
    from nlpkit.cli.predict import predict as run
    from nlpkit.cli.render.text import Mark
    from nlpkit.core.pipeline.processor import Processor
    from nlpkit.tasks.summarize.summarizer import Summarizer

    def to_marks(found: dict[str, Any]) -> list[Mark]:
        return [Mark(s["start"], s["end"], f"{s['score']:.2f}", s["score"], "sentence") for s in found["sentences"]]

    def make(device: str) -> Processor:
        scorer = None
        if model is not None:
            from nlpkit.tasks.summarize.extractor import Extractor

            scorer = Extractor.load(model, device, flags.dtype, flags.runtime)
        return annotating(Summarizer(length, sentences, scorer), flags, to_marks)

    run(ctx, flags, make)


def evaluate(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILES…",
            help="Texts with summaries: JSON Lines, or lines of text TAB summary.",
            show_default=False,
        ),
    ],
    length: Length = 120,
    sentences: Sentences = None,
    field: opt.GoldField = None,
    summary: SummaryField = None,
    model: ExtractorName = None,
    encoding: opt.Encoding = "utf-8",
    on_error: opt.OnErrorPolicy = "fail",
    max_line: opt.MaxLine = MAX_LINE,
) -> None:
    """Report ROUGE-L, ROUGE-1 and ROUGE-2 (F1 of characters) of summaries against references, as one JSON object.

    "floors" has the scores of the first sentence or clause, and of the first characters of the text.

    \b
        nlpkit evaluate summarize dev.jsonl --length 40 | jq '{rouge_l, floors}'
    """
    from nlpkit.core.io.records import write_json
    from nlpkit.errors import DataError
    from nlpkit.tasks.summarize.data import read_examples
    from nlpkit.tasks.summarize.evaluation import evaluate as score
    from nlpkit.tasks.summarize.summarizer import Summarizer

    errors = opt.error_policy(on_error, max_line)
    examples = list(read_examples(files, encoding, errors, field, summary))
    if not examples:
        raise DataError("no texts in it", ", ".join(files))
    scorer = None
    if model is not None:
        from nlpkit.tasks.summarize.extractor import Extractor

        scorer = Extractor.load(model)
    write_json(None, [score(Summarizer(length, sentences, scorer), examples)])
    opt.finish(errors)
