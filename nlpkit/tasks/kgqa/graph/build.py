"""Build a graph: read the triples once, number their strings, and sort them on disk.

1. Read: strings are numbered in the order of reading. A triple (name, predicate, sense, size of its object) is written
   to one file, its object to another. Only the distinct names, predicates and senses are kept in memory.
2. Sort the strings by their tokens, which gives each its final number.
3. Sort the triples (`sorted_runs`), one range of names at a time. Duplicates are removed; objects are compressed.
4. Compute the children of heavy nodes, write the manifest, delete the old generation.

Adding triples runs the same steps on the old graph's triples and sorted strings, followed by the new ones; the old ones
are not parsed or tokenised again. Time and memory are in `results/`.
"""

import secrets
import shutil
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from itertools import islice, pairwise
from pathlib import Path
from typing import IO, Any, cast

import marisa_trie
import numpy as np

from nlpkit.core.io.artefacts import file_entries
from nlpkit.core.io.folders import check_folder
from nlpkit.core.io.output import open_inside, reported
from nlpkit.core.io.progress import Progress, silent
from nlpkit.core.text.tokenizer import CharTokenizer
from nlpkit.errors import DataError, OutputError
from nlpkit.tasks.kgqa.graph.graph import Graph
from nlpkit.tasks.kgqa.graph.prefix_tree import MAX_TOKENS, Ints, Keys, PrefixTree, TokenForms
from nlpkit.tasks.kgqa.graph.sorted_runs import (
    ID,
    PieceSizes,
    SortedStrings,
    inverse,
    smallest_dtype,
    write_sorted_triples,
)
from nlpkit.tasks.kgqa.graph.spelling_variants import write_variants
from nlpkit.tasks.kgqa.graph.store import (
    COMPONENT_ARRAYS,
    COMPONENTS,
    GENERATION,
    HEAVY_ARRAYS,
    KEY_ARRAYS,
    KIND,
    LOCK,
    MANIFEST,
    Counts,
    GraphManifest,
    StringTable,
    TokenizerSettings,
)
from nlpkit.tasks.kgqa.graph.triples import Triple, split_subject


def build_graph(
    triples: Iterable[Triple],
    folder: Path,
    tokenizer: CharTokenizer,
    *,
    add: bool = False,
    sources: Iterable[str] = (),
    progress: Progress = silent,
    sizes: PieceSizes = PieceSizes(),
) -> Graph:
    """Build a graph, or add triples to one.

    Args:
        triples: (subject with its sense, predicate, object).
        folder: folder of the graph, created if missing; an old graph in it is replaced only when the build is complete.
        tokenizer: tokenizer of the models that will use the graph.
        add: add to the graph in the folder instead of replacing it.
        sources: names of the input files, for the manifest.
        progress: called with what is sorted.
        sizes: how many triples and strings to process at a time.

    Raises:
        DataError: there are no triples; with `add`, there is no graph, or a broken one.
        ModelError: with `add`, the graph was built with another tokenizer.
        OutputError: another build writes to the folder, the folder contains other things, or it cannot be written.
    """
    if add:
        Graph.open(folder, tokenizer)  # fail before anything is written
    with reported(folder), _locked(folder), _new_generation(folder) as generation:
        base = Graph.open(folder, tokenizer) if add else None
        counts = _build(triples, generation, tokenizer, base, progress, sizes)
        files = file_entries(generation, sorted(path.name for path in generation.iterdir()))
        identity = {"sep_id": tokenizer.sep_id, "fingerprint": tokenizer.fingerprint}
        settings = cast(TokenizerSettings, tokenizer.settings | identity)
        names = [*(base.manifest.sources if base else ()), *sources]
        KIND.write(folder, GraphManifest(generation.name, files, settings, counts, names))
    return Graph.open(folder)


def _build(
    triples: Iterable[Triple],
    generation: Path,
    tokenizer: CharTokenizer,
    base: Graph | None,
    progress: Progress,
    sizes: PieceSizes,
) -> Counts:
    """Write all files of a generation and return the counts."""
    work = generation / "work"
    work.mkdir()
    spool = _Spool(work, sizes.chunk)
    if base is not None:
        spool.add_graph(base)
    spool.add(triples)
    if not spool.count:
        raise DataError("no triple in the input; nothing to build a graph from")
    tokenizer.save(generation)
    components = []
    for number, (name, strings) in enumerate(zip(COMPONENTS, spool.strings, strict=True)):
        progress("sorting names", number, len(COMPONENTS) + 1)
        known = base.tables[number] if base else None
        components.append(_write_strings(generation, name, list(strings), tokenizer, known, sizes.chunk))
        if name == "names":
            write_variants(generation, strings, components[0].surface_forms)
        strings.clear()
    progress("sorting names", len(COMPONENTS) + 1, len(COMPONENTS) + 1)
    counts = write_sorted_triples(work, generation, components, progress, sizes)
    shutil.rmtree(work)
    names, predicates, senses = (component.forms for component in components)
    keys = Keys(*(np.load(generation / f"{name}.npy", mmap_mode="r") for name in KEY_ARRAYS))
    heavy = PrefixTree((names, predicates, senses), keys, tokenizer.sep_id).heavy
    arrays: tuple[Ints, ...] = (heavy.nodes, heavy.starts, heavy.tokens, heavy.children)
    for name, values in zip(HEAVY_ARRAYS, arrays, strict=True):
        np.save(generation / f"{name}.npy", values)
    unknown = np.searchsorted(names.offsets, np.flatnonzero(names.tokens == tokenizer.unk_id), "right")
    return cast(Counts, counts | {"unknown_names": len(np.unique(unknown))})


