"""`nlpkit embed` and `nlpkit similar`."""

from typing import Annotated, Literal

import typer

from nlpkit.cli import options as opt
from nlpkit.cli.train.embed import embed as train_embed
from nlpkit.cli.train.options import Without, flat
from nlpkit.core.io.records import MAX_LINE
from nlpkit.errors import UsageError

train = flat(train_embed)


@flat
def predict(
    ctx: typer.Context,
    *,
    pooling: opt.Pooling = "auto",
    whiten: opt.Whiten = None,
    dim: opt.Dim = None,
    prompt: opt.Prompt = None,
    normalize: Annotated[
        bool | None,
        typer.Option(
            "--normalise/--raw", help="Normalize vectors to unit length, or not (default: as the model's settings say)."
        ),
    ] = None,
    format: Annotated[
        Literal["jsonl", "npy", "parquet"] | None,
        typer.Option("--format", "-f", help="Output format (default: by the suffix of --output, else jsonl)."),
    ] = None,
    precision: Annotated[
        Literal["float32", "float16", "int8", "binary"],
        typer.Option(
            help="Precision of the vectors; int8 scales the largest entry of each vector to 127, binary keeps the "
            "signs, eight per byte."
        ),
    ] = "float32",
    id_field: Annotated[
        str | None,
        typer.Option(
            "--id", metavar="NAME", callback=opt.text, help="Field to write as the column `id` of a Parquet file."
        ),
    ] = None,
    flags: Annotated[opt.PredictFlags, Without({"html", "threshold"})],
) -> None:
    """Embed sentences: one line of text in, one vector out, as JSON Lines, .npy or Parquet.

    OUT.npy.json beside a .npy file records the model, pooling, whitening and dimension, as "encoder" does in every JSON
    line. A text longer than the model's maximum length is processed in windows ("windows": n), or truncated where
    sentence-transformers would do so ("truncated": true).

    \b
        nlpkit embed corpus.txt -o vectors.npy && python -c "import numpy; print(numpy.load('vectors.npy').shape)"
    """
    from nlpkit.cli.predict import Reading
    from nlpkit.cli.predict import predict as run
    from nlpkit.core.io.records import Record
    from nlpkit.core.pipeline.processor import Processor
    from nlpkit.tasks.embed.loading import load
    from nlpkit.tasks.embed.output import choose_format, identifier, make_processor

    chosen = choose_format(format, flags.output if flags.ray is None else None)
    if id_field is not None and chosen != "parquet":
        raise UsageError("--id: is for --format parquet; JSON Lines have all fields of the input")

    def make(device: str) -> Processor:
        embedder = load(
            flags.model,
            device,
            flags.dtype,
            pooling,
            whiten,
            dim,
            normalize=normalize,
            prompt=prompt,
            runtime=flags.runtime,
        )
        return make_processor(
            embedder.embed, chosen, flags.output, precision, embedder.provenance, embedder.dim, flags.nest, id_field
        )

    def with_id(record: Record) -> Record:
        identifier(record, id_field or "")
        return record

    run(ctx, flags, make, reading_options=Reading(change=with_id if id_field else None), on_terminal=False)


def evaluate(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="PAIRS…",
            help="Files of pairs: sentence1 TAB sentence2 TAB score, or JSON Lines.",
            show_default=False,
        ),
    ],
    model: opt.ModelName = None,
    pooling: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME",
            autocompletion=opt.values("auto", "cls", "pooler", "mean", "first-last"),
            help="Pooling: auto, cls, pooler, mean or first-last; repeat it to compare several.",
        ),
    ] = None,
    whiten: Annotated[
        list[str] | None,
        typer.Option(
            metavar="FILE|stored|self|none",
            autocompletion=opt.values("stored", "self", "none"),
            help="Whitening; self fits one on each file's own sentences; repeat it to compare several.",
        ),
    ] = None,
    dim: Annotated[int | None, typer.Option(min=1, metavar="K", help="Number of dimensions to keep.")] = None,
    prompt: Annotated[
        str | None, typer.Option(metavar="NAME|TEXT", callback=opt.text, help="Text to put before every sentence.")
    ] = None,
    encoding: opt.Encoding = "utf-8",
    device: opt.DeviceName = "auto",
    dtype: opt.Dtype = "auto",
    runtime: opt.Runtime = "auto",
    on_error: opt.OnErrorPolicy = "fail",
    max_line: opt.MaxLine = MAX_LINE,
) -> None:
    """Report the Spearman correlation × 100 of cosines with the scores of pairs, per file and their mean.

    Prints one JSON object for each pooling and whitening.

    \b
        nlpkit evaluate embed dev.tsv --pooling cls --pooling mean --whiten none --whiten self | jq -c '{pooling, mean}'
    """
    from nlpkit.cli.error_handling import message
    from nlpkit.core.io.records import write_json
    from nlpkit.errors import DataError
    from nlpkit.tasks.embed.data import read_pairs
    from nlpkit.tasks.embed.evaluation import compare

    errors = opt.error_policy(on_error, max_line)
    pairs = list(read_pairs(files, encoding, errors))
    if not pairs:
        raise DataError("no pairs in it", ", ".join(files))
    chosen = (pooling or ["auto"], whiten or ["none"])
    write_json(None, compare(model, device, dtype, pairs, *chosen, dim, prompt, message, runtime=runtime))
    opt.finish(errors)


def similar(
    first: Annotated[str, typer.Argument(metavar="FILE_A", help="Sentences, one per line; - is stdin.")],
    second: Annotated[str, typer.Argument(metavar="FILE_B", help="The same number of sentences to compare them with.")],
    model: opt.ModelName = None,
    pooling: opt.Pooling = "auto",
    whiten: opt.Whiten = None,
    dim: opt.Dim = None,
    prompt: opt.Prompt = None,
    field: Annotated[
        str | None,
        typer.Option(
            metavar="NAME", callback=opt.text, help="Read both files as JSON Lines with the sentence in this field."
        ),
    ] = None,
    encoding: opt.Encoding = "utf-8",
    output: opt.Output = None,
    device: opt.DeviceName = "auto",
    dtype: opt.Dtype = "auto",
    runtime: opt.Runtime = "auto",
    max_line: opt.MaxLine = MAX_LINE,
    quiet: opt.Quiet = False,
) -> None:
    """Compute the cosine similarity of two files line by line: one JSON object per pair.

    \b
        nlpkit similar questions.txt answers.txt | jq -c 'select(.score > 0.9)'
    """
    from nlpkit.cli.progress import reading
    from nlpkit.core.io.input import check_sources
    from nlpkit.core.io.records import dump_line, open_output
    from nlpkit.core.io.stream import in_chunks
    from nlpkit.tasks.embed.encoder.unknown import is_blank
    from nlpkit.tasks.embed.loading import load
    from nlpkit.tasks.embed.pairs import cosines, side_by_side

    check_sources((first, second))
    embedder = load(model, device, dtype, pooling, whiten, dim, prompt=prompt, runtime=runtime)
    with reading([first], quiet) as advance, open_output(output) as stream:
        pairs = side_by_side(first, second, encoding, field, opt.error_policy("fail", max_line))
        for chunk in in_chunks(pairs, lambda pair: len(pair.first) + len(pair.second)):
            for pair, score in zip(chunk, cosines(embedder.encode, chunk), strict=True):
                blank = is_blank(pair.first) or is_blank(pair.second)
                rounded = None if blank else round(float(score), 4)
                stream.write(dump_line({"sentence1": pair.first, "sentence2": pair.second, "score": rounded}))
            stream.flush()
            advance(len(chunk), sum(pair.line.size for pair in chunk))
