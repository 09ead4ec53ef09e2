"""`nlpkit dict build`, and the options of commands that take a dictionary."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from nlpkit.cli import options as opt
from nlpkit.cli.error_handling import message
from nlpkit.cli.localization.help import App
from nlpkit.core.io.records import MAX_LINE, STDIN, ErrorPolicy
from nlpkit.errors import UsageError

if TYPE_CHECKING:  # it imports numpy
    from nlpkit.tasks.ner.dictionary import Dictionary

app = App(no_args_is_help=True, help="Make dictionaries for `nlpkit ner --dict`.")

DictionaryFile = Annotated[
    str | None,
    typer.Option(
        "--dict",
        metavar="FILE",
        help="Dictionary of entities: one name<TAB>label per line, or a file written by `nlpkit dict build`.",
    ),
]
DictMode = Annotated[
    Literal["join", "override"],
    typer.Option(
        help="Resolution of overlaps between names of --dict and entities of the model: join keeps the longer one, "
        "override the name."
    ),
]


@app.command("build")
def build(
    ctx: typer.Context,
    output: Annotated[Path, typer.Option("--output", "-o", metavar="FILE", help="Dictionary file to write.")],
    file: Annotated[
        str | None,
        typer.Argument(metavar="[FILE|-]", help="Entries, one per line (default: stdin).", show_default=False),
    ] = None,
    encoding: opt.Encoding = "utf-8",
    on_error: opt.OnErrorPolicy = "fail",
    max_line: opt.MaxLine = MAX_LINE,
) -> None:
    """Compile a large dictionary for --dict into a memory-mapped file; print the number of names.

    A line has name<TAB>label. Of equal names the first one counts; width, case and script (simplified or traditional)
    do not matter.

    \b
        nlpkit dict build names.tsv.gz -o names.dict && nlpkit ner news.txt --dict names.dict
    """
    (path,) = opt.input_files(ctx, [file] if file else None, expand=False)

    from nlpkit.core.io.records import write_json
    from nlpkit.tasks.ner.dictionary import read_dictionary

    errors = opt.error_policy(on_error, max_line)
    dictionary = read_dictionary(path, encoding, errors)
    report_entries(dictionary, path)
    dictionary.save(output)
    counts = dictionary.counts
    numbers = {"names": counts.names, "repeated": counts.repeated, "shadowed": counts.shadowed}
    write_json(None, [{**numbers, "labels": dictionary.labels}])
    opt.finish(errors)


def open_dictionary(path: str, inputs: list[str], encoding: str, errors: ErrorPolicy) -> "Dictionary":
    """Open the dictionary of --dict and report entries that can never match.

    Raises:
        UsageError: both the dictionary and the texts come from stdin.
        DataError: it cannot be read.
    """
    from nlpkit.tasks.ner.dictionary import load_dictionary

    if path == STDIN and STDIN in inputs:
        raise UsageError("--dict -: stdin has the texts; name a file")
    dictionary = load_dictionary(path, encoding, errors)
    report_entries(dictionary, path)
    return dictionary


def report_entries(dictionary: "Dictionary", path: str) -> None:
    """Print how many entries repeat or contradict an earlier one."""
    counts = dictionary.counts
    if counts.repeated:
        message(f"{path}: entries that repeat an earlier one: {counts.repeated:,}")
    if counts.shadowed:
        first = f"the first is {counts.first_shadowed}"
        message(f"{path}: entries shadowed by an earlier one with another label: {counts.shadowed:,}; {first}")


def report_matches(dictionary: "Dictionary", path: str) -> None:
    """Print how many names occur in the texts."""
    message(f"{path}: {dictionary.matched:,} of {len(dictionary):,} names are in the texts")
