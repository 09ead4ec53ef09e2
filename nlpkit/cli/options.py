"""Options that several commands share, and what reads them."""

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import typer

from nlpkit.cli.error_handling import SKIPPED, message
from nlpkit.core.formats.annotation import Tally
from nlpkit.core.formats.offsets import UNITS
from nlpkit.core.io.output import is_stdout
from nlpkit.core.io.printable import encodable
from nlpkit.core.io.records import MAX_LINE, STDIN, ErrorPolicy
from nlpkit.core.io.sources import expanded
from nlpkit.core.training.option import DEVICE, DTYPE, ENCODING, RUNTIME, Option
from nlpkit.errors import DataError, UsageError


def values(*names: str) -> Callable[[], list[str]]:
    """Return the completion of an option: these values; others are allowed."""
    return lambda: list(names)


def text(value: str | None) -> str | None:
    """Return an argument that is text, not a file name.

    Raises:
        UsageError: its bytes are not UTF-8, or whatever the encoding of the command line is.
    """
    if value is not None and (shown := encodable(value)) != value:
        raise UsageError(f"the argument {shown} is not valid UTF-8; set the terminal or script to UTF-8")
    return value


def page_file(value: str | None) -> str | None:
    """Return the value of --html: a file, since the JSON is written to stdout."""
    if value is not None and is_stdout(value):
        raise typer.BadParameter("name a file; stdout is for the JSON")
    return value


def text_files(files: list[str]) -> list[str]:
    """Return the value of an argument that names files of texts: folders and patterns stand for their files."""
    return expanded(files)


def format_option(formats: Iterable[str]) -> Any:
    """Return the option --format of the commands that read gold annotation."""
    names = tuple(formats)
    return typer.Option(
        "--format",
        "-f",
        metavar="NAME",
        autocompletion=values(*names),
        help=f"Format of the data: {', '.join(names)}.",
    )


def _size(given: str | int) -> int:
    """Return the number of bytes of a size such as `16M`. Typer passes the default, a number, too."""
    match = re.fullmatch(r"([0-9]{1,15})([KMG]?)(i?B)?", str(given), re.IGNORECASE)
    if match is None or not int(match[1]):
        raise UsageError(f"--max-line {given}: a number of bytes, such as 64M or 1G")
    return int(match[1]) << {"": 0, "K": 10, "M": 20, "G": 30}[match[2].upper()]


def typer_option(option: Option) -> Any:
    """Return a declaration of the core as typer's."""
    return typer.Option(
        *option.names,
        min=option.min,
        max=option.max,
        metavar=option.metavar,
        help=option.help,
        parser=option.parse,
        envvar=option.environment,
        autocompletion=values(*option.values) if option.values else None,
    )


