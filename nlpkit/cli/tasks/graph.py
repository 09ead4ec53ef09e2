"""`nlpkit graph build|info|get`."""

from collections.abc import Generator
from contextlib import closing
from pathlib import Path
from typing import Annotated, Literal

import typer

from nlpkit.cli import options as opt
from nlpkit.cli.error_handling import message
from nlpkit.cli.localization.help import App
from nlpkit.core.io.records import MAX_LINE

app = App(no_args_is_help=True, help="Make and read graph files for `nlpkit kgqa`.")

GraphFolder = Annotated[Path, typer.Argument(metavar="G.kg", help="Graph folder.", show_default=False)]


@app.command("build")
def build(
    ctx: typer.Context,
    output: Annotated[
        Path,
        typer.Option(
            "--output",
            "-o",
            metavar="G.kg",
            help="Graph folder to write; an old graph is replaced when the new one is complete.",
        ),
    ],
    files: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[TRIPLES…|-]", help="Files of triples (default: stdin, which is also -).", show_default=False
        ),
    ] = None,
    add: Annotated[bool, typer.Option("--add", help="Add to the graph instead of replacing it.")] = False,
    format: Annotated[
        Literal["tsv", "csv", "jsonl", "nt", "nq", "rdf"] | None,
        typer.Option(
            "--format",
            "-f",
            help="Format of all files (default: by their suffixes, else tsv). nt and nq are N-Triples and "
            "N-Quads, rdf is Turtle where the suffix says nothing else.",
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(
            metavar="S,P,O", callback=opt.text,
            help="The three columns of CSV or JSON by name, or of CSV by number, counted from 1."
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", metavar="NAME|DIR|FILE",
            help="Model that will use the graph, or its vocab.txt (default: the embedded model).",
        ),
    ] = None,
    encoding: opt.Encoding = "utf-8",
    on_error: opt.OnErrorPolicy = "fail",
    max_line: opt.MaxLine = MAX_LINE,
    quiet: opt.Quiet = False,
) -> None:  # fmt: skip
    """Build a graph from triples, or add to one; print its summary, as `nlpkit graph info`, and counts of the input.

    A line of TSV is SUBJECT<TAB>PREDICATE<TAB>OBJECT. --columns names the fields of CSV and JSON Lines. N-Triples and
    Turtle are read with pyoxigraph. A subject may name its sense: 江西（中国省份）. All files may be compressed. White
    space around names and invisible characters in them are removed; "cleaned" counts the triples changed so.

    \b
        zstd -dc facts.tsv.zst | nlpkit graph build -o G.kg && nlpkit graph get G.kg 长江
    """
    paths = opt.input_files(ctx, files)

    from nlpkit.cli.progress import reading, stages
    from nlpkit.core.io.records import write_json
    from nlpkit.core.model.pretrained import find_tokenizer
    from nlpkit.tasks import default_model
    from nlpkit.tasks.kgqa.graph.build import build_graph
    from nlpkit.tasks.kgqa.graph.graph import Graph
    from nlpkit.tasks.kgqa.graph.triples import Triple, TripleReader, parse_columns

    errors = opt.error_policy(on_error, max_line)
    tokenizer = (
        Graph.open(output).tokenizer if add and model is None else find_tokenizer(model or default_model("kgqa"))
    )
    reader = TripleReader(format, parse_columns(columns), encoding, errors)

    def read() -> Generator[Triple, None, None]:
        with reading(paths, quiet) as reader.advance:
            yield from reader.read(paths)

    with closing(read()) as triples, stages(quiet) as progress:
        graph = build_graph(triples, output, tokenizer, add=add, sources=paths, progress=progress)
    info = graph.info() | {"cleaned": reader.cleaned}
    write_json(None, [info])
    if info["unknown_names"]:
        rest = "the model cannot tell these apart from others that differ in such characters alone"
        message(f"{info['unknown_names']:,} name(s) have characters outside the model's vocabulary; {rest}")
    opt.finish(errors)


@app.command("info")
def info(
    graph: GraphFolder,
    check: Annotated[bool, typer.Option("--check", help="Read all files and verify their checksums.")] = False,
) -> None:
    """Show a summary of a graph: counts, sizes, triples per subject, number of names with several senses.

    \b
        nlpkit graph info G.kg | jq '{triples, names_by_senses}'
    """
    from nlpkit.core.io.records import write_json
    from nlpkit.tasks.kgqa.graph.graph import Graph

    opened = Graph.open(graph)
    if check:
        opened.check()
    write_json(None, [opened.info()])


@app.command("get")
def get(
    graph: GraphFolder,
    subject: Annotated[
        str,
        typer.Argument(
            metavar="SUBJECT", callback=opt.text, help="Name of a subject, or one of its senses: 名字（义）."
        ),
    ],
    predicate: Annotated[
        str | None,
        typer.Argument(
            metavar="[PREDICATE]", callback=opt.text, help="Return only this predicate.", show_default=False
        ),
    ] = None,
) -> None:
    """Print the facts of a subject as JSON Lines, which `nlpkit graph build` can read.

    \b
        nlpkit graph get G.kg 长江 流经 | jq -r '.objects[]'
    """
    from nlpkit.core.io.records import write_json
    from nlpkit.tasks.kgqa.graph.graph import Graph

    opened = Graph.open(graph)
    write_json(None, (fact.to_record() for fact in opened.look_up(subject, predicate)))
