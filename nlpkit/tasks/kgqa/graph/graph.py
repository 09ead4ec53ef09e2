"""An open knowledge graph: its facts, its names, and the prefix tree over its keys; see `store` for the files."""

import zlib
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from functools import lru_cache
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nlpkit.core.io.folders import check_name
from nlpkit.core.text.normalization import normalize
from nlpkit.core.text.tokenizer import VOCABULARY, CharTokenizer, from_settings, read_vocabulary
from nlpkit.errors import DataError, ModelError
from nlpkit.tasks.kgqa.graph.prefix_tree import DAMAGE, Ints, PrefixTree
from nlpkit.tasks.kgqa.graph.store import (
    BLOCK,
    CURE,
    LARGEST_BLOCK,
    PARTS,
    SEPARATOR,
    Files,
    GraphManifest,
    read_manifest,
)
from nlpkit.tasks.kgqa.graph.triples import clean_subject, join_subject, split_subject

DEFAULT_MODEL = "kgqa"  # whose tokenizer a graph is built with where no other is named
CHUNK = 1 << 16  # rows that are turned into strings together
_CACHED_BLOCKS = 64
LONGEST = 4096  # characters of a name that is found in a text; a question's sequence holds no longer one
_BRACKETS = str.maketrans("()", "（）")
_SUGGESTIONS = 10  # in an error's message


class Fact(NamedTuple):
    """All that a graph says of one subject and predicate, in the strings as they were written.

    Attributes:
        subject: its name, without the meaning.
        meaning: which of the things of that name, what stands in 名字（…）; empty where the graph has none.
        predicate: of what.
        objects: the answers, in the order in which they were read.
    """

    subject: str
    meaning: str
    predicate: str
    objects: tuple[str, ...]