class _Spool:
    """Result of step 1: distinct strings in memory, numbered in the order of reading; triples and objects on disk."""

    def __init__(self, work: Path, chunk_size: int):
        self.work, self.chunk_size = work, chunk_size
        self.strings: tuple[dict[str, int], ...] = ({}, {}, {})
        self.count = 0

    def add_graph(self, base: Graph) -> None:
        """Add the strings, triples and objects of a graph, in its order."""
        for strings, table in zip(self.strings, base.tables, strict=True):
            strings.update((table.text(number), number) for number in range(len(table)))
        with (self.work / "triples").open("ab") as file, (self.work / "objects").open("ab") as objects:
            for start in range(0, len(base), self.chunk_size):
                chunk = np.empty((min(self.chunk_size, len(base) - start), 4), dtype=ID)
                chunk[:, :3] = base.surface_forms(start, start + len(chunk))
                texts = [base.object_bytes(triple) for triple in range(start, start + len(chunk))]
                chunk[:, 3] = [len(text) for text in texts]
                file.write(chunk.data)
                objects.write(b"".join(texts))
        self.count = len(base)

    def add(self, triples: Iterable[Triple]) -> None:
        """Read all triples."""
        names, predicates, senses = self.strings
        stream = iter(triples)
        last_subject, name, sense = None, 0, 0
        with (self.work / "triples").open("ab") as file, (self.work / "objects").open("ab") as objects:
            while chunk := list(islice(stream, self.chunk_size)):
                table = array("I")
                texts = []
                for subject, predicate, target in chunk:
                    if subject != last_subject:  # triples of one subject are mostly adjacent
                        last_subject = subject
                        name_text, sense_text = split_subject(subject)
                        name = names.setdefault(name_text, len(names))
                        sense = senses.setdefault(sense_text, len(senses))
                    text = target.encode()
                    texts.append(text)
                    table.extend((name, predicates.setdefault(predicate, len(predicates)), sense, len(text)))
                file.write(table)
                objects.write(b"".join(texts))
                self.count += len(chunk)


def _write_strings(
    folder: Path, name: str, strings: list[str], tokenizer: CharTokenizer, known: StringTable | None, chunk_size: int
) -> SortedStrings:
    """Sort and write the strings of one component (step 2); see `StringTable` for the files."""
    dtype = np.dtype("<u2" if tokenizer.vocab_size <= 1 << 16 else "<u4")
    keys = _sort_keys(strings, tokenizer, dtype, known, chunk_size)
    order = sorted(
        range(len(keys)), key=keys.__getitem__
    )  # stable: surface forms of a token form stay in the order of reading
    begins = [index for index, number in enumerate(order) if not index or keys[number] != keys[order[index - 1]]]
    firsts = smallest_dtype(np.array([*begins, len(order)]))
    distinct = [keys[order[index]] for index in begins]
    tokens = np.frombuffer(b"".join(distinct), dtype=dtype.newbyteorder(">")).astype(dtype)
    offsets = smallest_dtype(np.cumsum([0, *(len(key) // dtype.itemsize for key in distinct)]))
    del keys, distinct
    trie = marisa_trie.Trie(strings)
    trie.save(str(folder / f"{name}.trie"))
    ids = smallest_dtype(np.array([trie[strings[number]] for number in order], dtype=np.int64))
    ranks = inverse(ids)
    for array_name, values in zip(COMPONENT_ARRAYS, (tokens, offsets, firsts, ids, ranks), strict=True):
        np.save(folder / f"{name}.{array_name}.npy", values)
    surface_forms = inverse(np.array(order))
    forms = np.repeat(np.arange(len(begins), dtype=ID), np.diff(firsts))
    return SortedStrings(TokenForms(tokens, offsets), firsts, surface_forms, forms[surface_forms])


def _sort_keys(
    strings: list[str], tokenizer: CharTokenizer, dtype: np.dtype[Any], known: StringTable | None, chunk_size: int
) -> list[bytes]:
    """Return the tokens of each string and [SEP] as bytes that sort like the tokens; `known` has the first strings."""
    keys: list[bytes] = []
    width = dtype.itemsize
    if known is not None:
        flat = known.forms.tokens.astype(dtype.newbyteorder(">")).tobytes()
        ends = (known.forms.offsets.astype(np.int64) * width).tolist()
        sizes = np.diff(known.firsts).tolist()
        for (start, end), size in zip(pairwise(ends), sizes, strict=True):
            keys += [flat[start:end]] * size
    for begin in range(len(keys), len(strings), chunk_size):
        ids: array[int] = array("I")
        ends = [0]
        for text in strings[begin : begin + chunk_size]:
            ids.extend(tokenizer.encode(text).ids)
            ids.append(tokenizer.sep_id)
            ends.append(len(ids) * width)
            if ends[-1] - ends[-2] > MAX_TOKENS * width:
                raise DataError(f"the name or predicate {text[:20]}… has {len(text):,} characters; shorten it")
        flat = np.frombuffer(ids, dtype=np.uint32).astype(dtype.newbyteorder(">")).tobytes()
        keys += [flat[start:end] for start, end in pairwise(ends)]
    return keys


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Create the folder and lock it against other builds until the end of this one.

    A new folder is removed if the build fails; a folder with other contents is refused.
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
    except ImportError:  # Windows has no such lock
        return
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


@contextmanager
def _new_generation(folder: Path) -> Iterator[Path]:
    """Create the folder of a new generation; delete it after an error, or else all other generations at the end."""
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
