"""An output file that can be continued after a kill, a power cut or a full disk.

While `OUT` is being written, two files are beside it from the first saving on:

    OUT.partial        what is written so far; it becomes OUT at the end
    OUT.partial.json   how much of it is complete, and of which job it is

Every second (`SAVE_EVERY`) at the end of a chunk, `OUT.partial` is synced to the disk (fsync) and then its state is
replaced, so that the state never claims more than is on the disk; at most the chunks of a second are done again. Before
the first saving there is a temporary file only, which a failed run removes.

A compressed output is a sequence of frames of about `FRAME` bytes each before compression, cut at the end of a chunk,
and only whole frames are saved. Where the frames end depends on the content alone, so a run that was continued gives
the same bytes as one that was not.

To continue, the input is read again from its beginning, and the records that are done are compared with the digest of
what was read before.
"""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from hashlib import blake2b
from pathlib import Path
from typing import IO, Any, Self

import orjson

from nlpkit.core.io.artefacts import Reader, write_json_inside
from nlpkit.core.io.json_shapes import Count
from nlpkit.core.io.output import Target, compressor, reported, sync
from nlpkit.core.io.printable import encodable
from nlpkit.core.io.progress import Advance, silent
from nlpkit.core.io.records import Record, dumps
from nlpkit.core.pipeline.processor import LINES, Layout, Piece
from nlpkit.errors import OutputError, UsageError

PARTIAL, STATE = ".partial", ".partial.json"
SAVE_EVERY = 1.0  # seconds
FRAME = 4 << 20  # bytes before compression

Job = Mapping[str, Any]  # what identifies a job: names → values


@dataclass(slots=True)
class _State:
    """What is complete of an unfinished output."""

    job: dict[str, Any]
    records: Count = 0
    digest: str = ""
    bytes: Count = 0
    counts: dict[str, int] = field(default_factory=dict)


