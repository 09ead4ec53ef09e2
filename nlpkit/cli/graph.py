"""`nlpkit graph build|info|get`."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from nlpkit.cli import options as opt
from nlpkit.cli.edge import message

app = typer.Typer(no_args_is_help=True, help="Make and read graph files for `nlpkit kgqa`.", rich_markup_mode=None)

GraphFolder = Annotated[Path, typer.Argument(metavar="G.kg", help="A graph.", show_default=False)]


@app.command("build")
def build(
    ctx: typer.Context,
    output: Annotated[
        Path, typer.Option("--output", "-o", metavar="G.kg", help="The graph; an old one stays until the new is done.")
    ],
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[TRIPLES…|-]", help="Files of triples; - or nothing is stdin.", show_default=False),
    ] = None,
    add: Annotated[bool, typer.Option("--add", help="Add to the graph instead of replacing it.")] = False,
    format: Annotated[
        Literal["tsv", "csv", "jsonl", "nt", "nq", "rdf"] | None,
        typer.Option(
            "--format",
            "-f",
            help="Format of all files (default: by their names, else tsv). nt and nq are N-Triples and N-Quads, rdf is "
            "Turtle where the name says nothing else.",
        ),
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(metavar="S,P,O", help="The three columns of CSV or JSON, by name; of CSV also by number, from 1."),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            "--model", "-m", metavar="NAME|DIR|FILE",
            help="The model that is to use it, or its vocab.txt; the embedded model when left out.",
        ),
    ] = None,
    encoding: opt.Encoding = "utf-8",
    on_error: opt.OnErrorPolicy = "fail",
    quiet: opt.Quiet = False,
) -> None:  # fmt: skip
    """Make a graph from triples, or add to one; prints what `nlpkit graph info` does, and the counts of the input.

    TSV has SUBJECT<TAB>PREDICATE<TAB>OBJECT in a line; CSV and JSON Lines their fields as --columns says; N-Triples and
    Turtle are read by pyoxigraph. A subject may say which one it is: 江西（中国省份）. All may be compressed. Invisible
    characters in names and white space around them are removed; "cleaned" counts the triples that had any.

    \b
        zstd -dc facts.tsv.zst | nlpkit graph build -o G.kg && nlpkit graph get G.kg 长江
    """
    paths = opt.input_files(ctx, files)

    from nlpkit.cli.progress import stages
    from nlpkit.core.backbone import find_tokenizer
    from nlpkit.core.io import write_json
    from nlpkit.tasks.kgqa.build import build_graph
    from nlpkit.tasks.kgqa.graph import DEFAULT_MODEL, Graph
    from nlpkit.tasks.kgqa.triples import Progressing, TripleReader, parse_columns

    errors = opt.error_policy(on_error)
    tokenizer = Graph.open(output).tokenizer if add and model is None else find_tokenizer(model or DEFAULT_MODEL)
    with stages(quiet) as progress:
        reader = TripleReader(format, parse_columns(columns), encoding, errors, Progressing(paths, progress))
        graph = build_graph(reader.read(paths), output, tokenizer, add=add, sources=paths, progress=progress)
    info = graph.info() | {"cleaned": reader.cleaned}
    write_json(None, [info])
    if info["unknown_names"]:
        rest = "the model cannot tell these apart from others that differ in such characters alone"
        message(f"{info['unknown_names']:,} name(s) have characters outside the model's vocabulary; {rest}")
    opt.finish(errors)


@app.command("info")
def info(
    graph: GraphFolder,
    check: Annotated[bool, typer.Option("--check", help="Read all of it and compare the checksums.")] = False,
) -> None:
    """Show what is in a graph: counts, sizes, triples per subject, how many names have several senses.

    \b
        nlpkit graph info G.kg | jq '{triples, names_by_senses}'
    """
    from nlpkit.core.io import write_json
    from nlpkit.tasks.kgqa.graph import Graph

    opened = Graph.open(graph)
    if check:
        opened.check()
    write_json(None, [opened.info()])


@app.command("get")
def get(
    graph: GraphFolder,
    subject: Annotated[str, typer.Argument(metavar="SUBJECT", help="A name, or one of its senses: 名字（义）.")],
    predicate: Annotated[
        str | None, typer.Argument(metavar="[PREDICATE]", help="Only this one.", show_default=False)
    ] = None,
) -> None:
    """Look a subject up: its facts as JSON Lines, which `nlpkit graph build` reads again.

    \b
        nlpkit graph get G.kg 长江 流经 | jq -r '.objects[]'
    """
    from nlpkit.core.io import write_json
    from nlpkit.tasks.kgqa.graph import Graph

    opened = Graph.open(graph)
    write_json(None, (fact._asdict() for fact in opened.look_up(subject, predicate)))
