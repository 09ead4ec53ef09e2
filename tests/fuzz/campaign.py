"""Runs a reader over mutated files, in a process of its own, and says what it did not survive.

A case is a number: with the reader it decides which file is mutated, and how. What a case must not do: raise anything
but an `NlpkitError` that names a file, take more than `SECONDS` of CPU time, take more than `MEMORY`, crash, or hang.
"""

import gc
import json
import mmap
import os
import random
import resource
import shutil
import signal
import struct
import time
import traceback
import warnings
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from unicodedata import category

from fuzz.mutations import mutate
from huggingface_hub import constants

from nlpkit.core.io.printable import one_line
from nlpkit.errors import NlpkitError, UsageError

SECONDS = 10.0  # of CPU time, of one case
PATIENCE = 90.0  # seconds without progress, after which a case hangs
MEMORY = 100 << 20  # by which one case may grow the process
TOTAL = 200 << 20  # by which all cases together may grow it further
ADDRESSES = 2 << 30  # bytes of addresses that may be added, so that a huge allocation fails
FILES = 64  # open files that may be left
# Of messages about options and outputs, and about a file that an option names.
NAMELESS = ("cannot be written as JSON", "fit one for this model")
LENGTH = 2000  # characters of a message on the command line


@dataclass(frozen=True)
class Reader:
    """What reads some files.

    Attributes:
        name: of the reader.
        make: writes valid files into an empty folder.
        use: opens and uses them through the public interface; gives nothing.
        reseal: (folder, changed files) → further files that it has changed, so that checksums fit again; used in half
            of the cases, as one who crafts a folder would.
        writes: whether it writes into the folder.
        memory: by which one case may grow the process.
    """

    name: str
    make: Callable[[Path], object]
    use: Callable[[Path], object]
    reseal: Callable[[Path, list[Path]], list[Path]] | None = None
    writes: bool = False
    memory: int = MEMORY


