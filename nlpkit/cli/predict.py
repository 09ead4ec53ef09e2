"""Records through a model to JSON Lines, a terminal or a web page: what every prediction command does."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import typer

from nlpkit.cli import options as opt
from nlpkit.cli.error_handling import message
from nlpkit.cli.progress import reading
from nlpkit.cli.render.text import Mark, Page, Table, show
from nlpkit.core.io.input import Part, check_sources, describe_source
from nlpkit.core.io.output import is_file_output
from nlpkit.core.io.records import (
    STDIN,
    ErrorPolicy,
    Record,
    combined,
    dump_error,
    dump_line,
    input_format,
    open_output,
    read_records,
    without_clashes,
)
from nlpkit.core.model.predictor import Annotator
from nlpkit.core.pipeline.identity import content_digest
from nlpkit.core.pipeline.journal import Job, Journal
from nlpkit.core.pipeline.outputs import Output, PageOutput, open_for
from nlpkit.core.pipeline.processor import Piece, Processor
from nlpkit.core.pipeline.runner import run
from nlpkit.core.pipeline.signals import held_signals
from nlpkit.errors import DataError, UsageError
from nlpkit.version import __version__

Make = Callable[[str], Processor]  # a device → what the command does on it
_THREADS = "OMP_NUM_THREADS"  # obeyed by torch and by `core.onnx.session`
# Options that do not change the output, or only records that are compared anyway.
_INDIFFERENT = {"files", "output", "html", "resume", "workers", "ray", "on_error", "errors", "max_line", "quiet"}
_READ = {"model", "graph", "index", "rules", "dictionary", "schema", "whiten"}  # options that may name a file or folder


@dataclass(frozen=True, slots=True)
class Reading:
    """How a command reads its input.

    Attributes:
        usual_field: name of the field with the text, where the user names none.
        second_field: field of the second text, where the model reads pairs.
        change: applied to each record; raises DataError for a bad one.
    """

    usual_field: str = "text"
    second_field: str | None = None
    change: Callable[[Record], Record] | None = None


def predict(
    ctx: typer.Context,
    flags: opt.PredictFlags,
    make: Make,
    on_error: ErrorPolicy | None = None,
    reading_options: Reading = Reading(),
    *,
    on_terminal: bool = True,
) -> None:
    """Run a prediction command: read files, process them chunk by chunk, and write in the order of the input.

    Args:
        ctx: of the command; its options identify the job.
        flags: options of the command.
        make: loads the model; called once in this process, or with --ray once in each actor.
        on_error: how to handle bad records, which the caller reports at the end; as the options say when None.
        reading_options: how the input is read.
        on_terminal: whether the command shows its results on a terminal itself; see `annotating`.

    Raises:
        UsageError: options that exclude each other.
        NlpkitError: as for `core.pipeline.runner.run`.
    """
    _check_options(flags)
    paths = opt.input_files(ctx, flags.files, one_format=flags.input_format is None)
    if flags.ray is not None:
        _predict_on_ray(flags, make, paths, partial(records_of, flags, reading_options), partial(job_of, ctx, paths))
        return
    check_sources(paths)
    on_terminal = on_terminal and is_on_terminal(flags)
    workers = 1 if on_terminal else flags.workers or 1
    if workers > 1:
        _give_one_thread(workers)
    processor = make(_device(flags, workers))
    with ExitStack() as stack:
        errors = stack.enter_context(_bad_records(flags, on_error))
        advance = stack.enter_context(reading(paths, flags.quiet or on_terminal))
        page = stack.enter_context(Page.open(flags.html)) if flags.html else None
        outputs: list[Output] = [PageOutput(page.write)] if page else []
        records = records_of(flags, reading_options, paths, errors, () if on_terminal else processor.fields)
        if not on_terminal:
            job, durable = partial(job_of, ctx, paths), not flags.html
            # A special file may wait for its reader, and must be interruptible.
            with held_signals() if is_file_output(flags.output) else nullcontext():
                output = stack.enter_context(
                    open_for(flags.output, processor.layout, job, resume=flags.resume, durable=durable, report=message)
                )
            if isinstance(output, Journal):
                records = output.remaining(records, advance)
            outputs.append(output)
        live = not any(isinstance(output, Journal) for output in outputs)
        run(records, processor, outputs, workers=workers, live=live, advance=advance, report=message)
    if on_error is None:
        opt.finish(errors)


def is_on_terminal(flags: opt.PredictFlags) -> bool:
    """Return whether the output is shown on a terminal."""
    return flags.output is None and sys.stdout.isatty()


def records_of(
    flags: opt.PredictFlags,
    reading_options: Reading,
    paths: Sequence[str | Part],
    errors: ErrorPolicy,
    added: Sequence[str],
) -> Iterator[Record]:
    """Yield the records of the input of a command.

    Args:
        flags: of the command.
        reading_options: of the command.
        paths: files, or parts of them.
        errors: how to handle bad records.
        added: names of the fields that the output adds.
    """
    records = read_records(
        paths, flags.field, flags.encoding, errors, reading_options.usual_field, reading_options.second_field,
        format=flags.input_format, file_field="file" if flags.add_file else None,
    )  # fmt: skip
    if reading_options.change is not None:
        records = _changed(records, reading_options.change, errors)
    return without_clashes(records, added, flags.nest, errors) if added else records


def _changed(records: Iterator[Record], change: Callable[[Record], Record], errors: ErrorPolicy) -> Iterator[Record]:
    for record in records:
        try:
            changed = change(record)
        except DataError as error:
            errors(error)
        else:
            yield changed


def annotating(
    model: Annotator,
    flags: opt.PredictFlags,
    to_marks: Callable[[dict[str, Any]], list[Mark]],
    to_tables: Callable[[dict[str, Any]], list[Table]] = lambda found: [],
    *,
    adds: Sequence[str] | None = None,
    to_fields: Callable[[str, Any], dict[str, Any]] | None = None,
    dump: Callable[[dict[str, Any]], bytes] | None = None,
) -> Processor:
    """Return what a command does that annotates texts.

    On a terminal the text is shown with its marks in colour instead of JSON.

    Args:
        model: predicts.
        flags: options of the command.
        to_marks: the added fields → the spans to mark in the text.
        to_tables: the added fields → what to show under the text.
        adds: the fields that the output adds to those of the input; the task's by default.
        to_fields: (text, answer) → these fields; the task's by default.
        dump: writes the added fields in another way than as JSON, also on a terminal.
    """
    added: Callable[[str, Any], dict[str, Any]] = to_fields or model.to_fields
    shown = dump is None and is_on_terminal(flags)

    def process(records: Sequence[Record]) -> Piece:
        texts: list[Any] = [r.text if r.second is None else (r.text, r.second) for r in records]
        lines: list[bytes] = []
        below: list[bytes] = []
        for record, prediction in zip(records, model.predictions(texts), strict=True):
            found = added(record.text, prediction.answer)
            if shown:
                show(record.text, to_marks(found), to_tables(found))
            elif dump:
                lines.append(dump(found))
            else:
                windows = {"windows": prediction.windows} if prediction.windows > 1 else {}
                lines.append(dump_line(combined(record.fields, found | windows, flags.nest)))
            if flags.html:
                below.append(Page.paragraph(record.text, to_marks(found), to_tables(found)))
        return Piece(b"".join(lines), b"".join(below))

    fields = () if dump else (*(adds or model.output_fields), "windows")
    return Processor(process, fields)


def _check_options(flags: opt.PredictFlags) -> None:
    """Raise UsageError for options that exclude each other, before anything is read."""
    if flags.html and flags.output and os.path.realpath(flags.html) == os.path.realpath(flags.output):
        raise UsageError("--html and --output name the same file; give each its own")
    workers = flags.workers or 1
    if flags.html and (flags.resume or workers > 1):
        name = "--resume" if flags.resume else "--workers"
        raise UsageError(f"{name} with --html: a page is made by one process in one run; leave out one of them")
    if flags.errors and flags.on_error != "skip":
        raise UsageError("--errors: a bad record ends the command; pass --on-error skip, too")
    if flags.errors and flags.output and os.path.realpath(flags.errors) == os.path.realpath(flags.output):
        raise UsageError("--errors and --output name the same file; give each its own")


def _device(flags: opt.PredictFlags, workers: int) -> str:
    """Return the device to load the model on: what is forked must be on the CPU.

    Raises:
        UsageError: another one is named.
    """
    if workers > 1 and flags.device not in ("auto", "cpu"):
        raise UsageError(f"--workers: processes share the memory of a CPU; leave out --device {flags.device}")
    return "cpu" if workers > 1 else flags.device


def _give_one_thread(workers: int) -> None:
    """Give each of the processes that will be forked one thread, and say so.

    A pool of threads, such as that of OpenMP in torch, does not survive a fork: the copies would wait for it forever.
    """
    os.environ[_THREADS] = "1"
    message(f"{workers} workers on the CPU, threads of each: 1")


@contextmanager
def _bad_records(flags: opt.PredictFlags, on_error: ErrorPolicy | None) -> Iterator[ErrorPolicy]:
    """Yield the policy for bad records, which writes them to the file of --errors."""
    errors = on_error or opt.error_policy(flags.on_error, flags.max_line)
    if not flags.errors:
        yield errors
        return
    with open_output(flags.errors) as stream:
        report = errors.report

        def write(error: Any) -> None:
            report(error)
            stream.write(dump_error(error))

        errors.report = write
        yield errors


def job_of(ctx: typer.Context, paths: Sequence[str]) -> Job:
    """Return what identifies a job: the version, the command, its input and the options that change the output."""
    job: dict[str, Any] = {"version": __version__, "command": ctx.command_path.split(" ", 1)[-1]}
    job["input"] = [describe_source(path) for path in paths]
    names = {parameter.name: parameter.opts[0] for parameter in ctx.command.params if parameter.name}
    for name, value in ctx.params.items():
        if name in _INDIFFERENT or value is None or name not in names:
            continue
        job[names[name]] = str(value) if isinstance(value, Path) else value
        if name in _READ and str(value) not in ("", STDIN) and Path(value).exists():
            job[f"content of {names[name]}"] = content_digest(value)
    return job


def _predict_on_ray(
    flags: opt.PredictFlags,
    make: Callable[[str], Processor],
    paths: Sequence[str],
    read: Callable[..., Iterator[Record]],
    job: Callable[[], Job],
) -> None:
    """Run a prediction command on a Ray cluster; see `predict`.

    Args:
        flags: options of the command.
        make: loads the model, in an actor.
        paths: the input.
        read: (parts of files, error policy, names of the added fields) → the records.
        job: returns what identifies the job.

    Raises:
        UsageError: options that exclude each other, or ray is not installed.
        OutputError: the folder is of another job, or cannot be written.
        NlpkitError: as for `core.pipeline.ray_job.run_shards`.
    """
    from nlpkit.core.pipeline.ray_job import LOCAL, connected, run_shards
    from nlpkit.core.pipeline.shards import cut, make_folder, missing_shards

    if flags.output is None or flags.output == "-":
        raise UsageError("--ray: writes a folder of parts; name it with --output")
    if flags.html:
        raise UsageError("--html: a page is made by one process; leave out --ray")
    if flags.errors:
        raise UsageError("--errors: with --ray the bad records are in bad-….jsonl in the folder; leave it out")
    folder = Path(flags.output).absolute()
    has_field = flags.field is not None
    what: dict[str, Any] = dict(job())  # a missing file is reported here
    shards = cut(paths, flags.encoding, lambda path: flags.input_format or input_format(path, has_field))
    suffix = _suffix(what)
    missing = missing_shards(folder, what, shards, suffix)
    if len(missing) < len(shards):
        message(f"{len(shards) - len(missing):,} of {len(shards):,} parts are done")
    errors = opt.error_policy(flags.on_error, flags.max_line)
    if missing:
        with connected(flags.ray or LOCAL) as cluster:
            make_folder(folder, what, shards)
            total = sum(
                run_shards(
                    cluster, missing, make, read, folder, suffix, what,
                    workers=flags.workers, device=flags.device, on_error=errors, keep_bad=flags.on_error == "skip",
                )
            )  # fmt: skip
        if not flags.quiet:
            message(f"{len(missing):,} parts with {total:,} records are written to {flags.output}")
    opt.finish(errors)


def _suffix(job: dict[str, Any]) -> str:
    """Return the suffix of the parts: by --format, where that is not the format of JSON Lines."""
    format = job.get("--format", "jsonl")
    return f".{'jsonl' if format == 'json' else format}"
