"""The rows of a graph, sorted outside memory: step 3 of `build`.

A row is a triple in numbers. What is in memory at a time: the sorted strings' numbers, and the rows of one bucket.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlpkit.errors import DataError
from nlpkit.tasks.kgqa.graph.prefix_tree import Forms, Ints
from nlpkit.tasks.kgqa.graph.store import BLOCK, LARGEST_BLOCK, PARTS, SEPARATOR

ROW = np.dtype("<u4")
BUCKET = 4_000_000  # rows that are sorted together: 500 MB
CHUNK = 1 << 18  # rows that are looked through together
LEVEL = 6  # of compression
_COMPRESSORS = 2


@dataclass(slots=True)
class Sorting:
    """What became of a part's strings in step 2: f forms, n strings.

    Attributes:
        forms: their tokens.
        firsts: [f + 1] first spelling of each form.
        spellings: [n] the spelling of each string, in the order of reading.
        form_of: [n] its form.
    """

    forms: Forms
    firsts: Ints
    spellings: Ints
    form_of: Ints


def write_rows(
    work: Path, folder: Path, sortings: Sequence[Sorting], progress: Callable[[str, int, int], None]
) -> dict[str, Any]:
    """Writes the files of keys, rows and objects.

    Args:
        work: holds `rows`, four uint32 each: string of name, predicate and meaning, bytes of the object; and `objects`.
        folder: where to.
        sortings: of names, predicates and meanings.
        progress: told a stage, rows done and their total.

    Returns:
        Counts for the manifest.
    """
    rows: Ints = np.memmap(work / "rows", dtype=ROW, mode="r").reshape(-1, 4)
    ends = _object_ends(rows, work / "ends")
    done = 0
    with closing(_Writer(work, folder, rows, ends, sortings)) as writer:
        for bucket in _buckets(rows, sortings[0]):
            writer.add(bucket)
            done += len(bucket)
            progress("sorting triples", done, len(rows))
    return writer.counts()


def fitted(values: Ints) -> Ints:
    """As uint32, or as uint64 where they do not fit."""
    return values.astype("<u4" if not len(values) or values.max() < 1 << 32 else "<u8")


def inverse(permutation: Ints) -> Ints:
    """The inverse of a permutation."""
    result = np.empty(len(permutation), dtype=ROW)
    result[permutation] = np.arange(len(permutation), dtype=ROW)
    return result


class _Writer:
    """Sorts and writes one bucket after the other; buckets are in the order of their names."""

    def __init__(self, work: Path, folder: Path, rows: Ints, ends: Ints, sortings: Sequence[Sorting]):
        self.folder, self.rows, self.ends, self.sortings = folder, rows, ends, sortings
        number = np.dtype("<u4" if len(rows) < 1 << 32 else "<u8")
        self.predicates = Column(folder / "key_predicates.npy", ROW)
        self.meanings = Column(folder / "key_meanings.npy", ROW)
        self.extra = Column(folder / "extra_rows.npy", number)
        self.odd = Column(folder / "odd_rows.npy", number)
        self.spellings = Column(folder / "spellings.npy", ROW, 3)
        self.objects = _Objects(folder, work / "objects")
        names = len(sortings[0].firsts) - 1
        self.keys_of_name, self.senses_of_name = np.zeros(names, dtype=np.int64), np.zeros(names, dtype=np.int64)
        self.keys = self.written = 0

    def add(self, bucket: NDArray[np.int64]) -> None:
        """Writes the rows of these numbers."""
        strings = self.rows[bucket, :3]
        forms = np.stack([sorting.form_of[strings[:, part]] for part, sorting in enumerate(self.sortings)])
        order = np.lexsort((forms[2], forms[1], forms[0]))  # stable: the triples of a key stay in the order of reading
        bucket, strings, forms = bucket[order], strings[order], forms[:, order]
        new = np.ones(len(bucket), dtype=np.bool_)
        new[1:] = (forms[:, 1:] != forms[:, :-1]).any(axis=0)
        kept = self._distinct(bucket, strings, new)
        bucket, strings, forms, new = bucket[kept], strings[kept], forms[:, kept], new[kept]
        key = self.keys - 1 + np.cumsum(new)

        self.predicates.add(forms[1, new])
        self.meanings.add(forms[2, new])
        self.extra.add(key[~new])
        spellings = np.stack([sorting.spellings[strings[:, part]] for part, sorting in enumerate(self.sortings)])
        firsts = np.stack([sorting.firsts[forms[part]] for part, sorting in enumerate(self.sortings)])
        others = np.flatnonzero((spellings != firsts).any(axis=0))
        self.odd.add(self.written + others)
        self.spellings.add(spellings[:, others].T)
        ends = self.ends[bucket]
        self.objects.add(ends - self.rows[bucket, 3], ends)

        self.keys_of_name += np.bincount(forms[0, new], minlength=len(self.keys_of_name))
        subjects = np.unique(forms[0].astype(np.uint64) << np.uint64(32) | forms[2])
        senses = (subjects >> np.uint64(32)).astype(np.int64)
        self.senses_of_name += np.bincount(senses, minlength=len(self.senses_of_name))
        self.keys += int(new.sum())
        self.written += len(bucket)

    def close(self) -> None:
        """Completes the files."""
        for file in (self.predicates, self.meanings, self.extra, self.odd, self.spellings, self.objects):
            file.close()
        starts = np.concatenate([[0], np.cumsum(self.keys_of_name)])
        np.save(self.folder / "key_starts.npy", fitted(starts))

    def counts(self) -> dict[str, Any]:
        """For the manifest."""
        senses = np.bincount(self.senses_of_name)
        return {
            "triples": self.written,
            "keys": self.keys,
            "subjects": int(self.senses_of_name.sum()),
            **{name: len(sorting.spellings) for name, sorting in zip(PARTS, self.sortings, strict=True)},
            "names_by_senses": {str(number): int(count) for number, count in enumerate(senses) if count},
            "duplicates": len(self.rows) - self.written,
        }

    def _distinct(self, bucket: Ints, strings: Ints, new: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which of the sorted rows to keep: of equal triples the first. Only keys with several rows are looked at."""
        kept = np.ones(len(bucket), dtype=np.bool_)
        several = ~new
        several[:-1] |= ~new[1:]
        places = np.flatnonzero(several)
        ends = self.ends[bucket[places]].tolist()
        sizes = self.rows[bucket[places], 3].tolist()
        seen: set[tuple[Any, ...]] = set()
        for place, begins, end, size, written in zip(
            places.tolist(), new[places].tolist(), ends, sizes, strings[places].tolist(), strict=True
        ):
            if begins:
                seen.clear()
            triple = (*written, self.objects.read(end - size, end))
            kept[place] = triple not in seen
            seen.add(triple)
        return kept


