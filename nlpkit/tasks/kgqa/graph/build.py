"""Building a graph: triples are read once, numbered, and sorted outside memory.

1. Read: strings get numbers as they come; a row (name, predicate, meaning, length of its object) goes to one file, the
   objects to another. Only the distinct names, predicates and meanings stay in memory.
2. Sort the strings by their tokens, which gives each its final number.
3. Sort the triples (`sorted_runs`), a range of names at a time. Equal triples become one; objects are compressed.
4. Work out the children of heavy nodes, write the manifest, delete the old generation.

Triples are added in the same way, with the old graph's rows and sorted strings in front: nothing of it is parsed or
tokenised again. 20.56 million triples take 150 s of processor time and 2.6 GB, mapped work files included; to add one
to them takes 67 s, to add one to 700,000 takes 2 s.
"""

import secrets
import shutil
from array import array
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from itertools import islice, pairwise
from pathlib import Path
from typing import IO, Any, cast

import marisa_trie
import numpy as np

from nlpkit.core.io.artefacts import FileEntry, described
from nlpkit.core.io.folders import FolderKind, check_folder
from nlpkit.core.io.output import open_inside, write_error
from nlpkit.core.model.manifest import write_json
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.errors import DataError, OutputError
from nlpkit.tasks.kgqa.graph.graph import Graph
from nlpkit.tasks.kgqa.graph.prefix_tree import MAX_TOKENS, Forms, Ints, Keys, PrefixTree
from nlpkit.tasks.kgqa.graph.sorted_runs import CHUNK, ROW, Sorting, fitted, inverse, write_rows
from nlpkit.tasks.kgqa.graph.spelling_variants import write_variants
from nlpkit.tasks.kgqa.graph.store import (
    GENERATION,
    HEAVY_ARRAYS,
    KEY_ARRAYS,
    MANIFEST,
    PART_ARRAYS,
    PARTS,
    Counts,
    GraphManifest,
    Part,
    TokenizerSettings,
)
from nlpkit.tasks.kgqa.graph.triples import Triple, split_subject

Progress = Callable[[str, int, int], None]

LOCK = ".lock"
KIND = FolderKind("a graph", MANIFEST, {"generation": None, "files": None}, (LOCK,))


def build_graph(
    triples: Iterable[Triple],
    folder: Path,
    tokenizer: CharTokenizer,
    *,
    add: bool = False,
    sources: Iterable[str] = (),
    progress: Progress = lambda stage, done, total: None,
) -> Graph:
    """Builds a graph, or adds to one.

    Args:
        triples: subject (with its meaning, as written), predicate, object.
        folder: made if it is not there; a graph in it is replaced, or added to, when all is done, and not before.
        tokenizer: of the models that will walk it.
        add: keep what is there.
        sources: names of the files, for the manifest.
        progress: told a stage, what is done of it, and its total.

    Raises:
        DataError: there is no triple at all; with `add`, no graph, or a broken one.
        ModelError: with `add`, the graph is of another tokenizer.
        OutputError: the folder is being built in, or of something else, or cannot be written; or the disk is full.
    """
    if add:
        Graph.open(folder, tokenizer)  # an error before anything is made
    try:
        with _locked(folder), _new_generation(folder) as generation:
            base = Graph.open(folder, tokenizer) if add else None
            counts = _build(triples, generation, tokenizer, base, progress)
            identity = {"sep_id": tokenizer.sep_id, "fingerprint": tokenizer.fingerprint}
            settings = cast(TokenizerSettings, tokenizer.settings | identity)
            names = [*(base.manifest.sources if base else ()), *sources]
            manifest = GraphManifest(generation.name, _described(generation), settings, counts, names)
            write_json(folder / MANIFEST, asdict(manifest))
    except OSError as error:
        raise write_error(error, str(folder)) from error
    return Graph.open(folder)