Files = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[FILES…|-]",
        help="Input files, folders or patterns: text, JSON Lines, CSV, TSV, Parquet (default: stdin, which is also -).",
        show_default=False,
    ),
]
Gold = Annotated[list[str], typer.Argument(metavar="FILES…", help="Files with gold annotation.", show_default=False)]
ModelName = Annotated[
    str | None,
    typer.Option(
        "--model",
        "-m",
        metavar="NAME|DIR",
        help="Model: name of an embedded model, folder, or hub name (default: the embedded model of the task).",
    ),
]
TextField = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        callback=text,
        help="Field or column with the text (default: 'text'); the other fields pass through. With --field, a file "
        "without a known suffix is read as JSON Lines.",
    ),
]
GoldField = Annotated[
    str | None,
    typer.Option(metavar="NAME", callback=text, help="Field with the text, for JSON formats (default: 'text')."),
]
Pair = Annotated[
    str | None,
    typer.Option(metavar="NAME", callback=text, help="Field with the second text of a pair; reads JSON Lines."),
]
LabelField = Annotated[
    str | None,
    typer.Option(
        "--label", metavar="NAME", callback=text, help="Field with the label (default: 'label', or else 'labels')."
    ),
]
Encoding = Annotated[str, typer_option(ENCODING)]
MaxLine = Annotated[
    int,
    typer.Option(
        "--max-line",
        parser=_size,
        metavar="SIZE",
        show_default="16M",
        help="Longest line of the input in bytes, e.g. 64M; a longer one is a bad record.",
    ),
]
Nest = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        callback=text,
        help="Field in which to put the output's fields, as an object (default: beside the fields of the input).",
    ),
]
Annotator = Annotated[
    str | None,
    typer.Option(
        metavar="ID|EMAIL|#N",
        help="Annotator of Label Studio whose annotation is taken; #2 is the second of each task (default: the first).",
    ),
]
Offsets = Annotated[
    str | None,
    typer.Option(
        metavar="UNIT",
        autocompletion=values(*UNITS),
        help="What the offsets of doccano count: codepoint, utf16 (its page), or grapheme (its page, where the project "
        "counts grapheme clusters) (default: codepoint).",
    ),
]


Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="FILE",
        help="Write here instead of stdout; a file appears when complete; .gz, .xz, .bz2 and .zst are compressed.",
    ),
]
Html = Annotated[
    str | None,
    typer.Option(
        "--html", metavar="FILE", callback=page_file, help="Also write a web page with the results marked in the text."
    ),
]
Threshold = Annotated[
    float | None,
    typer.Option(
        min=0.001,
        max=0.999,
        metavar="P",
        help="Minimum score of a result (default: the model's own threshold).",
    ),
]
Schema = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Return only the types and roles in this file: JSON Lines or a JSON array, e.g. a published schema.",
    ),
]
AllCliques = Annotated[
    bool,
    typer.Option(
        "--all-cliques",
        help="Return an event for every maximal clique. By default, cliques that differ only by overlapping fillers of "
        "a role, or by the role of a span, become one event with the best-scoring reading, and so do cliques with the "
        "same trigger, unless a link between them is surely missing.",
    ),
]
Pooling = Annotated[
    Literal["auto", "cls", "pooler", "mean", "first-last"],
    typer.Option(help="Pooling of the hidden states; auto uses the model's own."),
]
Whiten = Annotated[
    str | None,
    typer.Option(
        metavar="FILE|stored",
        autocompletion=values("stored", "none"),
        help="File of `nlpkit train whitening` or `train projection`; stored uses the one in the model's folder.",
    ),
]
Dim = Annotated[
    int | None,
    typer.Option(
        min=1, metavar="K", help="Number of dimensions to keep: the first ones of the vector, or of the whitening."
    ),
]
Prompt = Annotated[
    str | None,
    typer.Option(
        metavar="NAME|TEXT",
        callback=text,
        help="Text to put before every input: the name of one of the model's prompts, or any text.",
    ),
]
DeviceName = Annotated[str, typer_option(DEVICE)]
Dtype = Annotated[str, typer_option(DTYPE)]
Runtime = Annotated[str, typer_option(RUNTIME)]
OnErrorPolicy = Annotated[
    Literal["fail", "skip"],
    typer.Option("--on-error", help="What to do with a bad record: fail, or skip it, report it and exit with 3."),
]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume",
        help="Continue an interrupted run from its unfinished output (FILE.partial); without one, start from the "
        "beginning. Needs --output FILE.",
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        min=1,
        max=4096,
        metavar="N",
        help="Number of processes on the CPU, with one thread each; they share the memory of the model (default: 1, "
        "with a thread for each core). With --ray, number of actors (default: one for each GPU, or else CPU, of the "
        "cluster).",
    ),
]
Ray = Annotated[
    str | None,
    typer.Option(
        metavar="[ADDRESS]",
        callback=text,
        help="Process the files on a Ray cluster at ADDRESS, such as auto or HOST:6379 (default: a cluster that is "
        "started on this machine). --output is then a folder of parts; run the command again to make missing parts.",
    ),
]
ErrorsFile = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="File for the records that --on-error skip leaves out, with the reasons, as JSON Lines.",
    ),
]
InputFormat = Annotated[
    Literal["text", "jsonl", "csv", "tsv", "parquet"] | None,
    typer.Option(
        help="Format of the input (default: by the suffix of each file; without a known one, JSON Lines if --field is "
        "given, else plain text)."
    ),
]
AddFile = Annotated[
    bool, typer.Option("--add-file", help='Add the name of the input file to each record, in the field "file".')
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Do not show progress on stderr.")]


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictFlags:
    """The options of every command that predicts on texts; see `cli.train.options.flat`."""

    files: Files = None
    model: ModelName = None
    field: TextField = None
    encoding: Encoding = "utf-8"
    output: Output = None
    html: Html = None
    threshold: Threshold = None
    device: DeviceName = "auto"
    dtype: Dtype = "auto"
    runtime: Runtime = "auto"
    nest: Nest = None
    input_format: InputFormat = None
    add_file: AddFile = False
    on_error: OnErrorPolicy = "fail"
    errors: ErrorsFile = None
    max_line: MaxLine = MAX_LINE
    resume: Resume = False
    workers: Workers = None
    ray: Ray = None
    quiet: Quiet = False


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateFlags:
    """The options of every command that scores a model on gold annotation."""

    files: Gold
    model: ModelName = None
    field: GoldField = None
    encoding: Encoding = "utf-8"
    threshold: Threshold = None
    device: DeviceName = "auto"
    dtype: Dtype = "auto"
    runtime: Runtime = "auto"
    on_error: OnErrorPolicy = "fail"
    max_line: MaxLine = MAX_LINE


def input_files(
    ctx: typer.Context, files: list[str] | None, *, expand: bool = True, one_format: bool = True
) -> list[str]:
    """Return the files to read: stdin if none is named. If stdin is a terminal, show the help and exit with 2.

    Args:
        ctx: of the command.
        files: what the user named.
        expand: whether folders and patterns stand for their files.
        one_format: as for `core.io.sources.expanded`.

    Raises:
        DataError: a folder or a pattern has no file, or files of several formats.
    """
    if files:
        return expanded(files, one_format=one_format) if expand else files
    if sys.stdin is not None and sys.stdin.isatty():
        typer.echo(ctx.get_help(), err=True)
        raise typer.Exit(2)
    return [STDIN]


def label_list(text: str | None) -> list[str] | None:
    """Return the labels in `A, B…`, or None if there are none."""
    return [label.strip() for label in (text or "").split(",") if label.strip()] or None


def error_policy(policy: Literal["fail", "skip"], max_line: int = MAX_LINE) -> ErrorPolicy:
    """Return the error policy that reports on stderr."""

    def report(error: DataError) -> None:
        message(f"skipped: {error}")

    return ErrorPolicy(policy, report, max_line=max_line, hint=lambda hint: message(f"hint: {hint}"))


@contextmanager
def reported() -> Iterator[Tally]:
    """Yield a tally; what it counted is reported on stderr at the end, but not after an error, which is one line."""
    tally = Tally()
    yield tally
    for line in tally.messages():
        message(line)


def finish(on_error: ErrorPolicy) -> None:
    """Exit with 3 if records were skipped."""
    if on_error.count:
        message(f"{on_error.count} bad record(s) skipped")
        raise typer.Exit(SKIPPED)
