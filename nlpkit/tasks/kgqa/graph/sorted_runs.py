"""External sort of the triples of a graph: step 3 of `build`.

A triple is stored as four numbers: the ids of its name, predicate and sense, and the size of its object. The triples
are divided into buckets by ranges of names. The buckets are sorted one after the other and give one sorted run each, so
that memory holds only the tables of strings and one bucket.
"""

import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nlpkit.core.io.npy import NpyWriter
from nlpkit.core.io.progress import Progress
from nlpkit.errors import DataError
from nlpkit.tasks.kgqa.graph.prefix_tree import MAX_KEYS, Ints, TokenForms
from nlpkit.tasks.kgqa.graph.store import BLOCK, COMPONENTS, MAX_BLOCK_BYTES, SEPARATOR

ID = np.dtype("<u4")
COMPRESSION_LEVEL = 6
_COMPRESSORS = 2


@dataclass(frozen=True, slots=True)
class PieceSizes:
    """How much of a graph is processed at a time.

    Attributes:
        chunk: triples or strings that are read together.
        bucket: triples that are sorted together; the default takes 500 MB.
    """

    chunk: int = 1 << 18
    bucket: int = 4_000_000


@dataclass(slots=True)
class SortedStrings:
    """Strings of one component after step 2; f token forms, n strings.

    Attributes:
        forms: token forms.
        firsts: [f + 1] first surface form of each token form.
        surface_forms: [n] surface form of each string, in the order of reading.
        form_of: [n] token form of each string, in the order of reading.
    """

    forms: TokenForms
    firsts: Ints
    surface_forms: Ints
    form_of: Ints


def write_sorted_triples(
    work: Path, folder: Path, components: Sequence[SortedStrings], progress: Progress, sizes: PieceSizes
) -> dict[str, Any]:
    """Sort the triples and write the files of keys, triples and objects.

    Args:
        work: folder of the files `triples` (four uint32 per triple: ids of the strings of name, predicate and sense,
            bytes of the object) and `objects`.
        folder: folder to write to.
        components: names, predicates and senses.
        progress: called with the number of sorted triples.
        sizes: how many triples to read and to sort at a time.

    Returns:
        Counts for the manifest.

    Raises:
        DataError: an object is too long, or there are too many keys.
    """
    triples: Ints = np.memmap(work / "triples", dtype=ID, mode="r").reshape(-1, 4)
    ends = _object_ends(triples, work / "ends", sizes.chunk)
    done = 0
    with closing(_Writer(work, folder, triples, ends, components)) as writer:
        for bucket in _buckets(triples, components[0], sizes):
            writer.add(bucket)
            done += len(bucket)
            progress("sorting triples", done, len(triples))
    return writer.counts()


def smallest_dtype(values: Ints) -> Ints:
    """Return non-negative integers as uint32, or as uint64 if one is too large."""
    return values.astype("<u4" if not len(values) or values.max() < 1 << 32 else "<u8")


def inverse(permutation: Ints) -> Ints:
    """Return the inverse of a permutation."""
    result = np.empty(len(permutation), dtype=ID)
    result[permutation] = np.arange(len(permutation), dtype=ID)
    return result