class Journal:
    """An output file, written chunk by chunk; a context manager.

    Args:
        path: of the output.
        job: returns what identifies the job; called when it is needed, as it may read the weights of the model.
        layout: of the output.
        resume: whether to continue an unfinished output, if there is one.
        durable: whether to save the progress.
        report: called with a message for the user when the run fails and can be continued.
        save_every: seconds between two savings.

    Attributes:
        records: number of records of which the output is written.

    Raises:
        OutputError: the output cannot be written; or is unfinished, and `resume` is false; or is being written by
            another process; or is finished, and `resume` is true.
        UsageError: the unfinished output is of another job.
    """

    def __init__(
        self,
        path: str | Path,
        job: Callable[[], Job],
        layout: Layout = LINES,
        *,
        resume: bool = False,
        durable: bool = True,
        report: Callable[[str], None] = silent,
        save_every: float = SAVE_EVERY,
    ):
        self.path = Path(path)
        self._job, self._layout, self._report = job, layout, report
        self._durable, self._save_every = durable, save_every
        self._compress = compressor(path) if layout.compressible else None
        with reported(self.path):
            self._target = Target.of(self.path)
        self._partial = Path(f"{self._target.path}{PARTIAL}")
        self._name = encodable(str(self._target.path if self.path.is_symlink() else path)) + PARTIAL
        self._state_file = Path(f"{self._target.path}{STATE}")
        self._digest = blake2b(digest_size=16)
        self._pending: list[bytes] = []  # not yet compressed
        self._pending_size = 0
        self.records = 0
        self._counts = Counter[str]()
        self._saved: _State | None = self._unfinished(resume)
        self._file: IO[bytes] | None = None
        self._temporary: Path | None = None
        self._claimed = False  # whether a state was written for the temporary file
        self._last = time.monotonic()

    def __enter__(self) -> Self:
        with reported(self.path):
            if self._saved is None:
                self._temporary = self._target.temporary()
                self._file = self._temporary.open("wb")
                self._file.write(self._layout.head)
            else:
                file = self._file = self._partial.open("r+b")
                try:
                    _lock(file, self._name)
                except OutputError:
                    file.close()
                    raise
                file.truncate(self._saved.bytes)
                file.seek(0, os.SEEK_END)
                self._counts.update(self._saved.counts)
                self.records = self._saved.records
        return self

    def __exit__(self, kind: type[BaseException] | None, error: object, trace: object) -> None:
        finished = False
        try:
            if kind is None:
                with reported(self.path):
                    self._finish()
                finished = True
        finally:
            refused = kind is not None and issubclass(kind, UsageError)
            if self._saved is not None and not finished and not refused:
                done, cure = f"{self._saved.records:,} records are in {self._name}", "continue with --resume"
                self._report(f"hint: {done}; {cure}")
            if self._file is not None:
                with suppress(OSError):  # a full disk, of which the error is already reported
                    self._file.close()
            if self._temporary is not None and self._temporary.exists():  # else it has just become the partial file
                self._temporary.unlink()
                if self._claimed:
                    self._state_file.unlink(missing_ok=True)

    def remaining(self, records: Iterable[Record], advance: Advance = silent) -> Iterator[Record]:
        """Yield the records that are not done. The first one must be taken before `write` is called.

        Args:
            records: of the whole input.
            advance: called for records that are done.

        Raises:
            UsageError: the records that are done are not those of the unfinished output.
        """
        source = iter(records)
        if self._saved is not None:
            for _ in range(self._saved.records):
                record = next(source, None)
                if record is None:
                    break
                self._add(record)
                advance(1, record.line.size)
            if self._digest.hexdigest() != self._saved.digest:
                raise self._differs("input")
        yield from source

    def write(self, records: Sequence[Record], piece: Piece) -> None:
        """Append the output of a chunk.

        Raises:
            OutputError: the disk is full, or another process has begun to write the same output.
        """
        with reported(self.path):
            assert self._file is not None
            if self._durable:
                for record in records:
                    self._add(record)
            self.records += len(records)
            self._counts.update(piece.counts)
            if self._compress is None:
                self._file.write(piece.data)
            else:
                self._pending.append(piece.data)
                self._pending_size += len(piece.data)
                if self._pending_size >= FRAME:
                    self._write_frame()
            if self._durable and not self._pending and time.monotonic() - self._last >= self._save_every:
                self._save()
                self._last = time.monotonic()

    def _add(self, record: Record) -> None:
        self._digest.update(dumps((record.text, record.second, record.fields)))
        self._digest.update(b"\n")

    def _write_frame(self) -> None:
        assert self._file is not None
        assert self._compress is not None
        self._file.write(self._compress(b"".join(self._pending)))
        self._pending, self._pending_size = [], 0

    def _save(self) -> None:
        """Make what is written durable."""
        assert self._file is not None
        self._file.flush()
        os.fsync(self._file.fileno())
        job = self._saved.job if self._saved else orjson.loads(dumps(self._job()))
        if self._temporary is not None:
            _lock(self._file, self._name)
            if self._partial.exists():
                raise _is_locked(self._name)
            self._claimed = True
        state = _State(job, self.records, self._digest.hexdigest(), self._file.tell(), dict(self._counts))
        write_json_inside(self._state_file, asdict(state), durable=True)
        if self._temporary is not None:  # after its state, without which it could not be continued
            self._temporary.rename(self._partial)
            self._temporary = None
        self._saved = state

    def _finish(self) -> None:
        assert self._file is not None
        if self._pending or (self._compress and not self.records):
            self._write_frame()
        self._file.flush()
        written, counts = self._temporary or self._partial, dict(self._counts)
        complete = self._layout.finish(written, counts)
        sync(complete)
        self._layout.beside(str(self.path), counts)
        self._target.install(complete)
        if self._saved is not None:  # the new name must be on the disk before the state is removed
            sync(self._target.path.parent)
        if complete != written:
            written.unlink()
        self._state_file.unlink(missing_ok=True)  # also that of a partial file that was removed
        self._temporary = None

    def _unfinished(self, resume: bool) -> _State | None:
        """Return the state of an unfinished output, if it is to be continued."""
        with reported(self.path):
            partial, saved = self._partial.exists(), self._state_file.exists()
            if partial and not saved:
                raise OutputError(f"{self._name}: is not an unfinished output of nlpkit; move or remove it")
            if not partial:
                if resume and self._target.old is not None:
                    why = f"is finished, or not an output of nlpkit: there is no {self._name}"
                    raise OutputError(f"{self._target.name}: {why}; leave out --resume to write it again")
                return None
        state = self._read_state()
        if not resume:
            done = f"has {state.records:,} records of an unfinished run"
            raise OutputError(f"{self._name}: {done}; continue it with --resume, or remove it")
        if self._partial.stat().st_size < state.bytes:
            raise OutputError(f"{self._name}: is shorter than {self._name}.json says; remove both to start again")
        self._check_job(state.job)
        return state

    def _read_state(self) -> _State:
        cure = "remove it and the file without .json to start again"
        return Reader(self._state_file.parent, OutputError, cure).json(self._state_file.name, _State)

    def _check_job(self, saved: Job) -> None:
        current = orjson.loads(dumps(self._job()))
        differing = sorted(name for name in {*saved, *current} if saved.get(name) != current.get(name))
        if differing:
            raise self._differs(", ".join(differing))

    def _differs(self, names: str) -> UsageError:
        cure = "give what it was started with, or remove it to start again"
        return UsageError(f"--resume: {self._name} is of a run that differs in {names}; {cure}")


def _lock(file: Any, name: str) -> None:
    """Lock a file until it is closed; nothing on a system without such locks.

    Raises:
        OutputError: another process has locked it.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise _is_locked(name) from None
    except OSError:  # a file system without locks
        return


def _is_locked(name: str) -> OutputError:
    return OutputError(f"{name}: is being written by another process; wait for it, or name another output")