class Graph:
    """An open graph. A key (see `PrefixTree`) is a rank from 0; it has at least one triple, or row.

    Rows are in the order of their keys. Nearly every key has one row, spelled as the first spelling of each form; what
    differs is listed: `extra_rows` has the key of every row beyond the first of its key, `odd_rows` the rows that are
    spelled otherwise, and `spellings` [odd rows, 3] their name, predicate and meaning.

    Attributes:
        folder: where it is.
        manifest: what it is.
        tree: over the keys.
        names, predicates, meanings: the strings.
    """

    def __init__(self, folder: Path, manifest: GraphManifest):
        self._files = files = Files(folder, manifest)
        self.folder, self.manifest = folder, manifest
        self.names, self.predicates, self.meanings = self.parts = tuple(files.part(name) for name in PARTS)
        self.variants = files.variants(len(self.names))
        names = len(self.names.forms.offsets) - 1
        keys = files.keys(names)
        self.tree = PrefixTree(
            (self.names.forms, self.predicates.forms, self.meanings.forms), keys, manifest.tokenizer["sep_id"],
            files.heavy_nodes(names, len(keys.predicates)), files.damaged,
        )  # fmt: skip
        self.extra_rows = files.array("extra_rows")
        self.odd_rows = files.array("odd_rows")
        self.spellings = files.array("spellings", len(self.odd_rows), 3)
        self._extra, self._odd = self.extra_rows.data, self.odd_rows.data
        self._objects = files.array("objects")
        self._blocks = files.array("object_blocks", -(-len(self) // BLOCK) + 1)
        self._block = lru_cache(_CACHED_BLOCKS)(self._read_block)
        self._check_counts()

    @classmethod
    def open(cls, path: str | Path, tokenizer: CharTokenizer | None = None) -> "Graph":
        """Maps a graph.

        Args:
            path: the folder.
            tokenizer: of the model that will walk the tree; None where only strings are wanted.

        Raises:
            DataError: there is no finished graph, it is truncated or of another version.
            ModelError: it was built with another tokenizer.
        """
        folder = Path(path)
        check_name(folder)
        manifest = read_manifest(folder)
        if tokenizer is not None and tokenizer.fingerprint != manifest.tokenizer["fingerprint"]:
            cure = "build it again with --model naming this model"
            raise ModelError(f"{folder}: was built with the tokenizer of another model; {cure}")
        try:
            return cls(folder, manifest)
        except DataError:
            if read_manifest(folder).generation == manifest.generation:
                raise
            return cls.open(folder, tokenizer)  # a build has just replaced it

    def __len__(self) -> int:
        """The number of triples."""
        return len(self.tree) + len(self.extra_rows)

    @property
    def tokenizer(self) -> CharTokenizer:
        """The one that it was built with."""
        tokens = read_vocabulary(self.folder / self.manifest.generation / VOCABULARY)
        return from_settings(tokens, self.manifest.tokenizer)

    def facts(self, key: int) -> list[Fact]:
        """What a key holds: one fact, or several where different strings have the same tokens (iPhone, IPHONE)."""
        found: dict[tuple[str, str, str], list[str]] = {}
        for row in range(*self.rows(key)):
            found.setdefault(self._written(key, row), []).append(self.object(row))
        return [Fact(*written, tuple(objects)) for written, objects in found.items()]

    def triple(self, key: int) -> tuple[str, str, str]:
        """Name, meaning and predicate of a key's first triple; `facts` gives all that it holds."""
        return self._written(key, self.rows(key)[0])

    def objects(self, key: int) -> list[str]:
        """The distinct objects of a key, in whatever spelling the rest of the triple is."""
        return list(dict.fromkeys(self.object(row) for row in range(*self.rows(key))))

    def rows(self, key: int) -> tuple[int, int]:
        """The half-open range of a key's rows."""
        return key + bisect_left(self._extra, key), key + 1 + bisect_right(self._extra, key)

    def object(self, row: int) -> str:
        """The object of a row."""
        try:
            return self.object_bytes(row).decode()
        except UnicodeDecodeError as error:
            raise self._files.damaged(error) from None

    def object_bytes(self, row: int) -> bytes:
        """The object of a row in UTF-8."""
        try:
            return self._block(row // BLOCK)[row % BLOCK]
        except DAMAGE as error:
            raise self._files.damaged(error) from None

    def row_spellings(self, start: int, end: int) -> Ints:
        """The spellings [end - start, 3] of name, predicate and meaning of a range of rows."""
        try:
            return self._row_spellings(start, end)
        except DAMAGE as error:
            raise self._files.damaged(error) from None

    def _row_spellings(self, start: int, end: int) -> Ints:
        rows = np.arange(start, end)
        places = self.extra_rows + np.arange(1, len(self.extra_rows) + 1)  # the rows that are beyond their key's first
        keys = rows - np.searchsorted(places, rows, "right")
        tree = self.tree
        names = np.searchsorted(tree.subject_keys, keys, "right") - 1
        forms = (names, tree.key_predicates[keys], tree.key_meanings[keys])
        table: Ints = np.stack([part.firsts[found] for part, found in zip(self.parts, forms, strict=True)], axis=1)
        low, high = bisect_left(self._odd, start), bisect_left(self._odd, end)
        table[self.odd_rows[low:high].astype(np.int64) - start] = self.spellings[low:high]
        return table

    def names_in(self, text: str) -> list[tuple[int, int, str]]:
        """Return every name that a text contains, in whatever width, case and script: (start, end, name as written).

        They are in the order of their start, then of their end.
        """
        normal, found = normalize(text), list[tuple[int, int, str]]()
        variants = self.variants
        try:
            for start in range(len(normal)):
                rest = normal[start : start + LONGEST]
                others = (spelling for form in variants.trie.prefixes(rest) for spelling in variants.find(form))
                names = [*self.names.trie.prefixes(rest), *map(self.names.string, others)]
                found += [(start, start + len(name), name) for name in sorted(names, key=len)]
        except DAMAGE as error:
            raise self._files.damaged(error) from None
        return found

    def spellings_of(self, name: str) -> list[int]:
        """Return the spellings that a name stands for: itself if the graph has it, else all with its normal form."""
        exact = self.names.find(name)
        if exact is not None:
            return [exact]
        form = normalize(name)
        usual = self.names.find(form)
        try:
            return [*([] if usual is None else [usual]), *self.variants.find(form)]
        except DAMAGE as error:
            raise self._files.damaged(error) from None

    def names_starting(self, prefix: str, limit: int = 10) -> list[str]:
        """Some of the names that begin so."""
        try:
            return list(islice(self.names.trie.iterkeys(prefix), limit))
        except DAMAGE as error:
            raise self._files.damaged(error) from None

    def subjects(self, name: str) -> list[str]:
        """The meanings of a name, in the order of their tokens; "" where something bears it without a note."""
        meanings = {fact.meaning for fact in self.find(name)}
        return sorted(meanings, key=lambda meaning: self.meanings.find(meaning) or 0)

    def find(self, subject: str, predicate: str | None = None) -> list[Fact]:
        """Return the facts of a subject: of all entities with a name, or of the one that `名字（义）` says.

        Args:
            subject: with or without its meaning. As in `spellings_of`, the same spelling comes before the same normal
                form; this holds for meaning and predicate, too.
            predicate: all when None.
        """
        name, meaning = self._split(subject)
        names = {self.names.string(spelling) for spelling in self.spellings_of(name)}
        forms = dict.fromkeys(self.names.form_of(spelling) for spelling in self.spellings_of(name))
        keys = chain.from_iterable(range(*self._keys_of(form)) for form in forms)
        facts = [fact for key in keys for fact in self.facts(key) if fact.subject in names]
        for part, text in (("meaning", meaning), ("predicate", predicate)):
            facts = _where(facts, part, text) if text else facts
        return facts

    def _keys_of(self, form: int) -> tuple[int, int]:
        """The range of a name's keys."""
        start, end = self.tree.subject_keys[form : form + 2].tolist()
        if not start < end <= len(self.tree) or self.tree.name_of(start) != self.tree.name_of(end - 1):
            raise self._files.damaged(IndexError("a name with the keys of another one"))
        return start, end

    def look_up(self, subject: str, predicate: str | None = None) -> Iterator[Fact]:
        """As `find`, for people.

        Raises:
            DataError: there is no such subject, or it has no such predicate.
        """
        facts = self.find(subject, predicate)
        yield from facts
        if facts:
            return
        if predicate is not None and (known := dict.fromkeys(fact.predicate for fact in self.find(subject))):
            there = "、".join(islice(known, _SUGGESTIONS))
            raise DataError(f"{subject} has no {predicate} here; it has: {there}", str(self.folder))
        name, meaning = self._split(subject)
        similar = [join_subject(name, sense) for sense in self.subjects(name)] if meaning else self.names_starting(name)
        there = f"; there are: {'、'.join(similar[:_SUGGESTIONS])}" if similar else ""
        raise DataError(f"no subject {subject} here{there}", str(self.folder))

    def info(self) -> dict[str, Any]:
        """What `nlpkit graph info` shows: counts, sizes in bytes, degrees."""
        degrees = np.diff(self.tree.subject_keys)
        places = [0.5, 0.9, 0.99, 1.0]
        triples = dict(
            zip(("median", "90 %", "99 %", "most"), np.quantile(degrees, places).astype(int).tolist(), strict=True)
        )
        files = self.manifest.files
        sizes = {kind: sum(entry.bytes for name, entry in files.items() if name.startswith(kind))
                 for kind in (*PARTS, "variants", "key", "object", "heavy")}  # fmt: skip
        total = sum(entry.bytes for entry in files.values())
        return {
            "graph": str(self.folder),
            **self.manifest.counts,
            "predicates_per_name": {"mean": round(float(degrees.mean()), 2), **triples},
            "bytes": {"total": total, **sizes, "other": total - sum(sizes.values())},
            "tokenizer": self.manifest.tokenizer,
            "sources": self.manifest.sources,
            "version": self.manifest.version,
        }

    def triples(self) -> Iterator[tuple[str, str, str]]:
        """Everything, as (subject as written with its meaning, predicate, object), in the order of the keys."""
        for start in range(0, len(self), CHUNK):
            end = min(start + CHUNK, len(self))
            for row, (name, predicate, meaning) in enumerate(self.row_spellings(start, end).tolist(), start):
                subject = join_subject(self.names.string(name), self.meanings.string(meaning))
                yield subject, self.predicates.string(predicate), self.object(row)

    def check(self) -> None:
        """Compare the checksums of all files, then all that they hold with each other.

        A trie that was made to do harm, with checksums that are right, may still crash the process.

        Raises:
            DataError: a file was changed or damaged, or was never right.
        """
        self._files.check()
        try:
            for part in self.parts:
                _ascending(part.forms.offsets, part.firsts)
                if (part.forms.tokens[part.forms.offsets[1:] - np.uint64(1)] != self.tree.sep_id).any():
                    raise ValueError("a name without an end")
                if (part.ranks[part.ids] != np.arange(len(part))).any():
                    raise ValueError("names that lead to others")
            _ascending(self.tree.subject_keys)
            _ascending(self.odd_rows)
            _ascending(self._blocks)
            for _ in self.triples():
                pass
        except DAMAGE as error:
            raise self._files.damaged(error) from None

    def _check_counts(self) -> None:
        """Compare what the manifest says of the graph with its files."""
        found = {"triples": len(self), "keys": len(self.tree)}
        found |= {name: len(part) for name, part in zip(PARTS, self.parts, strict=True)}
        counts: dict[str, Any] = {**self.manifest.counts}
        if wrong := [name for name, count in found.items() if counts[name] != count]:
            problem = f"has {found[wrong[0]]:,} {wrong[0]}, and its manifest says {counts[wrong[0]]:,}"
            raise DataError(f"{problem}; {CURE}", str(self.folder))

    def _split(self, subject: str) -> tuple[str, str]:
        """Return name and meaning of a subject.

        Where the graph has no such name, invisible characters are removed, and then half-width brackets count as well.
        """
        cleaned = clean_subject(subject)
        for written in (subject, cleaned, cleaned.translate(_BRACKETS)):
            name, meaning = split_subject(written)
            if self.spellings_of(name):
                return name, meaning
        return split_subject(cleaned)

    def _written(self, key: int, row: int) -> tuple[str, str, str]:
        """Name, meaning and predicate of a row of a key, as written."""
        index = bisect_left(self._odd, row)
        if index < len(self._odd) and self._odd[index] == row:
            name, predicate, meaning = self.spellings[index].tolist()
        else:
            forms = zip(self.parts, self.tree.parts(key), strict=True)
            name, predicate, meaning = (part.first(form) for part, form in forms)
        return self.names.string(name), self.meanings.string(meaning), self.predicates.string(predicate)

    def _read_block(self, number: int) -> list[bytes]:
        start, end = self._blocks[number : number + 2].tolist()
        stream = zlib.decompressobj()
        objects = stream.decompress(self._objects[start:end], LARGEST_BLOCK + 1).split(SEPARATOR)
        if not stream.eof or stream.unused_data or len(objects) != min(BLOCK, len(self) - number * BLOCK):
            raise ValueError("not a block of objects")
        return objects


def _where(facts: list[Fact], part: str, text: str) -> list[Fact]:
    """Those that have this text in a part, or if there are none, another text of the same normal form."""
    form = normalize(text)
    exact = [fact for fact in facts if getattr(fact, part) == text]
    return exact or [fact for fact in facts if normalize(getattr(fact, part)) == form]


def _ascending(*arrays: Ints) -> None:
    """Raise ValueError where the numbers of an array do not ascend."""
    for values in arrays:
        if len(values) and (values[1:] < values[:-1]).any():
            raise ValueError("numbers that do not ascend")