def _build(
    triples: Iterable[Triple], generation: Path, tokenizer: CharTokenizer, base: Graph | None, progress: Progress
) -> Counts:
    """Writes all files of a generation; gives the counts."""
    work = generation / "work"
    work.mkdir()
    read = _Reading(work)
    if base is not None:
        read.start_from(base)
    read.add(triples)
    if not read.count:
        raise DataError("no triple in the input; nothing to build a graph from")
    tokenizer.save(generation)
    sortings = []
    for number, (name, strings) in enumerate(zip(PARTS, read.strings, strict=True)):
        progress("sorting names", number, len(PARTS) + 1)
        part = base.parts[number] if base else None
        sortings.append(_write_part(generation, name, list(strings), tokenizer, part))
        if name == "names":
            write_variants(generation, strings, sortings[0].spellings)
        strings.clear()
    progress("sorting names", len(PARTS) + 1, len(PARTS) + 1)
    counts = write_rows(work, generation, sortings, progress)
    shutil.rmtree(work)
    names, predicates, meanings = (sorting.forms for sorting in sortings)
    keys = Keys(*(np.load(generation / f"{name}.npy", mmap_mode="r") for name in KEY_ARRAYS))
    heavy = PrefixTree((names, predicates, meanings), keys, tokenizer.sep_id).heavy
    arrays: tuple[Ints, ...] = (heavy.nodes, heavy.starts, heavy.tokens, heavy.children)
    for name, values in zip(HEAVY_ARRAYS, arrays, strict=True):
        np.save(generation / f"{name}.npy", values)
    unknown = np.searchsorted(names.offsets, np.flatnonzero(names.tokens == tokenizer.unk_id), "right")
    return cast(Counts, counts | {"unknown_names": len(np.unique(unknown))})


class _Reading:
    """Step 1: the distinct strings, numbered as they come, and the rows and objects in files."""

    def __init__(self, work: Path):
        self.work = work
        self.strings: tuple[dict[str, int], ...] = ({}, {}, {})
        self.count = 0

    def start_from(self, base: Graph) -> None:
        """Takes over a graph: its spellings in their order, its rows, its objects."""
        for strings, part in zip(self.strings, base.parts, strict=True):
            strings.update((part.string(number), number) for number in range(len(part)))
        with (self.work / "rows").open("ab") as rows, (self.work / "objects").open("ab") as objects:
            for start in range(0, len(base), CHUNK):
                table = np.empty((min(CHUNK, len(base) - start), 4), dtype=ROW)
                table[:, :3] = base.row_spellings(start, start + len(table))
                texts = [base.object_bytes(row) for row in range(start, start + len(table))]
                table[:, 3] = [len(text) for text in texts]
                rows.write(table.data)
                objects.write(b"".join(texts))
        self.count = len(base)

    def add(self, triples: Iterable[Triple]) -> None:
        """Reads triples to the end."""
        names, predicates, meanings = self.strings
        stream = iter(triples)
        last, name, meaning = None, 0, 0
        with (self.work / "rows").open("ab") as rows, (self.work / "objects").open("ab") as objects:
            while chunk := list(islice(stream, CHUNK)):
                table = array("I")
                texts = []
                for subject, predicate, target in chunk:
                    if subject != last:  # those of one subject mostly stand together
                        last = subject
                        written, sense = split_subject(subject)
                        name = names.setdefault(written, len(names))
                        meaning = meanings.setdefault(sense, len(meanings))
                    text = target.encode()
                    texts.append(text)
                    table.extend((name, predicates.setdefault(predicate, len(predicates)), meaning, len(text)))
                rows.write(table)
                objects.write(b"".join(texts))
                self.count += len(chunk)