class Column:
    """A .npy file of an array [n] or [n, width] that grows.

    NumPy pads the header so that a longer length fits, hence it can be written again at the end.
    """

    def __init__(self, path: Path, dtype: np.dtype[Any], width: int | None = None):
        self.file = path.open("wb")
        self.dtype, self.width, self.length = dtype, width, 0
        self._write_header()

    def add(self, values: Ints) -> None:
        """Appends rows."""
        self.file.write(np.ascontiguousarray(values, dtype=self.dtype).data)
        self.length += len(values)

    def close(self) -> None:
        """Writes the length."""
        self.file.seek(0)
        self._write_header()
        self.file.close()

    def _write_header(self) -> None:
        shape = (self.length,) if self.width is None else (self.length, self.width)
        description = {"descr": self.dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self.file, description)


class _Objects:
    """Objects in the order of the rows, in compressed blocks."""

    def __init__(self, folder: Path, source: Path):
        self.packed, self.starts = Column(folder / "objects.npy", np.dtype("u1")), [0]
        self.folder = folder
        with source.open("rb") as stream:
            self._source = mmap(stream.fileno(), 0, access=ACCESS_READ)
        self._waiting: list[tuple[int, int]] = []
        self._pool = ThreadPoolExecutor(_COMPRESSORS)

    def read(self, start: int, end: int) -> bytes:
        """An object as it was read."""
        return self._source[start:end]

    def add(self, starts: Ints, ends: Ints) -> None:
        """Takes the places of objects in the source; whole blocks are written."""
        self._waiting += zip(starts.tolist(), ends.tolist(), strict=True)
        whole = len(self._waiting) // BLOCK * BLOCK
        self._write(whole)
        del self._waiting[:whole]

    def close(self) -> None:
        """Writes the rest."""
        self._write(len(self._waiting))
        self._pool.shutdown()
        self._source.close()
        self.packed.close()
        np.save(self.folder / "object_blocks.npy", np.array(self.starts, dtype="<u8"))

    def _write(self, number: int) -> None:
        blocks = (self._block(self._waiting[begin : begin + BLOCK]) for begin in range(0, number, BLOCK))
        for packed in self._pool.map(lambda block: zlib.compress(block, LEVEL), blocks):
            self.packed.add(np.frombuffer(packed, dtype=np.uint8))
            self.starts.append(self.packed.length)

    def _block(self, places: list[tuple[int, int]]) -> bytes:
        block = SEPARATOR.join([self._source[start:end] for start, end in places])
        if len(block) > LARGEST_BLOCK:
            start, end = max(places, key=lambda place: place[1] - place[0])
            begin = self._source[start : start + 60].decode(errors="ignore")
            raise DataError(f"the object {begin}… has {end - start:,} bytes; shorten it")
        return block


def _object_ends(rows: Ints, path: Path) -> Ints:
    """Where each row's object ends in the file of objects: int64 [rows], on disk."""
    ends: Ints = np.memmap(path, dtype=np.int64, mode="w+", shape=len(rows))
    end = 0
    for start in range(0, len(rows), CHUNK):
        part = end + np.cumsum(rows[start : start + CHUNK, 3], dtype=np.int64)
        ends[start : start + CHUNK] = part
        end = int(part[-1])
    return ends


def _buckets(rows: Ints, names: Sorting) -> Iterator[NDArray[np.int64]]:
    """The numbers of the rows of one range of names after the other, `BUCKET` at most unless one name has more."""
    chunks = range(0, len(rows), CHUNK)
    size = len(names.firsts) - 1
    counts = np.zeros(size, dtype=np.int64)
    for start in chunks:
        counts += np.bincount(names.form_of[rows[start : start + CHUNK, 0]], minlength=size)
    before = np.concatenate([[0], np.cumsum(counts)])
    low = 0
    while low < size:
        high = max(low + 1, int(np.searchsorted(before, before[low] + BUCKET, "right")) - 1)
        found = []
        for start in chunks:
            forms = names.form_of[rows[start : start + CHUNK, 0]]
            found.append(start + np.flatnonzero((forms >= low) & (forms < high)))
        yield np.concatenate(found)
        low = high