class Cases:
    """The cases of a reader in a folder."""

    def __init__(self, reader: Reader, folder: Path):
        self.reader, self.folder = reader, folder
        folder.mkdir(parents=True, exist_ok=True)
        reader.make(folder)
        self.whole = {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
        self._marks = {path: _mark(path) for path in self.whole}

    def write(self, number: int) -> list[Path]:
        """Write the changed files of a case; give their paths. All others must be whole."""
        chance = random.Random(f"{self.reader.name} {number}")
        paths = list(self.whole)
        changed = chance.sample(paths, min(len(paths), chance.choice((1, 1, 1, 1, 1, 1, 2, 3))))
        for path in changed:
            path.unlink()
            fate = chance.random()
            if fate > 0.02 or len(paths) == 1:
                other = self.whole[chance.choice(paths)]
                path.write_bytes(mutate(chance, path.name, self.whole[path], other) if fate > 0.03 else b"")
            elif fate < 0.005:
                path.mkdir()
        if self.reader.reseal and chance.random() < 0.5:
            changed += self.reader.reseal(self.folder, changed)
        return changed

    def restore(self, changed: Collection[Path]) -> None:
        """Make all files whole again, those changed in any case, and remove those that the reader has left."""
        for path in sorted(self.folder.rglob("*"), reverse=True):
            if path not in self.whole and (not path.is_dir() or path.is_symlink()):
                path.unlink()
            elif path in self.whole and path.is_dir():
                shutil.rmtree(path)
        for path, content in self.whole.items():
            if path in changed or self.reader.writes or _mark(path) != self._marks[path]:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.unlink(missing_ok=True)
                path.write_bytes(content)
                self._marks[path] = _mark(path)

    def run(self, number: int) -> tuple[str, str] | None:
        """Run a case; give what is wrong with it, if anything, as (kind, description)."""
        changed = self.write(number)
        memory, start = _peak(), time.process_time()
        try:
            self.reader.use(self.folder)
            problem = None
        except NlpkitError as error:
            problem = self._message(error)
        except BaseException as error:
            problem = _kind(error), f"{type(error).__name__}: {error}"[:500]
        took, grown = time.process_time() - start, _peak() - memory
        if took > SECONDS:
            problem = "slow", f"{took:.1f} seconds of CPU time"
        if grown > self.reader.memory:
            problem = "memory", f"{grown >> 20} MiB more"
        self.restore(changed)
        return problem

    def _message(self, error: NlpkitError) -> tuple[str, str] | None:
        line = one_line(str(error), LENGTH)
        if self.reader.reseal and len(str(error).splitlines()) > 1:
            return "message", f"has several lines: {error}"[:500]
        if isinstance(error, UsageError) or any(words in line for words in NAMELESS):
            return None
        names = {str(self.folder), self.folder.name, *(path.name for path in self.whole)}
        if line.splitlines() != [line] or any(category(character) == "Cc" for character in line):
            return "message", f"is not a line: {line!r}"[:500]
        return None if any(name in line for name in names) else ("message", f"names no file: {line}"[:500])


def campaign(reader: Reader, folder: Path, cases: int, first: int = 0, most: int = 5) -> list[str]:
    """Return what is wrong with the cases of a reader, one line for each kind of problem, at most `most` crashes."""
    made = Cases(reader, folder)
    made.reader.use(folder)  # what is whole must be readable
    made.restore(made.whole)
    found: dict[str, str] = {}
    crashes = 0
    while first < cases and crashes < most:
        first, ended, problems = _in_child(made, first, cases)
        for kind, number, description in problems:
            found.setdefault(kind, f"{reader.name} case {number}: {description}")
        if ended:
            crashes += 1
            found[f"{ended} {first}"] = f"{reader.name} case {first}: {ended}"
            first += 1
            made.restore(made.whole)
    return [f"{line}; see it: python tests/fuzz/reproduce.py '{reader.name}' NUMBER FOLDER" for line in found.values()]


def _in_child(made: Cases, first: int, cases: int) -> tuple[int, str, list[list]]:
    """Run cases in a forked process; give the number of the last one, how it ended, and all problems."""
    shared = mmap.mmap(-1, 8)
    reading, writing = os.pipe()
    gc.freeze()  # the child neither visits nor frees what there is: some of it has threads, which a fork leaves behind
    child = os.fork()
    if not child:
        os.close(reading)
        _child(made, first, cases, shared, writing)
    gc.unfreeze()
    os.close(writing)
    ended = _watch(child, shared)
    with os.fdopen(reading) as stream:
        problems = [json.loads(line) for line in stream]
    (last,) = struct.unpack("<q", shared[:])
    return last, ended, problems


def _child(made: Cases, first: int, cases: int, shared: mmap.mmap, writing: int) -> None:
    """Run cases in this process, which ends."""
    try:
        os.fsync = lambda descriptor: None  # nothing need survive a power cut
        # Weights may be any finite numbers, and the answers nonsense then; numpy says so on stderr.
        warnings.filterwarnings("ignore", "(overflow|invalid value|divide by zero) encountered", RuntimeWarning)
        constants.HF_HUB_OFFLINE = True  # a mutated manifest may name a model of the hub
        nothing = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nothing, 1)
        os.dup2(nothing, 2)
        addresses = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + ADDRESSES
        resource.setrlimit(resource.RLIMIT_AS, (addresses, resource.RLIM_INFINITY))
        memory, files = _peak(), _open_files()
        with os.fdopen(writing, "w", buffering=1) as stream:
            told = set()
            for number in range(first, cases):
                shared[:] = struct.pack("<q", number)
                problem = made.run(number)
                if problem is not None and problem[0] not in told:
                    told.add(problem[0])
                    stream.write(json.dumps([problem[0], number, problem[1]]) + "\n")
            shared[:] = struct.pack("<q", cases)
            if _peak() - memory > made.reader.memory + TOTAL:
                stream.write(json.dumps(["leak", cases, f"{_peak() - memory >> 20} MiB more after all cases"]) + "\n")
            if _open_files() - files > FILES:
                stream.write(json.dumps(["files", cases, f"{_open_files() - files} more open files"]) + "\n")
        os._exit(0)
    except BaseException:
        os._exit(1)


def _watch(child: int, shared: mmap.mmap) -> str:
    """Wait for a process; give how it ended where that was not by itself."""
    before, since = shared[:], time.monotonic()
    while True:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            if os.WIFSIGNALED(status):
                return f"ended by signal {os.WTERMSIG(status)}"
            return "ended the process" if os.WEXITSTATUS(status) else ""
        if shared[:] != before:
            before, since = shared[:], time.monotonic()
        elif time.monotonic() - since > PATIENCE:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return f"no end after {PATIENCE:.0f} seconds"
        time.sleep(0.02)


def _kind(error: BaseException) -> str:
    """Return the kind of an error: its type, and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = next((frame for frame in reversed(frames) if "/nlpkit/" in frame.filename), frames[-1])
    return f"{type(error).__name__} at {Path(ours.filename).name}:{ours.lineno}"


def _mark(path: Path) -> tuple[int, ...]:
    """Return what differs, after some milliseconds, once a file was written, replaced or removed."""
    try:
        found = path.stat()
    except OSError:
        return ()
    return found.st_ino, found.st_size, found.st_mtime_ns


def _peak() -> int:
    """Return the most memory that this process has had, in bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10


def _open_files() -> int:
    gc.collect()
    return sum(1 for _ in Path("/proc/self/fd").iterdir())
