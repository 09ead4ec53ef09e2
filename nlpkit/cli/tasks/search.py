"""`nlpkit search build|info|query`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from nlpkit.cli import options as opt
from nlpkit.cli.localization.help import App
from nlpkit.cli.train.options import Without, as_folder, flat
from nlpkit.core.io.records import MAX_LINE

FIELDS = ("query", "results")  # of the output of a query

IndexFolder = Annotated[
    Path, typer.Argument(metavar="IDX", help="Index folder made by `nlpkit search build`.", show_default=False)
]
app = App(no_args_is_help=True, help="Search texts by words and meaning.")


@app.command("build")
def build(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="CORPUS…",
            callback=opt.text_files,
            help="Files, folders or patterns: text, JSON Lines, CSV, TSV or Parquet (default: stdin, which is also -).",
            show_default=False,
        ),
    ],
    output: Annotated[
        Path,
        typer.Option("--output", "-o", metavar="IDX", callback=as_folder, help="Index folder to write."),
    ],
    model: opt.ModelName = None,
    pooling: opt.Pooling = "auto",
    whiten: opt.Whiten = None,
    dim: opt.Dim = None,
    prompt: opt.Prompt = None,
    method: Annotated[
        Literal["auto", "exact", "graph"],
        typer.Option(
            help="Search of the vectors: exact compares every vector, graph uses HNSW (usearch); auto uses graph for "
            "more than 100,000 texts."
        ),
    ] = "auto",
    precision: Annotated[
        Literal["float32", "float16"], typer.Option(help="Precision of the vectors on disk; float16 halves the space.")
    ] = "float32",
    field: opt.TextField = None,
    input_format: opt.InputFormat = None,
    encoding: opt.Encoding = "utf-8",
    device: opt.DeviceName = "auto",
    dtype: opt.Dtype = "auto",
    runtime: opt.Runtime = "auto",
    on_error: opt.OnErrorPolicy = "fail",
    max_line: opt.MaxLine = MAX_LINE,
    resume: Annotated[bool, typer.Option("--resume", help="Continue a build that was killed.")] = False,
    quiet: opt.Quiet = False,
) -> None:
    """Build a search index of any number of texts.

    Prints a summary. Blank lines are left out; results give the line number in the file.

    \b
        nlpkit search build corpus.txt -o idx && echo 今天天气 | nlpkit search query idx -k 3
    """
    from nlpkit.cli.error_handling import message
    from nlpkit.cli.progress import reading, stages
    from nlpkit.core.io.input import check_sources
    from nlpkit.core.io.records import write_json
    from nlpkit.tasks.embed.index.build import MAX_EXACT, BuildSettings, embed_texts, finalize
    from nlpkit.tasks.embed.loading import load

    check_sources(files)
    errors = opt.error_policy(on_error, max_line)
    embedder = load(model, device, dtype, pooling, whiten, dim, prompt=prompt, role="passage", runtime=runtime)
    arguments = {"model": embedder.name, "pooling": pooling, "whiten": whiten, "dim": dim, "prompt": prompt}
    settings = BuildSettings(field, encoding, method, precision, resume, input_format)
    with reading(files, quiet) as advance:
        embed_texts(files, embedder, output, settings, errors, advance)
    with stages(quiet) as progress:
        manifest = finalize(output, arguments, progress)
    if method == "auto" and manifest.method == "exact" and manifest.count > MAX_EXACT:
        message(f"search over {manifest.count:,} texts is exact; for HNSW: pip install 'nlpkit[search]'")
    summary = {
        "count": manifest.count, "dim": manifest.dim, "method": manifest.method, "precision": manifest.precision
    }  # fmt: skip
    write_json(None, [{"index": str(output), **summary, "encoder": manifest.identity}])
    opt.finish(errors)


@app.command("info")
def info(
    index: IndexFolder,
    check: Annotated[bool, typer.Option("--check", help="Read all of it and compare the checksums.")] = False,
) -> None:
    """Show what is in an index: texts, dimensions, sizes of its files, the model that made it.

    \b
        nlpkit search info idx --check | jq '{count, dim}'
    """
    from nlpkit.core.io.records import write_json
    from nlpkit.tasks.embed.index.index import Index

    opened = Index.open(index)
    if check:
        opened.verify()
    write_json(None, [opened.info()])


@app.command("query")
@flat
def query(
    ctx: typer.Context,
    *,
    index: IndexFolder,
    number: Annotated[
        int, typer.Option("--number", "-k", min=1, metavar="K", help="Number of results per query.")
    ] = 10,
    model: Annotated[
        str | None,
        typer.Option("--model", "-m", metavar="NAME|DIR", help="Model of the index, if its folder has moved."),
    ] = None,
    prompt: opt.Prompt = None,
    method: Annotated[
        Literal["hybrid", "bm25", "vector", "exact", "graph"] | None,
        typer.Option(
            help="Search method: bm25 matches words, vector meaning, hybrid both; exact and graph are vector by "
            "comparison with every vector, or by HNSW (default: hybrid, or vector for an index without BM25)."
        ),
    ] = None,
    flags: Annotated[opt.PredictFlags, Without({"model", "html", "threshold"})],
) -> None:
    """Find the texts of an index that match each query best: one line in, one JSON line out.

    {"query":…,"results":[{"text":…,"score":…,"line":…}, …]}, best first. With bm25 the score is the BM25 score,
    with vector the cosine. With hybrid it comes from the ranks in both, 1 if a text is first in both, and
    "cosine" and "bm25" follow it. For a JSON Lines corpus each result also has its "record". A blank query
    has no results.

    \b
        echo 花呗怎么还款 | nlpkit search query idx -k 3 | jq -r '.results[] | [.score, .text] | @tsv'
    """
    from dataclasses import replace

    from nlpkit.cli.predict import Reading
    from nlpkit.cli.predict import predict as run
    from nlpkit.core.io.records import Record, combined, dump_line
    from nlpkit.core.pipeline.processor import Piece, Processor
    from nlpkit.tasks.embed.index.index import Index
    from nlpkit.tasks.embed.index.retrieval import pick_method, retrieve

    text_field = flags.field or "text"

    def without_text(record: Record) -> Record:
        """Return a record without its text, which comes back as "query"."""
        return replace(record, fields={name: value for name, value in record.fields.items() if name != text_field})

    def make(device: str) -> Processor:
        opened = Index.open(index)
        chosen = pick_method(opened, method)
        embedder = None
        if chosen != "bm25":
            embedder = opened.embedder(model, device, flags.dtype, prompt, flags.runtime)

        def process(records: Sequence[Record]) -> Piece:
            texts = [record.text for record in records]
            vectors = embedder.encode(texts) if embedder else None
            found = retrieve(opened, texts, vectors, number, chosen)
            answers = ({"query": text, "results": results} for text, results in zip(texts, found, strict=True))
            pairs = zip(records, answers, strict=True)
            return Piece(b"".join(dump_line(combined(record.fields, answer, flags.nest)) for record, answer in pairs))

        return Processor(process, FIELDS)

    run(ctx, flags, make, reading_options=Reading(change=without_text), on_terminal=False)