def _write_part(folder: Path, name: str, strings: list[str], tokenizer: CharTokenizer, known: Part | None) -> Sorting:
    """Step 2 for one part; see `Part` for the files."""
    unit = np.dtype("<u2" if tokenizer.vocab_size <= 1 << 16 else "<u4")
    keys = _sort_keys(strings, tokenizer, unit, known)
    order = sorted(range(len(keys)), key=keys.__getitem__)  # spellings of one form stay in the order of reading
    begins = [place for place, number in enumerate(order) if not place or keys[number] != keys[order[place - 1]]]
    firsts = fitted(np.array([*begins, len(order)]))
    distinct = [keys[order[place]] for place in begins]
    tokens = np.frombuffer(b"".join(distinct), dtype=unit.newbyteorder(">")).astype(unit)
    offsets = fitted(np.cumsum([0, *(len(key) // unit.itemsize for key in distinct)]))
    del keys, distinct
    trie = marisa_trie.Trie(strings)
    trie.save(str(folder / f"{name}.trie"))
    ids = fitted(np.array([trie[strings[number]] for number in order], dtype=np.int64))
    ranks = inverse(ids)
    for what, values in zip(PART_ARRAYS, (tokens, offsets, firsts, ids, ranks), strict=True):
        np.save(folder / f"{name}.{what}.npy", values)
    spellings = inverse(np.array(order))
    forms = np.repeat(np.arange(len(begins), dtype=ROW), np.diff(firsts))
    return Sorting(Forms(tokens, offsets), firsts, spellings, forms[spellings])


def _sort_keys(strings: list[str], tokenizer: CharTokenizer, unit: np.dtype[Any], known: Part | None) -> list[bytes]:
    """The tokens of each string and [SEP], as bytes that sort as the tokens do; those of a known part are at hand."""
    keys: list[bytes] = []
    width = unit.itemsize
    if known is not None:
        flat = known.forms.tokens.astype(unit.newbyteorder(">")).tobytes()
        ends = (known.forms.offsets.astype(np.int64) * width).tolist()
        sizes = np.diff(known.firsts).tolist()
        for (start, end), size in zip(pairwise(ends), sizes, strict=True):
            keys += [flat[start:end]] * size
    for begin in range(len(keys), len(strings), CHUNK):
        ids: array[int] = array("I")
        ends = [0]
        for text in strings[begin : begin + CHUNK]:
            ids.extend(tokenizer.encode(text).ids)
            ids.append(tokenizer.sep_id)
            ends.append(len(ids) * width)
            if ends[-1] - ends[-2] > MAX_TOKENS * width:
                raise DataError(f"the name or predicate {text[:20]}… has {len(text):,} characters; shorten it")
        flat = np.frombuffer(ids, dtype=np.uint32).astype(unit.newbyteorder(">")).tobytes()
        keys += [flat[start:end] for start, end in pairwise(ends)]
    return keys


def _described(generation: Path) -> dict[str, FileEntry]:
    return {path.name: described(path) for path in sorted(generation.iterdir()) if path.is_file()}


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Makes the folder and keeps other builds out of it, until this one ends in whatever way.

    A folder that was new goes again if nothing came of it; one with other things in it is refused.
    """
    check_folder(folder, KIND)
    folder.mkdir(parents=True, exist_ok=True)
    with open_inside(folder / LOCK, "ab") as lock:
        try:
            _lock(lock)
        except BlockingIOError:
            raise OutputError(f"{folder}: another build writes there; wait for it, or name another folder") from None
        try:
            yield
        finally:
            if not (folder / MANIFEST).exists():
                (folder / LOCK).unlink()
                with suppress(OSError):
                    folder.rmdir()


def _lock(file: IO[bytes]) -> None:
    try:
        import fcntl
    except ImportError:  # no such lock on Windows
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def _new_generation(folder: Path) -> Iterator[Path]:
    """A new folder within; at the end it alone stays, after an error it goes, and what killed builds left goes, too."""
    generation = folder / secrets.token_hex(4)
    generation.mkdir()
    try:
        yield generation
    except BaseException:
        shutil.rmtree(generation, ignore_errors=True)
        raise
    for path in folder.iterdir():
        if GENERATION.fullmatch(path.name) and path != generation:
            shutil.rmtree(path, ignore_errors=True)