class _Writer:
    """Sort and write the buckets one after the other, in the order of their names."""

    def __init__(self, work: Path, folder: Path, triples: Ints, ends: Ints, components: Sequence[SortedStrings]):
        self.folder, self.triples, self.ends, self.components = folder, triples, ends, components
        number = np.dtype("<u4" if len(triples) < 1 << 32 else "<u8")
        self.predicates = Column(folder / "key_predicates.npy", ID)
        self.senses = Column(folder / "key_meanings.npy", ID)
        self.extra = Column(folder / "extra_rows.npy", number)
        self.irregular = Column(folder / "odd_rows.npy", number)
        self.irregular_forms = Column(folder / "spellings.npy", ID, 3)
        self.objects = _Objects(folder, work / "objects")
        names = len(components[0].firsts) - 1
        self.keys_of_name, self.senses_of_name = np.zeros(names, dtype=np.int64), np.zeros(names, dtype=np.int64)
        self.keys = self.written = 0

    def add(self, bucket: NDArray[np.int64]) -> None:
        """Sort and write the triples with these numbers."""
        strings = self.triples[bucket, :3]
        forms = np.stack([table.form_of[strings[:, column]] for column, table in enumerate(self.components)])
        order = np.lexsort((forms[2], forms[1], forms[0]))  # stable: the triples of a key stay in the order of reading
        bucket, strings, forms = bucket[order], strings[order], forms[:, order]
        new = np.ones(len(bucket), dtype=np.bool_)
        new[1:] = (forms[:, 1:] != forms[:, :-1]).any(axis=0)
        kept = self._distinct(bucket, strings, new)
        bucket, strings, forms, new = bucket[kept], strings[kept], forms[:, kept], new[kept]
        key = self.keys - 1 + np.cumsum(new)

        self.predicates.append(forms[1, new])
        self.senses.append(forms[2, new])
        self.extra.append(key[~new])
        surface_forms = np.stack([t.surface_forms[strings[:, column]] for column, t in enumerate(self.components)])
        firsts = np.stack([table.firsts[forms[column]] for column, table in enumerate(self.components)])
        irregular = np.flatnonzero((surface_forms != firsts).any(axis=0))
        self.irregular.append(self.written + irregular)
        self.irregular_forms.append(surface_forms[:, irregular].T)
        ends = self.ends[bucket]
        self.objects.add(ends - self.triples[bucket, 3], ends)

        self.keys_of_name += np.bincount(forms[0, new], minlength=len(self.keys_of_name))
        subjects = np.unique(forms[0].astype(np.uint64) << np.uint64(32) | forms[2])
        senses = (subjects >> np.uint64(32)).astype(np.int64)
        self.senses_of_name += np.bincount(senses, minlength=len(self.senses_of_name))
        self.keys += int(new.sum())
        if self.keys > MAX_KEYS:
            raise DataError(f"more than {MAX_KEYS:,} pairs of subject and predicate; build several graphs")
        self.written += len(bucket)

    def close(self) -> None:
        """Complete the files."""
        for file in (
            self.predicates,
            self.senses,
            self.extra,
            self.irregular,
            self.irregular_forms,
            self.objects,
        ):
            file.close()
        starts = np.concatenate([[0], np.cumsum(self.keys_of_name)])
        np.save(self.folder / "key_starts.npy", smallest_dtype(starts))

    def counts(self) -> dict[str, Any]:
        """Return the counts for the manifest."""
        senses = np.bincount(self.senses_of_name)
        return {
            "triples": self.written,
            "keys": self.keys,
            "subjects": int(self.senses_of_name.sum()),
            **{name: len(table.surface_forms) for name, table in zip(COMPONENTS, self.components, strict=True)},
            "names_by_senses": {str(number): int(count) for number, count in enumerate(senses) if count},
            "duplicates": len(self.triples) - self.written,
        }

    def _distinct(self, bucket: Ints, strings: Ints, new: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Return which of the sorted triples to keep: of equal triples the first."""
        kept = np.ones(len(bucket), dtype=np.bool_)
        several = ~new
        several[:-1] |= ~new[1:]
        indices = np.flatnonzero(several)
        ends = self.ends[bucket[indices]].tolist()
        sizes = self.triples[bucket[indices], 3].tolist()
        seen: set[tuple[Any, ...]] = set()
        for index, is_new_key, end, size, ids in zip(
            indices.tolist(), new[indices].tolist(), ends, sizes, strings[indices].tolist(), strict=True
        ):
            if is_new_key:
                seen.clear()
            triple = (*ids, self.objects.read(end - size, end))
            kept[index] = triple not in seen
            seen.add(triple)
        return kept


class Column(NpyWriter):
    """Writer of a .npy file with an array [n] or [n, width] of unknown length."""

    def __init__(self, path: Path, dtype: np.dtype[Any], width: int | None = None):
        super().__init__(path.open("wb"), dtype, width)

    def close(self) -> None:
        """Write the length and close the file."""
        self.write_header()
        self.stream.close()


class _Objects:
    """Writer of the objects in compressed blocks, in the order of the triples."""

    def __init__(self, folder: Path, source: Path):
        self.compressed, self.starts = Column(folder / "objects.npy", np.dtype("u1")), [0]
        self.folder = folder
        with source.open("rb") as stream:
            self._source = mmap(stream.fileno(), 0, access=ACCESS_READ)
        self._pending: list[tuple[int, int]] = []
        self._pool = ThreadPoolExecutor(_COMPRESSORS)

    def read(self, start: int, end: int) -> bytes:
        """Return the bytes of an object in the input."""
        return self._source[start:end]

    def add(self, starts: Ints, ends: Ints) -> None:
        """Add objects by their start and end in the source; complete blocks are written."""
        self._pending += zip(starts.tolist(), ends.tolist(), strict=True)
        whole = len(self._pending) // BLOCK * BLOCK
        self._write(whole)
        del self._pending[:whole]

    def close(self) -> None:
        """Write the remaining objects and close the files."""
        self._write(len(self._pending))
        self._pool.shutdown()
        self._source.close()
        self.compressed.close()
        np.save(self.folder / "object_blocks.npy", np.array(self.starts, dtype="<u8"))

    def _write(self, number: int) -> None:
        blocks = (self._block(self._pending[begin : begin + BLOCK]) for begin in range(0, number, BLOCK))
        for block in self._pool.map(lambda data: zlib.compress(data, COMPRESSION_LEVEL), blocks):
            self.compressed.append(np.frombuffer(block, dtype=np.uint8))
            self.starts.append(self.compressed.length)

    def _block(self, spans: list[tuple[int, int]]) -> bytes:
        block = SEPARATOR.join([self._source[start:end] for start, end in spans])
        if len(block) > MAX_BLOCK_BYTES:
            start, end = max(spans, key=lambda span: span[1] - span[0])
            begin = self._source[start : start + 60].decode(errors="ignore")
            raise DataError(f"the object {begin}… has {end - start:,} bytes; shorten it")
        return block


def _object_ends(triples: Ints, path: Path, chunk_size: int) -> Ints:
    """Return the end of each triple's object in the file of objects: int64 [triples], on disk."""
    ends: Ints = np.memmap(path, dtype=np.int64, mode="w+", shape=len(triples))
    end = 0
    for start in range(0, len(triples), chunk_size):
        chunk = end + np.cumsum(triples[start : start + chunk_size, 3], dtype=np.int64)
        ends[start : start + chunk_size] = chunk
        end = int(chunk[-1])
    return ends


def _buckets(triples: Ints, names: SortedStrings, sizes: PieceSizes) -> Iterator[NDArray[np.int64]]:
    """Yield the numbers of the triples of consecutive ranges of names, at most a bucket unless one name has more."""
    chunks = range(0, len(triples), sizes.chunk)
    size = len(names.firsts) - 1
    counts = np.zeros(size, dtype=np.int64)
    for start in chunks:
        counts += np.bincount(names.form_of[triples[start : start + sizes.chunk, 0]], minlength=size)
    before = np.concatenate([[0], np.cumsum(counts)])
    low = 0
    while low < size:
        high = max(low + 1, int(np.searchsorted(before, before[low] + sizes.bucket, "right")) - 1)
        bucket = []
        for start in chunks:
            forms = names.form_of[triples[start : start + sizes.chunk, 0]]
            bucket.append(start + np.flatnonzero((forms >= low) & (forms < high)))
        yield np.concatenate(bucket)
        low = high
